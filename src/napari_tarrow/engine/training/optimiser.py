"""Adam as the reference has it, fused where torch offers that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..apart import import_triton

if TYPE_CHECKING:
    from ..config import TrainConfig
    from ..models import TimeArrowNet

_WEIGHT_DECAY = 1e-6  # L2 in the gradient, as in the reference


def make_optimiser(config: TrainConfig, model: TimeArrowNet) -> torch.optim.Adam:
    """Return the optimiser of a run; its learning rate is set before every step."""
    import_triton()
    cuda = model.device.type == "cuda"
    rate = torch.tensor(config.lr, device=model.device) if cuda else config.lr
    fused = cuda or model.device.type == "cpu"
    return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=_WEIGHT_DECAY, fused=fused, capturable=cuda)


def set_rate(optimiser: torch.optim.Adam, rate: float) -> None:
    """Set the learning rate; on CUDA where it lies, since captured steps read it there."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def go_on(optimiser: torch.optim.Adam, state: dict[str, Any]) -> None:
    """Take up the state of an optimiser that may have been on another device.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is of another network, or damaged.
    """
    for group in state["param_groups"]:
        group |= {name: optimiser.defaults[name] for name in ("lr", "fused", "capturable")}
    optimiser.load_state_dict(state)
