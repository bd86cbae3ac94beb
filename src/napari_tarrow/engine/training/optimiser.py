"""Adam as the reference has it, fused where torch offers that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..config import TrainConfig
    from ..models import TimeArrowNet

_WEIGHT_DECAY = 1e-6  # L2 in the gradient, as in the reference


def make_optimiser(config: TrainConfig, model: TimeArrowNet) -> torch.optim.Adam:
    """Return the optimiser of a run; its learning rate is set before every step."""
    fused = model.device.type in ("cpu", "cuda")
    return torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=_WEIGHT_DECAY, fused=fused)
