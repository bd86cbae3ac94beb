"""Look at pairs of frames as the network does, as they are and with drifts taken off or put on alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from ...movies import spread
from ..change import squared_change
from ..draws import Stream
from .drifts import KINDS, Drift, goes_one_way, lasting, steps_between
from .remedies import usable_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...config import TrainConfig
    from ...models import TimeArrowNet
    from ...movies import PreparedMovie
    from .report import ShortcutReport

_PAIRS = 40  # at most, of all movies together
_PLAUSIBLE = 1e3  # times the span of the median, or less than that part: beyond, a channel is blank in some frames
_SIDE = 128  # pixels of the part of a frame that is looked at, or two patches


@dataclass(frozen=True)
class Watched:
    """What is looked at of a movie: `rows` (S, T), indices of the frames of its sequences."""

    movie: PreparedMovie
    rows: np.ndarray


@dataclass(frozen=True)
class Looked:
    """What the network says of one sequence; positive evidence is for the true order.

    Attributes
    ----------
    when : float
        Place in the movie, 0 to 1.
    evidence : dict
        Mean over the window: ``plain``; ``without brightness``, ``shift``, ``focus``, those that
        can be used ``together``, or ``all``; and of a single frame that only drifts, ``only brightness`` and so on. A
        drift that is not there is missing.
    patches : dict of (N,) float32
        The same for its patches, of ``plain`` and ``without all``.
    change : (N,) float32
        Root mean square of `squared_change` from the first to the last frame in each patch.
    where : (N, 2) float32
        Centres of the patches in the frame, 0 to 1.
    steps : (5,) float64
        See `steps_between`, as stored.
    scalars : dict
        How mean, contrast and sharpness of the prepared frames change from the first to the last.
    crowding : float
        How much more of the last frame is bright, as a share of the window.
    crowd : tuple of (float, float)
        For halves of one and the same frame, the emptier shown first: how much fuller the second is, and the evidence.
    """

    when: float
    evidence: dict[str, float]
    patches: dict[str, np.ndarray] = field(repr=False)
    change: np.ndarray = field(repr=False)
    where: np.ndarray = field(repr=False)
    steps: np.ndarray = field(repr=False)
    scalars: dict[str, float] = field(repr=False)
    crowding: float = 0.0
    crowd: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class _Window:
    """A sequence of one movie, cut: `frames` (T, C, h, w) float32 prepared; `rows` (T, 2, C) of the normalisation."""

    frames: np.ndarray
    rows: np.ndarray
    when: float
    corner: tuple[int, int]
    whole: tuple[int, int]


@dataclass(frozen=True)
class _Prepared:
    """A window and how it drifts; `level` is half way to bright objects, of which there are more by `crowding`."""

    window: _Window
    drift: Drift
    steps: np.ndarray
    level: float
    crowding: float


def shortcut_report(model: TimeArrowNet, watched: Sequence[Watched], config: TrainConfig) -> ShortcutReport:
    """Look at the movies and judge: see `look` and `judge`."""
    from .judging import judge

    return judge([looked for looked in look(model, watched, config) if looked is not None], config)


@torch.no_grad()
def look(model: TimeArrowNet, watched: Sequence[Watched], config: TrainConfig) -> Iterator[Looked | None]:
    """Look at up to 40 sequences, spread over all movies; stop iterating for fewer.

    The model is used in eval mode and left as it was, and nothing is drawn from global random numbers.

    Parameters
    ----------
    model : TimeArrowNet
    watched : movies and their sequences
    config : TrainConfig

    Yields
    ------
    Looked or None
        None while frames are read.
    """
    total = sum(len(one.rows) for one in watched)
    chosen: list[_Prepared] = []
    for number, one in enumerate(watched):
        windows = []
        share = max(1, round(_PAIRS * len(one.rows) / max(1, total)))
        for row in one.rows[spread(len(one.rows), share)]:
            windows.append(_window(one, row, Stream(config.seed, f"shortcuts/{number}"), max(_SIDE, 2 * config.size)))
            yield None
        chosen += _with_drifts(windows)
    order = np.argsort(Stream(config.seed, "shortcuts/order").uniform(np.arange(len(chosen)), 1)[:, 0])
    crowds = goes_one_way(np.array([one.crowding for one in chosen]))
    for index in order[:_PAIRS]:
        yield _look(model, chosen[index], config, bool(index % 2), crowds)


def _window(watched: Watched, row: np.ndarray, stream: Stream, side: int) -> _Window:
    movie = watched.movie
    height, width = movie.shape[2:]
    sides = min(height, side), min(width, side)
    u = stream.uniform(row[:1], 2)[0]
    top, left = (int(draw * (n - cut + 1)) for draw, n, cut in zip(u, (height, width), sides, strict=True))
    frames = np.stack([movie.frame(int(i))[:, top : top + sides[0], left : left + sides[1]] for i in row])
    when = float(row.mean() / max(1, movie.shape[0] - 1))
    rows = movie.normalization([int(i) for i in row]).astype(np.float64)
    return _Window(frames, rows, when, (top, left), (height, width))


def _with_drifts(windows: Sequence[_Window]) -> list[_Prepared]:
    """Find what drifts in a movie. Light drifts as stored, slowly; the normalisation is known for every frame."""
    if not windows:
        return []
    low, span = np.median([w.rows for w in windows], (0, 1))
    zero = np.stack([low, np.zeros_like(low)])
    scales = np.array([(w.rows - zero) / span for w in windows])  # of prepared values to values that all frames share
    lit = ((scales[:, :, 1] > 1 / _PLAUSIBLE) & (scales[:, :, 1] < _PLAUSIBLE)).all((0, 1))
    if not lit.any():
        lit, scales = np.ones_like(lit), np.broadcast_to(np.array([[0.0], [1.0]]), scales.shape)
    scales = scales[..., lit]
    steps = np.array([_steps(w.frames[:, lit], scale) for w, scale in zip(windows, scales, strict=True)])
    going, found = lasting(steps), []
    shift = going[..., 2:4]
    shift[...] = np.where(shift.any(-1, keepdims=True), steps[..., 2:4], 0)  # measured well, and stages move in jumps
    for window, rate, scale, step in zip(windows, going, scales, steps, strict=True):
        drift = _drift(rate, scale.mean(-1))  # one for all channels
        level, crowding = _crowding(drift.put(torch.from_numpy(window.frames), KINDS, -1))
        found.append(_Prepared(window, drift, step.sum(0), level, crowding))
    return found


def _steps(frames: np.ndarray, scale: np.ndarray) -> list[np.ndarray]:
    shared = [frame * span + low for frame, (low, span) in zip(frames, scale[..., None, None], strict=True)]
    return [steps_between(first, last) for first, last in pairwise(shared)]


def _drift(rate: np.ndarray, scale: np.ndarray) -> Drift:
    """Return the drift of prepared frames: `rate` (T - 1, 5) as stored, `scale` (T, 2) to the prepared values."""
    gain, offset = [1.0], [0.0]
    for step in rate:
        gain.append(gain[-1] * np.exp(step[0]))
        offset.append(offset[-1] * np.exp(step[0]) + step[1])
    # prepared_i = (gain_i * (prepared_0 * s_0 + l_0) + offset_i - l_i) / s_i
    low, span = scale.T
    gains = np.array(gain) * span[0] / span
    offsets = (np.array(gain) * low[0] + offset - low) / span
    shift, blur = (np.concatenate([np.zeros((1, *v.shape[1:])), v.cumsum(0)]) for v in (rate[:, 2:4], rate[:, 4]))
    middle_gain, middle_offset = np.exp(np.log(gains).mean()), offsets.mean()
    gains = gains / middle_gain
    return Drift(gains, offsets - gains * middle_offset, shift - shift.mean(0), blur - blur.mean())


def _look(model: TimeArrowNet, one: _Prepared, config: TrainConfig, last: bool, crowds: bool) -> Looked:
    window, drift = one.window, one.drift
    frames = torch.from_numpy(window.frames)
    source = (frames[-1:] if last else frames[:1]).expand_as(frames)
    there = tuple(kind for kind in KINDS if drift.has(kind))
    shown = {"plain": frames}
    usable = tuple(kind for kind in there if kind in usable_kinds(config))
    looks = {**{kind: (kind,) for kind in there}, "together": usable, "all": there}
    for name, kinds in looks.items():
        if name in KINDS or (len(kinds) > 1 and not (name == "all" and kinds == usable)):
            shown.update(_drifting(drift, frames, source, name, kinds))
    maps = dict(zip(shown, _evidence(model, torch.stack([*shown.values()])), strict=True))
    plain, rest = maps["plain"], maps[[*shown][-1]]
    rows, columns = (
        min(max(1, round(n / config.size)), m) for n, m in zip(frames.shape[-2:], plain.shape, strict=True)
    )
    grid = rows, columns
    return Looked(
        when=window.when,
        evidence={name: float(one.mean()) for name, one in maps.items()},
        patches={"plain": _pooled(plain, grid), "without all": _pooled(rest, grid)},
        change=_pooled(squared_change(frames[0], frames[-1], min(config.size, *frames.shape[-2:])), grid) ** 0.5,
        where=_centres(window, grid),
        steps=one.steps,
        scalars=_scalars(window.frames),
        crowding=one.crowding,
        crowd=tuple(_crowd(model, frames[-1 if last else 0], one.level)) if crowds else (),
    )


def _drifting(
    drift: Drift, frames: torch.Tensor, source: torch.Tensor, name: str, kinds: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    return {f"only {name}": drift.put(source, kinds), f"without {name}": drift.put(frames, kinds, -1)}


def _evidence(model: TimeArrowNet, sequences: torch.Tensor) -> torch.Tensor:
    """Return (N, h, w), on the CPU: how much speaks for the order in which the frames of (N, T, C, H, W) are given."""
    training = model.training
    try:
        frames = sequences.flatten(0, 1).to(model.device).contiguous(memory_format=torch.channels_last)
        projections = model.eval().project(frames).unflatten(0, sequences.shape[:2])
        dense = model.evidence(projections)
        evidence = dense[:, 0] - dense[:, 1]
        if model.n_frames > 2 or not model.classification_head.symmetric:  # else this is the same once more
            dense = model.evidence(projections.flip(1))
            evidence = (evidence + dense[:, 1] - dense[:, 0]) / 2
    finally:
        model.train(training)
    return evidence.float().cpu()


def _pooled(values: torch.Tensor, grid: tuple[int, int]) -> np.ndarray:
    pooled: np.ndarray = functional.adaptive_avg_pool2d(values[None, None], grid).flatten().numpy()
    return pooled


def _centres(window: _Window, grid: tuple[int, int]) -> np.ndarray:
    axes = [
        (first + (np.arange(n) + 0.5) * side / n) / whole
        for first, n, side, whole in zip(window.corner, grid, window.frames.shape[-2:], window.whole, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)


def _crowding(frames: torch.Tensor) -> tuple[float, float]:
    """Find a level half way to bright objects, and by how much more of the last frame (T, C, H, W) is above it."""
    values = frames.mean(1)
    background, objects = np.percentile(values.numpy(), (30, 99.5))
    level = float(background + objects) / 2
    return level, float((values[-1] > level).float().mean() - (values[0] > level).float().mean())


def _crowd(model: TimeArrowNet, frame: torch.Tensor, level: float) -> Iterator[tuple[float, float]]:
    """Show halves of one frame (C, H, W), between which no time passes, the emptier first."""
    for axis in (-2, -1):
        half = frame.shape[axis] // 2
        parts = [frame.narrow(axis, 0, half), frame.narrow(axis, frame.shape[axis] - half, half)]
        full = [float((part.mean(0) > level).float().mean()) for part in parts]
        if full[0] != full[1]:
            first, second = parts if full[0] < full[1] else parts[::-1]
            shown = torch.stack([first] * (model.n_frames // 2) + [second] * (model.n_frames - model.n_frames // 2))
            yield abs(full[1] - full[0]), float(_evidence(model, shown[None]).mean())


def _scalars(frames: np.ndarray) -> dict[str, float]:
    first, last = (frames[index].astype(np.float64) for index in (0, -1))

    def sharpness(frame: np.ndarray) -> float:
        edges = sum(float(np.square(np.diff(frame, axis=axis)).mean()) for axis in (-2, -1))
        return edges / max(float(frame.var()), 1e-12)

    return {
        "mean intensity": float(last.mean() - first.mean()),
        "contrast": float(last.std() - first.std()),
        "sharpness": sharpness(last) - sharpness(first),
    }
