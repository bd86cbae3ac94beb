"""The time step that is chosen from a movie: the smallest over which enough changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.training.dataset import open_footage
from napari_tarrow.engine.training.time_step import choose_delta

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drifting(speed: float, frames: int = 40, noise: float = 0.0) -> NDArray[np.float32]:
    """Return a texture of blobs, 64 x 64, that drifts by `speed` pixels a frame."""
    draw = np.random.default_rng(0)
    still = ndimage.gaussian_filter(draw.normal(size=(64, 64)), 3, mode="wrap")
    still /= still.std()
    moved = [ndimage.shift(still, (0, speed * t), mode="grid-wrap") for t in range(frames)]
    return (np.stack(moved) + draw.normal(scale=noise, size=(frames, 64, 64))).astype(np.float32)


def prepared(frames: NDArray[np.float32]) -> PreparedMovie:
    return PreparedMovie(open_movie(frames), Preparation("movie"))


@pytest.mark.parametrize(("speed", "delta"), [(2.0, 1), (0.5, 4), (0.25, 8)])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_slower_the_movie_the_longer_the_step(speed: float, delta: int, noise: float) -> None:
    """Blobs of width 3 sqrt(2) are alike by exp(-d^2 / 36) after d pixels: 8 % change at 1.7."""
    assert choose_delta([prepared(drifting(speed, noise=noise))], lambda _: True).delta == delta


def test_a_still_movie_of_noise_gets_the_longest_usable_step() -> None:
    step = choose_delta([prepared(drifting(0, noise=0.1))], lambda delta: delta <= 6)
    assert step.delta == 6
    assert ["no clip of delta 8 fits" in notice for notice in step.notices] == [True]


@pytest.mark.parametrize("beside", ["still", "noise", "slow", "correlated noise", "now and then"])
def test_the_channel_that_changes_most_decides(beside: str) -> None:
    """Whatever its brightness, and whatever shows nothing beside it."""
    fast = drifting(0.5)
    other = {
        "still": drifting(0.0),
        "noise": np.random.default_rng(1).normal(size=fast.shape).astype(np.float32),
        "slow": drifting(0.125),
        "correlated noise": ndimage.gaussian_filter(np.random.default_rng(1).normal(size=fast.shape), (0, 1, 1)),
        "now and then": np.where(np.arange(len(fast)) % 5 == 0, 1, 0)[:, None, None] * fast,
    }[beside]
    for channels in ((fast, 100 * other), (100 * other, fast)):
        movie = open_movie(np.stack(channels, 1).astype(np.float32), channels=2)
        assert choose_delta([PreparedMovie(movie, Preparation("channel", channels=2))], lambda _: True).delta == 4


def test_white_noise_gives_a_step() -> None:
    frames = np.random.default_rng(0).normal(size=(12, 16, 16)).astype(np.float32)
    assert choose_delta([prepared(frames)], lambda _: False).delta == 1


def test_frames_that_have_nothing_in_common_are_strange() -> None:
    movie = np.random.default_rng(0).normal(size=(12, 8, 8)).astype(np.float32).repeat(8, 1).repeat(8, 2)
    step = choose_delta([prepared(movie)], lambda _: True)
    assert step.delta == 1
    assert ["nearly another" in notice for notice in step.notices] == [True]
    assert not choose_delta([prepared(drifting(2.0))], lambda _: True).notices


def test_footage_has_the_step_and_says_why() -> None:
    config = TrainConfig(delta="auto", split_val=((0.5, 1.0),), split_train=((0.0, 0.5),), clip=3)
    footage = open_footage(config, [drifting(0.5)], None)
    assert footage.config.delta == (4,)
    assert {part.delta for part in (*footage.train, *footage.val)} == {4}
    assert any(
        line.startswith("Delta 4, chosen from the movie: from one frame to the next 1%") for line in footage.summary
    )


def test_every_part_keeps_a_clip() -> None:
    """Of 20 frames the last 5 hold a clip of three frames up to delta 2."""
    config = TrainConfig(delta="auto", split_train=((0.0, 0.75),), split_val=((0.75, 1.0),), clip=3)
    assert open_footage(config, [drifting(0.1, 20)], None).config.delta == (2,)


def test_a_given_step_stays() -> None:
    config = TrainConfig(delta=(2, 3), split_train=((0.0, 0.5),), split_val=((0.5, 1.0),))
    assert open_footage(config, [drifting(0.5)], None).config is config
