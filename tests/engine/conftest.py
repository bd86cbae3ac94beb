"""The golden data, and networks filled with its weights."""

from __future__ import annotations

import importlib.util
import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_tarrow.engine import threads
from napari_tarrow.engine.models import TimeArrowNet

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()


@pytest.fixture
def unasked_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nobody say how many threads compute, and leave torch as it was."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def busy_core(unasked_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads, and one core for them."""
    monkeypatch.setattr(threads, "_measured", lambda counts: {count: 0.1 * count**5 for count in counts})
    torch.set_num_threads(2)


class Golden:
    """Output of the reference implementation, and the weights and inputs that it was given."""

    def __init__(self) -> None:
        described = json.loads((GOLDEN / "golden.json").read_text())
        self.layouts: dict[str, dict[str, list[int]]] = described["layouts"]
        self.networks: dict[str, Any] = described["networks"]
        # Where sums round as they did for the golden data, chaotic results can be compared more strictly. The order of
        # sums follows from the processor's instructions and, in MKL, from who made it.
        facts = Path("/proc/cpuinfo")
        made_by_amd = facts.exists() and "AuthenticAMD" in facts.read_text()
        self.same_arithmetic = torch.backends.cpu.get_cpu_capability() == "AVX512" and made_by_amd
        spec = importlib.util.spec_from_file_location("golden_fill", GOLDEN / "fill.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._fill = module

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / "golden.npz") as stored:
            return dict(stored)

    def image(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(self._fill.image(name, shape))

    def state(self, layout: str) -> dict[str, torch.Tensor]:
        return {
            name: torch.from_numpy(np.asarray(self._fill.tensor(name, tuple(shape))))
            for name, shape in self.layouts[layout].items()
        }

    def fill(self, module: torch.nn.Module, layout: str) -> torch.nn.Module:
        module.load_state_dict(self.state(layout))
        return module.eval()

    @lru_cache  # noqa: B019, one object per session
    def network(self, name: str) -> TimeArrowNet:
        return self.fill(TimeArrowNet(**self.networks[name]), name)

    def compare(self, actual: Any, key: str, rtol: float = 1e-4) -> None:
        expected = self.arrays[key]
        actual = actual.detach().numpy() if isinstance(actual, torch.Tensor) else np.asarray(actual)
        assert actual.shape == expected.shape
        if expected.dtype == np.float16:
            rtol = 1e-3
        atol = rtol * np.abs(expected.astype(np.float64)).max()
        np.testing.assert_allclose(actual, expected.astype(np.float64), rtol=rtol, atol=atol)
