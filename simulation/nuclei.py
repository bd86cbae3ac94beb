"""One simulated nucleus: what it goes through, and what it looks like meanwhile.

Times are minutes, lengths are pixels unless they are said to be in radii, angles are radians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# How long each phase of a mitosis takes at pace 1; then there are two nuclei.
MITOSIS = {"prophase": 25.0, "prometaphase": 15.0, "metaphase": 25.0, "anaphase": 8.0, "telophase": 30.0}
DYING = 60.0  # from the first shrinking to the fragments
_AFTER = dict(zip(MITOSIS, (*list(MITOSIS)[1:], None), strict=True))
_REACH = 4.0  # nothing of a nucleus is drawn farther from its centre, in radii
_TEXTURE = 96  # side of the square that chromatin is cut from
_HARMONICS = 4  # waves that bend an outline
_ELONGATION = 0.25  # standard deviation


@dataclass
class Traits:
    """What one nucleus has of its own; daughters inherit radius and brightness nearly."""

    radius: float
    brightness: float
    cycle: float  # minutes from birth to prophase
    contrast: float  # of chromatin
    pace: float  # of mitosis
    plate: float  # thickness of the metaphase plate
    spread: float  # how far daughters part
    hollow: float  # how dark the middle of a prometaphase is
    from_pole: bool  # the plate is seen as a ring
    persistence: float  # minutes until what is left of it has faded to a third
    debris: float  # how bright that is
    tumbling: float  # minutes that its fragments keep their places
    chromatin: Array = field(repr=False)
    nucleoli: Array = field(repr=False)

    @classmethod
    def drawn(cls, rng: np.random.Generator, radius: float, brightness: float, cycle: float, contrast: float) -> Traits:
        """Draw what varies from nucleus to nucleus."""
        from_pole = rng.random() < 0.1
        return cls(
            radius=radius,
            brightness=brightness,
            cycle=cycle * np.exp(rng.normal(0, 0.25)),
            contrast=contrast * np.exp(rng.normal(0, 0.2)),
            pace=np.exp(rng.normal(0, 0.2)),
            plate=np.exp(rng.normal(0, 0.15)),
            spread=np.exp(rng.normal(0.1, 0.2)) * (0.6 if from_pole else 1.0),
            hollow=rng.uniform(0, 0.6),
            from_pole=from_pole,
            persistence=rng.uniform(1000, 6000),
            debris=np.exp(rng.normal(0.6, 0.5)),
            tumbling=np.exp(rng.uniform(np.log(5), np.log(60))),
            chromatin=0.6 * noise(rng, (_TEXTURE, _TEXTURE), 3) + 0.6 * noise(rng, (_TEXTURE, _TEXTURE), 7),
            nucleoli=rng.uniform(-0.55, 0.55, (int(rng.integers(0, 4)), 2)),
        )


class Nucleus:
    """A nucleus that grows, moves, and divides or dies.

    Parameters
    ----------
    rng : numpy.random.Generator
    position : array of two floats
        y and x.
    traits : Traits
    age : float
        Minutes since it was born.
    born : bool
        Whether it comes from a division that was seen, and its chromatin is still dense.
    """

    def __init__(
        self, rng: np.random.Generator, position: Array, traits: Traits, age: float, *, born: bool = False
    ) -> None:
        self.position = np.array(position, float)
        self.traits = traits
        self.age = age
        self.born = born
        self.phase = "interphase"
        self.since = 0.0  # minutes in this phase
        self.velocity = np.zeros(2)
        self.angle = rng.uniform(0, 2 * np.pi)
        self.spindle = rng.uniform(0, 2 * np.pi)  # along which the daughters part
        self.elongation = _ELONGATION * rng.normal()  # logarithm of the ratio of its axes
        self.outline = rng.normal(0, 1, (_HARMONICS, 2))
        self.depth = rng.normal()  # how far it lies from the focus, and on which side
        self.fragments = rng.normal(0, 1, (int(rng.integers(2, 6)), 2))
        self.sizes = rng.uniform(0.15, 0.4, len(self.fragments))

    @property
    def dividing(self) -> bool:
        """Whether it is in mitosis."""
        return self.phase in MITOSIS

    @property
    def dead(self) -> bool:
        """Whether only fragments are left."""
        return self.phase == "dead"

    @property
    def faded(self) -> bool:
        """Whether nothing of it can be seen any more."""
        return self.dead and self.since > 4 * self.traits.persistence

    def live(self, rng: np.random.Generator, minutes: float, deaths: float) -> str | None:
        """Let time pass.

        Returns
        -------
        str or None
            The phase that begins, `"divided"` where two daughters are to take its place, or nothing.
        """
        self.since += minutes
        if self.phase == "interphase":
            self.age += minutes
            if self.age > self.traits.cycle and rng.random() < minutes / 30:
                return self._enter("dying" if rng.random() < deaths else "prophase")
        elif self.phase == "dying" and self.since > DYING:
            return self._enter("dead")
        elif self.dividing and self.since * self.traits.pace > MITOSIS[self.phase]:
            following = _AFTER[self.phase]
            return "divided" if following is None else self._enter(following)
        return None

    def wander(self, rng: np.random.Generator, minutes: float, speed: float, turning: float) -> None:
        """Move, turn and change shape a little, with no direction in time.

        Parameters
        ----------
        rng : numpy.random.Generator
        minutes : float
        speed : float
            Radii per square root of a minute.
        turning : float
            Radians per square root of a minute.
        """
        root = np.sqrt(minutes)
        calm = 0.3 if self.dividing else 1.0
        self.velocity = 0.8 * self.velocity + 0.22 * speed * self.traits.radius * root * rng.standard_normal(2)
        self.position += calm * self.velocity
        self.angle += calm * turning * root * rng.standard_normal()
        self.outline = _settling(rng, self.outline, calm * minutes, 200.0)
        self.elongation = _ELONGATION * _settling(rng, self.elongation / _ELONGATION, calm * minutes, 600.0)
        self.depth = _settling(rng, self.depth, minutes, 200.0)
        self.fragments = _settling(rng, self.fragments, minutes, self.traits.tumbling)

    def daughters(self, rng: np.random.Generator) -> tuple[Nucleus, Nucleus]:
        """Return the two nuclei that take its place."""
        made = []
        for side in (-1, 1):
            traits = Traits.drawn(
                rng,
                self.traits.radius * np.exp(rng.normal(0, 0.04)),
                self.traits.brightness * np.exp(rng.normal(0, 0.05)),
                self.traits.cycle,
                self.traits.contrast,
            )
            daughter = Nucleus(rng, self.position + side * self._arm(1, 1), traits, 0.0, born=True)
            daughter.angle = self.spindle + rng.normal(0, 0.1)
            daughter.elongation = abs(rng.normal(0.25, 0.1))
            daughter.depth = self.depth
            made.append(daughter)
        return made[0], made[1]

    def draw(self, canvas: Array, defocus: float) -> None:
        """Add its light to a picture.

        Parameters
        ----------
        canvas : (H, W) float array
        defocus : float
            How much nuclei lose that lie out of focus, from 0 on.
        """
        seen = _window(self.position, int(_REACH * self.traits.radius) + 4, canvas.shape)
        if seen is None:
            return
        where = np.mgrid[seen].astype(float) - self.position[:, None, None]
        blur = defocus * min(2.0, self.depth**2)
        canvas[seen] += self.traits.brightness * np.exp(-0.5 * blur) * self._light(where, 0.10 + 0.08 * blur)

    def _light(self, where: Array, edge: float) -> Array:
        """Return its light around its centre, where `edge` says how soft its outline is, in radii."""
        pace = self.traits.pace if self.dividing else 1.0
        done = min(1.0, self.since * pace / MITOSIS.get(self.phase, DYING))
        looks = {
            "interphase": self._closed,
            "prophase": self._condensing,
            "prometaphase": self._opened,
            "metaphase": self._plate,
            "anaphase": self._parting,
            "telophase": self._loosening,
            "dying": self._shrinking,
            "dead": self._remains,
        }
        return looks[self.phase](where, edge, done)

    def _closed(self, where: Array, edge: float, _: float) -> Array:
        """Return the light of an interphase: larger and brighter with age, still dense after a birth."""
        grown = min(1.0, self.age / self.traits.cycle)
        young = np.exp(-self.age / 50) if self.born else 0.0
        copied = min(1.0, max(0.0, 2.5 * grown - 1))  # its DNA
        size = self.traits.radius * (0.80 + 0.28 * grown) * (1 - 0.30 * young)
        level = (0.875 + 0.125 * copied) * (1 + 0.55 * young)
        return level * self._chromatin(where, size * self._axes(1), edge, self.traits.contrast + 0.15 * young)

    def _condensing(self, where: Array, edge: float, done: float) -> Array:
        size = self.traits.radius * (1.08 - 0.20 * done)
        contrast = self.traits.contrast + 0.30 * done
        return (1 + 0.5 * done) * self._chromatin(where, size * self._axes(1 - 0.6 * done), edge, contrast)

    def _opened(self, where: Array, edge: float, done: float) -> Array:
        size = self.traits.radius * (0.86 - 0.14 * done)
        v, u, inside = self._body(where, size * np.array([1 - 0.25 * done, 1]), self.spindle, 1.8, edge + 0.06)
        ring = 1 - self.traits.hollow * np.exp(-(u**2 + v**2) / 0.22) * (1 - done)
        return (1.7 + 0.6 * done) * inside * ring * self._grain(1.6 * v, 1.6 * u, 0.35)

    def _plate(self, where: Array, edge: float, _: float) -> Array:
        radius = self.traits.radius
        if self.traits.from_pole:
            v, u, inside = self._body(where, radius * np.array([0.62, 0.68]), self.spindle, 1.0, edge + 0.05)
            return 2.0 * inside * (1 - 0.55 * np.exp(-(u**2 + v**2) / 0.18))
        rocking = 0.1 * np.sin(self.since / 6)
        plate = radius * np.array([0.36 * self.traits.plate, 0.92])
        v, u, inside = self._body(where, plate, self.spindle + rocking, 2.2, edge + 0.10)
        return 2.9 * inside * self._grain(v, u, 0.15)

    def _parting(self, where: Array, edge: float, done: float) -> Array:
        return self._two_plates(where, edge, done, 0.0)

    def _loosening(self, where: Array, edge: float, done: float) -> Array:
        return self._two_plates(where, edge, 1.0, done)

    def _two_plates(self, where: Array, edge: float, parted: float, loose: float) -> Array:
        plates = self.traits.radius * np.array([0.24 + 0.10 * loose, 0.80 - 0.18 * parted])
        light = np.zeros(where.shape[1:])
        for side in (-1, 1):
            away = where - side * self._arm(parted, loose)[:, None, None]
            light += self._body(away, plates, self.spindle + 0.12 * side * loose, 1.0, edge + 0.10)[2]
        return (2.7 - 0.9 * loose) * light

    def _shrinking(self, where: Array, edge: float, done: float) -> Array:
        if done > 0.6:
            return self._remains(where, edge, done)
        size = self.traits.radius * (1 - 0.45 * done)
        contrast = self.traits.contrast + 0.5 * done
        return (1 + 1.4 * done) * self._chromatin(where, size * self._axes(1 - done), edge, contrast)

    def _remains(self, where: Array, edge: float, _: float) -> Array:
        """Return the light of fragments that tumble about."""
        left = float(np.exp(-self.since / self.traits.persistence)) if self.dead else 1.0
        light = np.zeros(where.shape[1:])
        for place, size in zip(self.fragments, self.sizes, strict=True):
            away = where - 0.45 * self.traits.radius * place[:, None, None]
            light += self._body(away, np.full(2, size * self.traits.radius), 0.0, 0.0, edge + 0.15)[2]
        return self.traits.debris * left * light

    def _axes(self, part: float) -> Array:
        """Return how much longer or shorter than a circle's its axes are, of as much area; 0: as long."""
        axes: Array = np.exp(np.array([-0.5, 0.5]) * part * self.elongation)
        return axes

    def _arm(self, parted: float, loose: float) -> Array:
        """Return the vector from the middle of a spindle to one of its plates."""
        length = self.traits.radius * self.traits.spread * (0.22 + 0.85 * parted + 0.55 * loose)
        return length * np.array([np.cos(self.spindle), np.sin(self.spindle)])

    def _chromatin(self, where: Array, radii: Array, edge: float, contrast: float) -> Array:
        """Return the light of a closed nucleus; its nucleoli vanish as its chromatin condenses."""
        v, u, inside = self._body(where, radii, self.angle, 1.0, edge)
        light = self._grain(v, u, contrast)
        depth = 0.45 * max(0.0, 1 - 2.2 * max(0.0, contrast - 0.22))
        for y, x in self.traits.nucleoli:
            light *= 1 - depth * np.exp(-((v - y) ** 2 + (u - x) ** 2) / 0.058)
        return inside * light

    def _body(self, where: Array, radii: Array, angle: float, ragged: float, edge: float) -> tuple[Array, Array, Array]:
        """Return coordinates along the axes of an ellipse, in its radii, and how much of each pixel is inside."""
        cosine, sine = np.cos(angle), np.sin(angle)
        v = (where[0] * cosine + where[1] * sine) / radii[0]
        u = (where[1] * cosine - where[0] * sine) / radii[1]
        direction = np.arctan2(v, u)
        waves = np.arange(2, 2 + _HARMONICS)
        bends = sum(
            0.045 * size * np.cos(wave * direction + 3 * start) / np.sqrt(wave - 1)
            for wave, (size, start) in zip(waves, self.outline, strict=True)
        )
        out = (np.hypot(u, v) / (1 + ragged * bends) - 1) / edge
        return v, u, 1 / (1 + np.exp(np.minimum(out, 50)))

    def _grain(self, v: Array, u: Array, contrast: float) -> Array:
        """Return the relative light of its chromatin."""
        at = [(0.36 * v + 0.5) * _TEXTURE, (0.36 * u + 0.5) * _TEXTURE]
        grain = ndimage.map_coordinates(self.traits.chromatin, at, order=1, mode="wrap")
        relative: Array = np.maximum(1 + contrast * grain, 0.1)
        return relative

    def _enter(self, phase: str) -> str:
        left_over = 0.0
        if self.dividing:
            left_over = self.since - MITOSIS[self.phase] / self.traits.pace
        self.phase, self.since = phase, left_over
        return phase


def add_spot(canvas: Array, place: Array, size: Array, angle: float, brightness: float) -> None:
    """Add a spot whose light falls off like a Gaussian of these standard deviations along its axes, `angle` from y."""
    seen = _window(place, int(3 * max(size)) + 2, canvas.shape)
    if seen is None:
        return
    y, x = np.mgrid[seen].astype(float) - place[:, None, None]
    v = (y * np.cos(angle) + x * np.sin(angle)) / size[0]
    u = (x * np.cos(angle) - y * np.sin(angle)) / size[1]
    canvas[seen] += brightness * np.exp(-(v**2 + u**2) / 2)


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Array:
    """Return smooth noise of standard deviation 1, whose opposite edges fit."""
    smooth: Array = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    smooth /= smooth.std()
    return smooth


def _window(place: Array, reach: int, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns of a picture that are near a place, if any are."""
    starts = [max(0, int(middle) - reach) for middle in place]
    stops = [min(side, int(middle) + reach + 1) for middle, side in zip(place, shape, strict=True)]
    if starts[0] >= stops[0] or starts[1] >= stops[1]:
        return None
    return slice(starts[0], stops[0]), slice(starts[1], stops[1])


def _settling(rng: np.random.Generator, value: Any, minutes: float, memory: float) -> Any:
    """Return a value that varies about 0 with standard deviation 1, some minutes on (Ornstein-Uhlenbeck process)."""
    kept = np.exp(-minutes / memory)
    return kept * value + np.sqrt(1 - kept**2) * rng.standard_normal(np.shape(value))
