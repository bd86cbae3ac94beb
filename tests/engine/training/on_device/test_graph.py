"""Steps that are replayed as a CUDA graph do what steps do that are not. It takes a GPU."""

from __future__ import annotations

import copy

import pytest
import torch

from napari_tarrow.engine.models import BACKBONES
from napari_tarrow.engine.training import stepper
from napari_tarrow.engine.training.dataset import open_dataset, open_footage
from napari_tarrow.engine.training.network import new_network
from napari_tarrow.engine.training.objective import new_sums
from napari_tarrow.engine.training.session import Batches, make_objective
from napari_tarrow.engine.training.stepper import Stepper

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

OPTIONS = [
    {"clip": 3, "augment": 5},
    {"frames": 3},
    {"projhead": "three_3x3convs"},
    {"classhead": "resnet18", "perm_equiv": False},
    {"classhead": "unet", "perm_equiv": False},
    {"classhead": "difference"},
    *({"backbone": name, "size": 24} for name in BACKBONES),
]


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_graph_trains_as_its_operations_do(tiny, exact, monkeypatch, options, precision):
    config, device = tiny(**options, lr=1e-3), torch.device("cuda:0")
    with open_dataset(config, open_footage(config, None, None), device) as data:
        batches = Batches(config, data, device)
        model = new_network(config, 1, device)
        found = []
        for before in (2, 100):  # then nothing is captured
            monkeypatch.setattr(stepper, "_BEFORE_CAPTURE", before)
            own, sums = copy.deepcopy(model), new_sums(device)
            steps = Stepper(config, own, make_objective(config, precision))
            for number in range(6):
                sums += steps.train(*batches.train(number), 1e-3 / (1 + number))
                sums += steps.validate(*batches.validate(0, 3 if number == 5 else 4))  # the last is not whole
            found.append([sums, *own.state_dict().values()])

    tolerance = 5e-2 if precision == "bf16" else 1e-2  # a first step of Adam is as long for rounding as for a gradient
    moved = [(a - b).abs().max() for a, b in zip(found[1][1:], model.state_dict().values(), strict=True)]
    assert max(moved) > 1e-4
    for replayed, expected in zip(*found, strict=True):
        torch.testing.assert_close(replayed, expected, rtol=tolerance, atol=tolerance)
