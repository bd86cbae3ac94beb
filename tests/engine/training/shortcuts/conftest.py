"""Movies that betray time's direction in one way each, and networks that use exactly one of these."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.movies import PreparedMovie, open_movie, preparation_of, sequences
from napari_tarrow.engine.training.shortcuts import Watched

if TYPE_CHECKING:
    from collections.abc import Callable

T, SIDE = 36, 96


def cells(rng: np.random.Generator, *, grows: bool = False, drift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Round cells with a texture on a random walk, which has no direction: (T, SIDE, SIDE) float64."""
    count, first = (44, 8) if grows else (16, 16)
    at, radius = rng.uniform(0, SIDE, (count, 2)), rng.uniform(4, 6, count)
    bright, phase = rng.uniform(0.6, 1, count), rng.uniform(0, 6, (count, 2))
    born = np.concatenate([np.zeros(first), np.sort(rng.uniform(0, T, count - first))])
    walk = rng.normal(0, 0.3, (T, count, 2)).cumsum(0)
    frames = np.zeros((T, SIDE, SIDE))
    half = SIDE / 2
    for t in range(T):
        for i in np.flatnonzero(born <= t):
            y, x = ((np.arange(SIDE) - at[i, a] - walk[t, i, a] - drift[a] * t + half) % SIDE - half for a in (0, 1))
            inside = 1 / (1 + np.exp(2 * (np.hypot(y[:, None], x) - radius[i])))
            frames[t] += bright[i] * inside * (1 + 0.3 * np.sin(y + phase[i, 0])[:, None] * np.sin(x + phase[i, 1]))
    return frames


@functools.cache
def planted(kind: str, seed: int = 0) -> np.ndarray:
    """Make a movie in which one thing tells the direction: (T, SIDE, SIDE) uint16."""
    rng = np.random.default_rng(seed)
    times = np.arange(T)
    scene = cells(rng, grows=kind == "crowd", drift=(0.3, 0.8) if kind == "drift" else (0, 0))
    scene += 0.15 * (1 + 0.3 * np.sin(np.arange(SIDE) / 9))[:, None]
    if kind == "bleaching":
        scene *= np.exp(-0.012 * times)[:, None, None]
    if kind == "lamp":
        scene = scene * (1 + 0.012 * times)[:, None, None] + 0.004 * times[:, None, None]
    if kind == "focus":
        scene = np.stack([gaussian_filter(frame, 0.3 + 2.2 * t / T) for t, frame in enumerate(scene)])
    if kind == "clock":
        scene[:, :14, :14] += 0.05 * times[:, None, None]
    if kind == "noise":
        scene[:] = 1
    return np.clip(1000 * scene + 200 + rng.normal(0, 15, scene.shape), 0, 65535).astype(np.uint16)


class HandMade(nn.Module):
    """A network whose one feature, of a frame, is larger the later it takes it for."""

    n_frames, downscale = 2, 1
    classification_head = SimpleNamespace(symmetric=True)

    def __init__(self, feature: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.feature = feature

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def project(self, frames: torch.Tensor) -> torch.Tensor:
        return self.feature(frames)

    def evidence(self, projections: torch.Tensor) -> torch.Tensor:
        later = projections[:, 1, 0] - projections[:, 0, 0]
        return torch.stack([later, -later], 1)


class SeesMotion(HandMade):
    """Tells by optical flow: how the second frame differs along the first's slope to the right."""

    def __init__(self) -> None:
        super().__init__(lambda frames: torch.cat([_smooth(frames), torch.gradient(_smooth(frames), dim=-1)[0]], 1))

    def evidence(self, projections: torch.Tensor) -> torch.Tensor:
        (first, slope), (last, other) = (projections[:, t].unbind(1) for t in (0, 1))
        flow = -(last - first) * (slope + other)
        return torch.stack([flow, -flow], 1)


def _smooth(frames: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(frames, 5, 1, 2, count_include_pad=False)


def _edges(frames: torch.Tensor) -> torch.Tensor:
    return sum(d.square() for d in torch.gradient(_smooth3(frames), dim=(-2, -1)))


def _smooth3(frames: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(frames, 3, 1, 1, count_include_pad=False)


def uses(kind: str) -> HandMade:
    """Return a network that uses one shortcut."""
    if kind == "drift":
        return SeesMotion()
    corner = torch.zeros(SIDE, SIDE)
    corner[:14, :14] = 1
    features: dict[str, Any] = {
        "bleaching": lambda x: -x,
        "lamp": lambda x: x,
        "focus": lambda x: -_edges(x),
        "crowd": lambda x: torch.sigmoid(10 * (_smooth(x) - 0.4)),
        "clock": lambda x: x * corner,
    }
    return HandMade(features[kind])


@pytest.fixture(name="planted")
def planted_fixture() -> Callable[..., np.ndarray]:
    return planted


@pytest.fixture(name="uses")
def uses_fixture() -> Callable[[str], HandMade]:
    return uses


@pytest.fixture
def watch() -> Callable[..., tuple[list[Watched], TrainConfig]]:
    """Prepare movies as a training does: with options, what `shortcut_report` takes besides a network."""

    def make(*movies: np.ndarray, **options: Any) -> tuple[list[Watched], TrainConfig]:
        config = TrainConfig.from_values({"normalize": "movie", "size": 32, "augment": 0, **options})
        watched = []
        for frames in movies:
            movie = PreparedMovie(open_movie(frames, channels=config.channels), preparation_of(config))
            watched.append(Watched(movie, sequences(movie.movie.frame_numbers, range(len(frames)), 2, 1)))
        return watched, config

    return make
