"""What is trained and validated on: of short movies more than the usual tenth is left for validation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.training.dataset import open_footage

USUAL = (((0.0, 0.9),), ((0.9, 1.0),))


def still(frames: int) -> np.ndarray:
    """So many frames with some texture that stays."""
    frame = np.random.default_rng(0).integers(90, 900, (24, 28)).astype(np.uint16)
    return np.broadcast_to(frame, (frames, *frame.shape))


def footage_of(*movies: np.ndarray, val_movies=None, **options):
    return open_footage(TrainConfig(size=16, **{"clip": 3, **options}), list(movies), val_movies)


def splits_of(footage):
    return footage.config.split_train, footage.config.split_val


@pytest.mark.parametrize(("frames", "end"), [(20, 0.8), (15, 0.8), (12, 0.8), (9, 0.7), (6, 0.6)])
def test_validation_gets_what_a_clip_needs(frames: int, end: float) -> None:
    footage = footage_of(still(frames))
    assert splits_of(footage) == (((0.0, end),), ((end, 1.0),))
    assert all(len(part.clips) for part in (*footage.train, *footage.val))
    told = f"Each movie is trained on from 0 to {end:g} and validated on from {end:g} to 1:"
    assert f"{told} a tenth of so few frames makes no clip." in footage.summary


@pytest.mark.parametrize("frames", [21, 29, 60])
def test_a_tenth_that_suffices_stays(frames: int) -> None:
    footage = footage_of(still(frames))
    assert splits_of(footage) == USUAL
    assert not any(line.startswith("Each movie is trained on") for line in footage.summary)


def test_each_time_step_needs_a_clip() -> None:
    assert splits_of(footage_of(still(30), delta=(1, 2)))[0] == ((0.0, 0.8),)
    assert splits_of(footage_of(still(20), delta=(1, 4)))[0] == ((0.0, 0.5),)


def test_one_movie_that_is_long_enough_suffices() -> None:
    footage = footage_of(still(20), still(60))
    assert splits_of(footage) == USUAL
    assert any("gives nothing for validation" in line for line in footage.notices)


@pytest.mark.parametrize(("frames", "start"), [(20, 0.8), (4, 0.0)])
def test_of_other_movies_as_much_as_needed_and_no_less_to_train_on(frames: int, start: float) -> None:
    footage = footage_of(still(60), val_movies=[still(frames)])
    assert splits_of(footage) == (USUAL[0], ((start, 1.0),))
    assert f"Each movie is validated on from {start:g} to 1: a tenth of so few frames makes no clip." in footage.summary


def test_a_split_of_the_users_stays() -> None:
    given = {"split_train": ((0.0, 0.8),), "split_val": ((0.95, 1.0),)}
    with pytest.raises(
        UserError, match=r"leave 1 from 0\.95 to 1 .* Use a smaller delta or clip, or a longer split_val\."
    ):
        footage_of(still(20), **given)


@pytest.mark.parametrize(
    ("options", "remedies"),
    [
        ({}, "a smaller delta or clip, or a movie with more frames"),
        ({"n_images": 5}, r"a smaller delta or clip, or a larger n_images \(now 5\), or a movie with more frames"),
    ],
)
def test_a_movie_may_be_too_short(options: dict, remedies: str) -> None:
    with pytest.raises(UserError, match=rf"its 5 frames leave 1 from 0\.9 to 1 for validation\. Use {remedies}\."):
        footage_of(still(5), **options)


@pytest.mark.parametrize(("frames", "delta", "split"), [(20, 1, 0.8), (60, 2, 0.9), (100, 4, 0.9)])
def test_a_chosen_time_step_takes_no_frames_from_training(frames: int, delta: int, split: float) -> None:
    """Nothing changes in a still movie, so the longest step is taken for which there is room as it is divided."""
    footage = footage_of(still(frames), delta="auto")
    assert footage.config.deltas == (delta,)
    assert splits_of(footage)[0] == ((0.0, split),)
