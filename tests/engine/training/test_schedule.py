from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tarrow.engine.training.schedule import Schedule, plateau_drops

GOLDEN = Path(__file__).parents[2] / "golden"


def test_cyclic_is_the_references() -> None:
    expected = np.load(GOLDEN / "golden.npz")["schedule/cyclic_steps7"]
    schedule = Schedule("cyclic", 1e-4, steps=60, steps_per_epoch=7)
    assert np.allclose([schedule.rate(step) for step in range(60)], expected, rtol=1e-6, atol=0)


def test_onecycle_rises_to_the_rate_and_falls_to_almost_nothing() -> None:
    schedule = Schedule("onecycle", 1e-3, steps=100, steps_per_epoch=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(4e-5)
    assert max(rates) == pytest.approx(1e-3)
    assert np.argmax(rates) == 15
    assert rates[-1] < 3e-6
    assert np.all(np.diff(rates[15:]) < 0)


@pytest.mark.parametrize("patience", [1, 3])
def test_plateau_drops_when_torchs_does(patience: int) -> None:
    losses = [1.0, 0.9, 0.95, 0.91, 0.93, 0.92, 0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.49, 0.49999]
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.2, patience=patience)
    schedule = Schedule("plateau", 1.0, steps=100, steps_per_epoch=10)
    for count, loss in enumerate(losses, 1):
        reference.step(loss)
        rate = schedule.rate(0, plateau_drops(losses[:count], patience))
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"])
