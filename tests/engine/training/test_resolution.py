"""The resolution that is chosen from a movie: large objects are looked at in blocks of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.training import Control, train
from napari_tarrow.engine.training.dataset import open_footage
from napari_tarrow.engine.training.resolution import choose_subsample

SPLITS = {"split_train": ((0.0, 0.5),), "split_val": ((0.5, 1.0),)}


def discs(radius: int, frames: int = 6) -> np.ndarray:
    """Frames with discs that drift; their autocorrelation falls to one half 0.81 radii apart."""
    side = 16 * radius
    y, x = np.mgrid[:side, :side]
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, side, (20, 2))
    movie = np.zeros((frames, side, side), np.float32)
    for t, frame in enumerate(movie):
        for row, column in centres:
            frame[(y - row) ** 2 + (x - column - t) ** 2 <= radius**2] = 1
    return movie + rng.normal(scale=0.02, size=movie.shape).astype(np.float32)


def prepared(frames: np.ndarray) -> PreparedMovie:
    return PreparedMovie(open_movie(frames), Preparation("smooth"))


@pytest.mark.parametrize(("radius", "block"), [(6, 1), (12, 1), (24, 2), (48, 4)])
def test_the_larger_the_objects_the_larger_the_blocks(radius: int, block: int) -> None:
    found = choose_subsample([prepared(discs(radius))], 99)
    assert found.subsample == block
    assert found.why.startswith("Full resolution" if block == 1 else f"Blocks of {block} x {block} pixels")


def test_the_smallest_objects_and_the_smallest_frames_decide() -> None:
    large, small = prepared(discs(48)), prepared(discs(6))
    assert choose_subsample([large, small], 99).subsample == 1
    assert choose_subsample([large], 2).subsample == 2
    assert choose_subsample([large], 0).subsample == 1


def test_footage_has_the_resolution_and_says_why() -> None:
    config = TrainConfig(subsample="auto", size=16, delta="auto", normalize="smooth", **SPLITS)
    footage = open_footage(config, [discs(24)], None)
    assert footage.config.subsample == 2
    assert footage.movies[0].shape == (6, 1, 192, 192)
    assert any(line.startswith("Blocks of 2 x 2 pixels averaged, chosen from the movie") for line in footage.summary)


def test_intensities_are_read_once_however_much_is_chosen() -> None:
    read: list[int] = []
    frames = discs(24)
    movie = prepared(frames)
    rows = movie.normalization()
    half = PreparedMovie(open_movie(frames), Preparation("smooth", subsample=2))

    def counted(index: int) -> np.ndarray:
        read.append(index)
        return frames[index]

    object.__setattr__(movie.movie, "read", counted)
    np.testing.assert_array_equal(movie.subsampled(2).normalization(), rows)
    assert not read
    np.testing.assert_array_equal(movie.subsampled(2).normalization(), half.normalization())


def test_a_given_resolution_stays() -> None:
    config = TrainConfig(subsample=3, size=16, **SPLITS)
    assert open_footage(config, [discs(24)], None).config is config


def test_a_run_that_is_stopped_while_it_chooses_ends_without_a_word(tiny) -> None:
    """Frames that are read for a choice count as read for the start, and stop is heeded between them."""
    control = Control()
    control.stop()
    assert list(train(tiny(subsample="auto", delta="auto"), control)) == []
    assert control.frames_read == 0


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "coarse"])
def test_what_is_no_resolution_is_refused(wrong) -> None:
    with pytest.raises(UserError, match=f"subsample is .*{wrong}.*; it should be .* or 'auto'"):
        TrainConfig.from_values({"subsample": wrong})
