"""The network a run starts with."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from napari_tarrow.engine.training import network as module
from napari_tarrow.engine.training.network import new_network

if TYPE_CHECKING:
    import pytest

Make = "Callable[..., TrainConfig]"


def test_networks_made_at_once_have_the_weights_of_their_seeds(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(seed: int) -> torch.Tensor:
        weights = new_network(tiny(seed=seed), 1, torch.device("cpu")).state_dict().values()
        return torch.cat([one.flatten().float() for one in weights])

    one_by_one = [made(seed) for seed in (1, 2)]
    own, both = module.TimeArrowNet, threading.Barrier(2)

    def slow(**options: Any) -> Any:
        time.sleep(0.1)  # meanwhile another thread would seed the generator, too
        return own(**options)

    def at_once(seed: int) -> torch.Tensor:
        both.wait()
        return made(seed)

    monkeypatch.setattr(module, "TimeArrowNet", slow)
    with ThreadPoolExecutor(2) as pool:
        for found, expected in zip(pool.map(at_once, (1, 2)), one_by_one, strict=True):
            assert torch.equal(found, expected)
