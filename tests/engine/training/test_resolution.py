"""The resolution of a training, which is chosen from its movies where it is left open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import PreparedMovie
from napari_tarrow.engine.training.dataset import open_footage

SPLITS = {"split_train": ((0.0, 0.5),), "split_val": ((0.5, 1.0),)}


def clouds(radius: float, side: int = 384, frames: int = 6) -> np.ndarray:
    """Frames of smooth noise, whose autocorrelation falls to one half `radius` apart."""
    noise = np.random.default_rng(0).normal(size=(frames, side, side))
    sigma = radius / (2 * np.sqrt(np.log(2)))
    return ndimage.gaussian_filter(noise, (0, sigma, sigma)).astype(np.float32)


def test_footage_has_the_resolution_and_says_why() -> None:
    config = TrainConfig(subsample="auto", size=16, delta="auto", normalize="smooth", **SPLITS)
    footage = open_footage(config, [clouds(20)], None)
    assert footage.config.subsample == 2
    assert footage.movies[0].shape == (6, 1, 192, 192)
    assert any(line.startswith("Blocks of 2 x 2 pixels averaged, chosen from the movie") for line in footage.summary)


def test_a_choice_reads_a_few_frames_of_a_long_movie() -> None:
    """Percentiles of the whole movie wait until training begins."""
    read: set[int] = set()

    def watched(movie: PreparedMovie) -> PreparedMovie:
        def counted(index: int) -> np.ndarray:
            read.add(index)
            return movie.movie.read(index)

        return PreparedMovie(replace(movie.movie, read=counted), movie.preparation)

    config = TrainConfig(subsample="auto", size=16, delta="auto", normalize="smooth", **SPLITS)
    open_footage(config, [clouds(10, side=192, frames=200)], None, watched)
    assert 0 < len(read) < 60


def test_a_given_resolution_stays() -> None:
    config = TrainConfig(subsample=3, size=16, **SPLITS)
    assert open_footage(config, [clouds(20)], None).config is config


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "coarse"])
def test_what_is_no_resolution_is_refused(wrong) -> None:
    with pytest.raises(UserError, match=f"subsample is .*{wrong}.*; it should be .* or 'auto'"):
        TrainConfig.from_values({"subsample": wrong})
