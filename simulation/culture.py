"""A simulated culture of nuclei under a microscope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from nuclei import Nucleus, Traits, add_spot, noise
from scipy import ndimage
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from nuclei import Array
    from numpy.typing import NDArray

_STEP = 4.0  # minutes that pass at once, at most
_FLOW_CELLS = 64  # along each side, each with one flow
_BEFORE = 400.0  # minutes that pass before the first frame, until all that happens happens as often as later


@dataclass(frozen=True)
class Conditions:
    """What differs between movies.

    Nothing but the nuclei's own life has a direction in time: light, focus and stage vary to and fro.
    """

    radius: float  # pixels
    interval: float  # minutes between frames
    density: float  # part of the area that nuclei cover at the first frame, about
    speed: float  # radii per square root of a minute
    turning: float  # radians per square root of a minute
    flow: float  # radii per minute, of sheets that move together
    room: float  # distance that nuclei keep, in radii
    cycle: float  # minutes from birth to prophase
    deaths: float  # part of the nuclei that die in place of dividing
    remains: float  # dead nuclei at the start, for each living one
    specks: float  # that float through a frame
    variety: float  # of brightness, standard deviation of its logarithm
    contrast: float  # of chromatin
    defocus: float  # what nuclei lose that lie out of focus
    blur: float  # of the optics, standard deviation in pixels
    haze: float  # light from far around, as a part
    noise: float  # standard deviation of a grey value as bright as a nucleus, as a part of it
    flicker: float  # of the lamp, as a part
    shake: float  # of the stage, pixels

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Conditions:
        """Draw the conditions of a movie."""

        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def scaled(low: float, high: float) -> float:
            return float(np.exp(rng.uniform(np.log(low), np.log(high))))

        return cls(
            radius=between(5, 14),
            interval=scaled(5, 30),
            density=between(0.1, 0.45),
            speed=scaled(0.02, 0.12),
            turning=scaled(0.015, 0.06),
            flow=between(0, 0.01),
            room=between(1.6, 2.0),
            cycle=between(300, 800),
            deaths=between(0, 0.2),
            remains=between(0, 0.03),
            specks=between(0, 6),
            variety=between(0.1, 0.8),
            contrast=between(0.06, 0.3),
            defocus=between(0, 0.4),
            blur=between(0.6, 1.8),
            haze=between(0, 0.4),
            noise=scaled(0.02, 0.12),
            flicker=between(0, 0.03),
            shake=between(0, 0.5),
        )


@dataclass(frozen=True)
class Division:
    """A division that was simulated: the last frame of the parent, and where it was."""

    frame: int
    y: float
    x: float


@dataclass
class _Speck:
    place: Array
    size: Array  # standard deviations along its axes
    angle: float
    brightness: float


class Culture:
    """Nuclei in a square, somewhat larger than what is seen of it; who leaves it comes in at the opposite side."""

    def __init__(self, rng: np.random.Generator, conditions: Conditions, side: int) -> None:
        self._rng, self._conditions = rng, conditions
        self._margin = int(4 * conditions.radius)
        self._side = side + 2 * self._margin
        self._flow = _eddies(rng)
        self._specks = [self._speck() for _ in range(rng.poisson(conditions.specks))]
        self._light = 0.25 + 0.05 * noise(rng, (self._side, self._side), 32)
        self.nuclei = self._settled()
        for _ in range(int(_BEFORE / _STEP)):
            self._step(_STEP)

    def pass_minutes(self, minutes: float) -> list[Array]:
        """Let time pass; return where chromosomes began to part, in pixels of a frame."""
        steps = int(np.ceil(minutes / _STEP))
        return [place - self._margin for _ in range(steps) for place in self._step(minutes / steps)]

    def picture(self) -> NDArray[np.uint16]:
        """Take a picture, (side, side)."""
        conditions, rng = self._conditions, self._rng
        light = np.zeros((self._side, self._side))
        for nucleus in self.nuclei:
            nucleus.draw(light, conditions.defocus)
        self._float(light)
        focused = ndimage.gaussian_filter(light, conditions.blur * np.exp(rng.normal(0, 0.05)))
        light = focused + conditions.haze * ndimage.gaussian_filter(light, 1.5 * conditions.radius) + self._light
        light = ndimage.shift(light, conditions.shake * rng.standard_normal(2), order=1, mode="nearest")
        light *= 1 + conditions.flicker * rng.standard_normal()
        photons = 0.5 / conditions.noise**2
        grey = rng.poisson(light * photons) / photons + 0.3 * conditions.noise * rng.standard_normal(light.shape)
        seen = slice(self._margin, -self._margin)
        picture: NDArray[np.uint16] = np.clip(1000 * grey, 0, 65535)[seen, seen].astype(np.uint16)
        return picture

    def _settled(self) -> list[Nucleus]:
        """Return the first nuclei, of all ages, and what is left of dead ones."""
        conditions, rng = self._conditions, self._rng
        doublings = (1 - conditions.deaths) * _BEFORE / conditions.cycle  # until the first frame
        count = int(conditions.density * self._side**2 / (np.pi * conditions.radius**2) / 2**doublings)
        places: list[Array] = []
        for place in rng.uniform(0, self._side, (40 * count, 2)):
            if len(places) < count and all(np.hypot(*(place - other)) > 1.75 * conditions.radius for other in places):
                places.append(place)
        nuclei = []
        for place in places:
            traits = self._traits()
            nuclei.append(Nucleus(rng, place, traits, rng.uniform(0, traits.cycle)))
        for place in rng.uniform(0, self._side, (int(conditions.remains * count), 2)):
            left = Nucleus(rng, place, self._traits(), 0.0)
            left.phase, left.since = "dead", rng.uniform(0, left.traits.persistence)
            nuclei.append(left)
        return nuclei

    def _float(self, light: Array) -> None:
        """Add what floats by, and let it drift; about half of it is gone in the next picture, and as much is new."""
        conditions, rng = self._conditions, self._rng
        for speck in self._specks:
            add_spot(light, speck.place, speck.size, speck.angle, speck.brightness)
            speck.place = speck.place + conditions.radius * rng.standard_normal(2)
            speck.angle += rng.normal()
        self._specks = [speck for speck in self._specks if rng.random() < 0.5]
        self._specks += [self._speck() for _ in range(rng.poisson(conditions.specks / 2))]

    def _speck(self) -> _Speck:
        rng = self._rng
        size = self._conditions.radius * rng.uniform(0.1, 0.4, 2)
        place = rng.uniform(0, self._side, 2)
        return _Speck(place, size, rng.uniform(0, np.pi), np.exp(rng.normal(0, 0.7)))

    def _traits(self) -> Traits:
        conditions, rng = self._conditions, self._rng
        radius = conditions.radius * np.exp(rng.normal(0, 0.1))
        brightness = np.exp(rng.normal(0, conditions.variety))
        return Traits.drawn(rng, radius, brightness, conditions.cycle, conditions.contrast)

    def _step(self, minutes: float) -> list[Array]:
        conditions, rng = self._conditions, self._rng
        parting: list[Array] = []
        following: list[Nucleus] = []
        pushes = self._pushes(minutes)
        for nucleus, push in zip(self.nuclei, pushes, strict=True):
            row, column = (nucleus.position / self._side * _FLOW_CELLS).astype(int) % _FLOW_CELLS
            nucleus.position += conditions.flow * conditions.radius * minutes * self._flow[:, row, column] + push
            nucleus.wander(rng, minutes, conditions.speed, conditions.turning)
            nucleus.position %= self._side
            begins = nucleus.live(rng, minutes, conditions.deaths)
            if begins == "anaphase":
                parting.append(nucleus.position.copy())
            if begins == "divided":
                following += nucleus.daughters(rng)
            elif not nucleus.faded:
                following.append(nucleus)
        self.nuclei = following
        return parting

    def _pushes(self, minutes: float) -> Array:
        """Return by how much each nucleus gives way to its neighbours; spindles stay where they are."""
        radius = self._conditions.radius
        room = self._conditions.room * radius
        positions = np.array([nucleus.position for nucleus in self.nuclei]).reshape(-1, 2) % self._side
        positions[positions == self._side] = 0  # which is what rounding makes of nearly nothing below 0
        pushes = np.zeros_like(positions)
        pairs = KDTree(positions, boxsize=self._side).query_pairs(room, output_type="ndarray")
        apart = positions[pairs[:, 0]] - positions[pairs[:, 1]]
        apart -= self._side * np.round(apart / self._side)  # the shorter way, over the border
        distances = np.maximum(np.hypot(*apart.T), 1e-6)[:, None]
        push = 0.01 * minutes * (room - distances) * apart / distances
        np.add.at(pushes, pairs[:, 0], push)
        np.subtract.at(pushes, pairs[:, 1], push)
        stays = [nucleus.phase in ("metaphase", "anaphase") for nucleus in self.nuclei]
        pushes[stays] = 0
        limited: Array = np.clip(pushes, -0.3 * radius, 0.3 * radius)
        return limited


def _eddies(rng: np.random.Generator) -> Array:
    """Return a flow without sources and sinks, (2, n, n), whose opposite edges fit."""
    stream = noise(rng, (_FLOW_CELLS, _FLOW_CELLS), _FLOW_CELLS / 10)
    along_y, along_x = (np.roll(stream, -1, axis) - np.roll(stream, 1, axis) for axis in (0, 1))
    flow = np.stack([along_x, -along_y])
    flow /= flow.std()
    return flow


def film(
    rng: np.random.Generator, conditions: Conditions, frames: int, side: int
) -> tuple[NDArray[np.uint16], list[Division]]:
    """Film a culture.

    Parameters
    ----------
    rng : numpy.random.Generator
    conditions : Conditions
    frames : int
    side : int
        Pixels of a frame, along y and along x.

    Returns
    -------
    movie : (frames, side, side) uint16 array
    divisions : list of Division
        Those in view.
    """
    culture = Culture(rng, conditions, side)
    movie, divisions = [culture.picture()], []
    for frame in range(frames - 1):
        for y, x in culture.pass_minutes(conditions.interval):
            if 0 <= y < side and 0 <= x < side:
                divisions.append(Division(frame, float(y), float(x)))
        movie.append(culture.picture())
    return np.stack(movie), divisions
