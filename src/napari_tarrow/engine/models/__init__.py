"""The network, its losses, its folders and its attribution maps."""

from __future__ import annotations

from .backbones import BACKBONES
from .classification import CLASSIFICATION_HEADS
from .folded import FoldedHeads
from .folder import load_state, read_model, write_model, write_state
from .losses import decorrelation_loss
from .network import TimeArrowNet
from .projection import PROJECTION_HEADS

__all__ = [
    "BACKBONES",
    "CLASSIFICATION_HEADS",
    "PROJECTION_HEADS",
    "FoldedHeads",
    "TimeArrowNet",
    "decorrelation_loss",
    "load_state",
    "read_model",
    "write_model",
    "write_state",
]
