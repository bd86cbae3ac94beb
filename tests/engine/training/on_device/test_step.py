"""A training step on an accelerator asks it for nothing: torch's `meta` device, which has no values, stands in for one.

Whatever waits for a value (`item`, `if tensor`, `nonzero`), or mixes memory with the device, is an error there.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch

from napari_tarrow.engine.models import FoldedHeads
from napari_tarrow.engine.training.batches import Batches
from napari_tarrow.engine.training.dataset import open_dataset, open_footage
from napari_tarrow.engine.training.network import new_network
from napari_tarrow.engine.training.objective import make_objective

META = torch.device("meta")


@pytest.fixture
def no_autocast(monkeypatch):
    """The meta device knows none."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)


@pytest.fixture
def batches_of():
    """Make batches whose frames lie on the device."""
    with contextlib.ExitStack() as open_movies:

        def make(config):
            cpu = torch.device("cpu")
            data = open_movies.enter_context(open_dataset(config, open_footage(config, None, None), cpu))
            medians = data.store.medians  # read once, before the first step
            store = replace(data.store, values=data.store.values.to(META))
            store.__dict__["medians"] = medians
            return Batches(config, replace(data, store=store), META)

        yield make


@pytest.mark.parametrize(
    "options",
    [
        {"augment": 1},
        {"augment": "auto", "clip": 3},
        {"augment": 5, "clip": 3, "contrast": 2},
        {"augment": 2, "frames": 3},
        {"projhead": "three_3x3convs"},
        {"classhead": "resnet18", "perm_equiv": False},
    ],
    ids=str,
)
def test_a_step_waits_for_nothing_and_leaves_nothing_behind(tiny, batches_of, no_autocast, options):
    config = tiny(**options)
    batches = batches_of(config)
    model = new_network(config, 1, torch.device("cpu")).train().to(META)

    clips, labels = batches.train(0)
    loss, sums = make_objective(config, "32")(model, clips, labels)
    loss.backward()

    assert {clips.device, labels.device, loss.device, sums.device} == {META}
    assert all(parameter.grad.device == META for parameter in model.parameters())


@pytest.mark.parametrize("clip", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nor_do_folded_heads(tiny, batches_of, no_autocast, clip, dtype):
    """Convolutions of the meta device return the plain layout; those of a GPU the features last, which folds heads."""
    config = tiny(clip=clip)
    clips, labels = batches_of(config).train(0)
    model = new_network(config, 1, torch.device("cpu")).train().to(META)
    maps = model.backbone(clips.flatten(0, 1)).detach().to(dtype).contiguous(memory_format=torch.channels_last)
    assert FoldedHeads.of(model, maps)
    if dtype == torch.bfloat16:
        model.classification_head.to(dtype)  # as autocast would

    loss, _ = make_objective(config, "32").judge(model, maps.requires_grad_(), clips, labels)
    loss.backward()

    assert maps.grad.device == META
