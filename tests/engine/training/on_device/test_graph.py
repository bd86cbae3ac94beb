"""Steps that are replayed as a CUDA graph do what steps do that are not. It takes a GPU."""

from __future__ import annotations

import pytest
import torch

from napari_tarrow.engine.models import BACKBONES
from napari_tarrow.engine.training import stepper
from napari_tarrow.engine.training.batches import Batches
from napari_tarrow.engine.training.dataset import open_dataset, open_footage
from napari_tarrow.engine.training.network import new_network
from napari_tarrow.engine.training.objective import make_objective, new_sums
from napari_tarrow.engine.training.stepper import Stepper

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

OPTIONS = [
    {"clip": 3, "augment": 5},
    {"clip": 3, "augment": "auto", "contrast": 2},
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


@pytest.fixture
def train(tiny):
    """Take some steps from weights that are always the same; returns the batches, the sums and the weights."""

    def steps_of(options, precision="32"):
        config, device = tiny(**options, lr=1e-3), torch.device("cuda:0")
        with open_dataset(config, open_footage(config, None, None), device) as data:
            batches = Batches(config, data, device)
            model, sums = new_network(config, 1, device), new_sums(device)
            steps = Stepper(config, model, make_objective(config, precision), batches.made)
            for number in range(6):
                sums += steps.train(batches.inputs(number), 1e-3 / (1 + number))
                sums += steps.validate(batches.validation_inputs(0, 3 if number == 5 else 4))  # the last is not whole
            return batches, [sums, *model.state_dict().values()]

    return steps_of


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_graph_trains_as_its_operations_do(tiny, train, exact, monkeypatch, options, precision):
    _, found = train(options, precision)
    monkeypatch.setattr(stepper, "_BEFORE_CAPTURE", 100)  # then nothing is captured
    _, expected = train(options, precision)

    tolerance = 5e-2 if precision == "bf16" else 1e-2  # a first step of Adam is as long for rounding as for a gradient
    untrained = new_network(tiny(**options), 1, torch.device("cuda:0")).state_dict().values()
    assert max((a - b).abs().max() for a, b in zip(expected[1:], untrained, strict=True)) > 1e-4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_frames_that_stay_in_memory_train_alike(train, exact, monkeypatch):
    options = {"augment": 1, "clip": 3}
    batches, expected = train(options)
    assert "clips" not in batches.inputs(0)
    monkeypatch.setattr("napari_tarrow.engine.training.frames.free_memory", lambda device: 1e9 * (device.type == "cpu"))
    batches, found = train(options)
    assert "clips" in batches.inputs(0)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("options", [{"augment": 1}, {"augment": "auto", "clip": 3, "contrast": 2}], ids=str)
def test_batches_are_those_of_the_cpu(tiny, options):
    config, found = tiny(**options), []
    for device in (torch.device("cuda:0"), torch.device("cpu")):
        with open_dataset(config, open_footage(config, None, None), device) as data:
            batches = Batches(config, data, device)
            found.append([tensor.cpu() for tensor in (*batches.train(3), *batches.validate(0, 4))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
