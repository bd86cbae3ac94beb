"""Room for results: where it is, and what it leaves to the work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("napari")

from napari_tarrow.engine.inference.projections import memory
from napari_tarrow.widgets.shared import roomy as module
from napari_tarrow.widgets.shared.roomy import left_beside, roomy

CPU = torch.device("cpu")


def test_what_would_take_too_much_memory_lies_in_a_file(monkeypatch):
    monkeypatch.setattr(module, "_free", lambda: 10_000)
    small, large = roomy((10, 40), np.float64), roomy((11, 50), np.float64)
    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    assert not small.any()
    assert not large.any()


def test_a_result_in_memory_is_left_out_of_what_work_may_take_before_it_is_written(monkeypatch):
    monkeypatch.setattr(memory, "used_memory", lambda device: 1_000)
    monkeypatch.setattr(memory, "free_memory", lambda device: 10_000)
    result = np.zeros(500)
    assert left_beside(result, CPU, 7_000) == 3_000
    assert left_beside(result, CPU, None) == 1_000 + 8_000 - 4_000


def test_a_result_elsewhere_takes_nothing_from_the_work(monkeypatch):
    monkeypatch.setattr(module, "_free", lambda: 0)
    for result, device in ((roomy((5, 5), np.float32), CPU), (None, CPU), (np.zeros(500), torch.device("meta"))):
        assert left_beside(result, device, 7_000) == 7_000
        assert left_beside(result, device, None) is None
