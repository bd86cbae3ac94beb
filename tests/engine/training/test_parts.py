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


def footage_of(*movies: np.ndarray, **options):
    return open_footage(TrainConfig(size=16, **{"clip": 3, **options}), list(movies), None)


@pytest.mark.parametrize(
    ("frames", "end"), [(60, 0.9), (30, 0.9), (29, 0.9), (20, 0.8), (15, 0.8), (12, 0.8), (9, 0.7), (6, 0.6)]
)
def test_validation_gets_what_a_clip_needs(frames: int, end: float) -> None:
    footage = footage_of(still(frames))
    assert (footage.config.split_train, footage.config.split_val) == (((0.0, end),), ((end, 1.0),))
    assert sum(len(part.clips) for part in footage.train) > 0
    assert sum(len(part.clips) for part in footage.val) > 0
    told = [line for line in footage.summary if line.startswith("Trained on 0 to")]
    usual = end == 0.9
    assert told == (
        [] if usual else [f"Trained on 0 to {end:g} of the movie and validated on the rest: a tenth holds no clip."]
    )


def test_each_time_step_needs_a_clip() -> None:
    assert footage_of(still(30), delta=(1, 2)).config.split_train == ((0.0, 0.8),)
    assert footage_of(still(20), delta=(1, 4)).config.split_train == ((0.0, 0.5),)


def test_one_movie_that_is_long_enough_suffices() -> None:
    footage = footage_of(still(20), still(60))
    assert (footage.config.split_train, footage.config.split_val) == USUAL
    assert any("gives nothing for validation" in line for line in footage.notices)


def test_a_split_of_the_users_stays_and_a_movie_may_be_too_short() -> None:
    given = {"split_train": ((0.0, 0.8),), "split_val": ((0.95, 1.0),)}
    with pytest.raises(UserError, match=r"no clip for validation.* leave 1 from 0\.95 to 1 for validation"):
        footage_of(still(20), **given)
    with pytest.raises(UserError, match=r"its 5 frames leave 1 from 0\.9 to 1 for validation"):
        footage_of(still(5))


def test_a_time_step_is_chosen_that_fits_with_it() -> None:
    """Nothing changes in a still movie, so that the longest step is taken for which there is room."""
    frames = still(40) + np.random.default_rng(1).integers(0, 9, (40, 1, 1)).astype(np.uint16)
    footage = footage_of(frames, delta="auto")
    assert footage.config.deltas[0] > 1
    assert all(part.clips.size for part in (*footage.train, *footage.val))
