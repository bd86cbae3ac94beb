"""Time and memory before a run."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.training.batches import Batches
from napari_tarrow.engine.training.control import Control, Interrupted
from napari_tarrow.engine.training.estimate import measure

if TYPE_CHECKING:
    from pathlib import Path

Make = "Callable[..., TrainConfig]"


def test_an_estimate_says_time_memory_and_what_would_be_trained_on(tiny: Make, tmp_path: Path) -> None:
    found = measure(tiny(epochs=3))
    assert found.fits
    assert (found.epochs, found.steps_per_epoch, found.precision) == (3, 3, "32")
    assert found.seconds_per_epoch == pytest.approx(found.seconds / 3)
    assert 0 < found.needed < found.free
    assert found.device.startswith("CPU")
    assert "Movie growing: 12 frames of 24 x 28, uint16, 1 channel." in found.summary
    assert not (tmp_path / "runs").exists()


def test_memory_grows_with_the_batch(tiny: Make) -> None:
    small, large = (measure(tiny(batchsize=size)).needed for size in (4, 16))
    assert 2 < large / small < 4.1  # weights take their part


def test_only_the_first_frames_are_read(tiny: Make) -> None:
    read: set[int] = set()
    frames = np.random.default_rng(0).integers(0, 1000, (300, 24, 28)).astype(np.uint16)

    class Lazy:
        shape, dtype = frames.shape, frames.dtype

        def __getitem__(self, key: Any) -> np.ndarray:
            read.add(key[0])
            return frames[key]

    found = measure(tiny(normalize="movie", delta=[2]), iter([Lazy()]))
    assert max(read) < 12
    assert any("300 frames" in text for text in found.summary)


def test_it_can_be_stopped(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    control, drawn = Control(), []
    inputs = Batches.inputs

    def stopping(self: Batches, step: int) -> Any:
        drawn.append(step)
        control.stop()
        return inputs(self, step)

    monkeypatch.setattr(Batches, "inputs", stopping)
    with pytest.raises(Interrupted):
        measure(tiny(), control=control)
    assert drawn == [0]


def test_a_lack_of_memory_is_part_of_the_answer(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.plan.free_memory", lambda device: 1000)
    monkeypatch.setattr("napari_tarrow.engine.training.estimate.free_memory", lambda device: 1000)
    found = measure(tiny())
    assert not found.fits
    assert found.seconds_per_epoch is None
    assert found.needed > found.free == 1000


def test_what_would_keep_a_run_from_starting_is_said(tiny: Make) -> None:
    with pytest.raises(UserError, match="has no clip for training at delta 50"):
        measure(tiny(delta=[50]))


def test_minutes_become_epochs(tiny: Make) -> None:
    found = measure(tiny(minutes=0.05))
    assert found.seconds == pytest.approx(3, rel=0.6)


def test_nothing_that_was_measured_stays_in_memory(tiny: Make) -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    measure(tiny())
    before = tensors()
    measure(tiny())
    assert tensors() == before
