"""Inputs of batches, and the batches made of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_tarrow.engine.training.batches import Batches
from napari_tarrow.engine.training.dataset import open_dataset, open_footage
from napari_tarrow.engine.training.packing import Layout, on_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tarrow.engine.config import TrainConfig

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.fixture
def batches_of(tiny: Callable[..., TrainConfig]) -> Iterator[Callable[..., Batches]]:
    with contextlib.ExitStack() as opened:

        def make(**options: Any) -> Batches:
            config = tiny(**options)
            data = opened.enter_context(open_dataset(config, open_footage(config, None, None), CPU))
            return Batches(config, data, CPU)

        yield make


def test_with_a_rising_level_the_inputs_of_every_step_are_laid_out_alike(batches_of: Callable[..., Batches]) -> None:
    batches = batches_of(augment="auto", clip=3, contrast=2)
    first, late = int(0.1 * batches.augmentation.rising_until), int(2 * batches.augmentation.rising_until)
    bends = []
    for step in (*range(20), *range(first, first + 20), *range(late, late + 20)):
        inputs = batches.inputs(step)
        assert Layout.of(inputs) == Layout.of(batches.inputs(0))
        bends.append(bool(inputs["elastic"].any()))
    assert {*bends} == {False, True}


@pytest.mark.parametrize("options", [{"augment": level} for level in range(6)] + [{"reject_background": True}], ids=str)
def test_so_are_those_of_a_level(batches_of: Callable[..., Batches], options: dict[str, Any]) -> None:
    batches = batches_of(**options)
    assert len({Layout.of(batches.inputs(step)) for step in range(20)}) == 1
    assert ("elastic" in batches.inputs(0)) == (options.get("augment", 5) >= 4)


def test_the_last_validation_batch_is_laid_out_otherwise(batches_of: Callable[..., Batches]) -> None:
    batches = batches_of()
    whole, also, part = (Layout.of(batches.validation_inputs(step, 10)) for step in range(3))
    assert whole == also != part


@pytest.mark.parametrize("options", [{"augment": 1}, {"augment": 5, "clip": 3, "contrast": 2}], ids=str)
def test_making_a_batch_leaves_its_inputs(batches_of: Callable[..., Batches], options: dict[str, Any]) -> None:
    batches = batches_of(**options)
    inputs = batches.inputs(0)
    before = {name: array.copy() for name, array in inputs.items()}
    tensors = on_device(inputs, CPU)
    clips, again = batches.made(tensors)[0], batches.made(tensors)[0]
    assert torch.equal(clips, again)
    assert all(np.array_equal(array, before[name]) for name, array in inputs.items())


def test_where_frames_lie_elsewhere_the_inputs_hold_the_clips(batches_of: Callable[..., Batches]) -> None:
    batches = batches_of(augment=5)
    inputs = replace(batches, device=META).inputs(0)
    clips, labels = batches.train(0)
    assert list(inputs) == ["clips", "labels"]
    assert np.array_equal(inputs["clips"], clips.numpy())
    assert np.array_equal(inputs["labels"], labels.numpy())
    assert replace(batches, device=META).train(0)[0].device == META
