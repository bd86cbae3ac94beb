"""Whole trainings, embeddings and maps on a device that is not the CPU: what comes out is what the CPU gives.

`test_whole_runs.py` runs this file in a process of its own, as a device has to be registered before torch's first
backward pass, and stays.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import image

from napari_tarrow.engine.config import UseConfig
from napari_tarrow.engine.devices import choose_device
from napari_tarrow.engine.inference import attribute, draw_run_events, embed, open_for
from napari_tarrow.engine.inference.maps.attribution import MAP_KINDS
from napari_tarrow.engine.trained import read_trained
from napari_tarrow.engine.training import Control, resume, train
from napari_tarrow.engine.training.updates import EpochEnded, Finished

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDING = 2e-3  # what it grows to in a few steps, where sums are taken in another order


@pytest.fixture(params=["elsewhere", *(["cuda:0"] if torch.cuda.is_available() else [])])
def there(request, monkeypatch):
    """The device that stands in for a GPU, and a GPU where there is one."""
    if request.param == "elsewhere":
        return request.getfixturevalue("elsewhere")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return torch.device(request.param)


def finish(updates):
    """Train to the end; returns the run folder and the losses of all epochs."""
    updates = list(updates)
    assert isinstance(updates[-1], Finished)
    epochs = [update for update in updates if isinstance(update, EpochEnded)]
    return updates[-1].run_folder, [[epoch.train.loss, epoch.val.loss] for epoch in epochs]


def results_of(folder, movie, device):
    """Everything that a trained network gives for a movie."""
    trained = read_trained(folder, device)
    assert trained.network.device == device
    prepared, _ = open_for(trained, UseConfig(movie=str(movie)))
    yield [one.embedding for one in embed(trained, prepared)]
    for kind in MAP_KINDS if trained.network.config["symmetric"] else ("gradcam", "contribution"):
        yield [one.map for one in attribute(trained, prepared, trained.delta, kind=kind)]


def test_the_stand_in_refuses_what_a_gpu_refuses(elsewhere):
    there = torch.ones(3).to(elsewhere)
    assert (there + 1).device == elsewhere
    assert (there + 1).cpu().tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="another device"):
        there + torch.ones(3)
    with pytest.raises(TypeError, match="another device"):
        there.numpy()
    with pytest.raises(TypeError, match="another device"):
        np.asarray(there)


@pytest.mark.parametrize(
    "options",
    [
        {"clip": 3, "delta": [1, 2], "change_power": 2, "augment": 5, "shortcuts": True, "keep": "last"},
        {"reject_background": True, "frames": 3},
        {"perm_equiv": False, "binarize": True, "subsample": 2},
    ],
    ids=str,
)
def test_a_training_and_all_that_follows_from_it(tiny, movie, there, options):
    _, losses_there = finish(train(tiny(**options, device=str(there), name="there")))
    folder, losses = finish(train(tiny(**options, device="cpu", name="here")))
    np.testing.assert_allclose(losses_there, losses, rtol=ROUNDING)

    of_one_model = (results_of(folder, movie, device) for device in (there, torch.device("cpu")))
    for found, expected in zip(*of_one_model, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_run_goes_on_elsewhere(tiny, there):
    whole = finish(train(tiny(epochs=3, name="whole")))[1]
    control = Control()
    for update in train(tiny(epochs=3, name="broken"), control):
        if isinstance(update, EpochEnded):
            control.stop()
    folder = update.run_folder
    rest = finish(resume(folder, device=str(there)))[1]
    np.testing.assert_allclose(rest, whole[1:], rtol=ROUNDING)
    assert choose_device()[0] == there
    for _ in draw_run_events(folder, folder / "events.png"):
        pass
    assert image.imread(folder / "events.png").ndim == 3
