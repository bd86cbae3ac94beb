"""Training: from movies to a network, as a stream of updates.

`train`, `resume` and `measure` bring torch with them; requests and updates do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .control import Control
from .updates import (
    EpochEnded,
    FeaturesShown,
    Finished,
    FrameMapShown,
    MapsShown,
    Metrics,
    Notice,
    PatchesShown,
    Progress,
    Started,
    Update,
)

if TYPE_CHECKING:
    from .estimate import Estimate, measure
    from .loop import resume, train

__all__ = [
    "Control",
    "EpochEnded",
    "Estimate",
    "FeaturesShown",
    "Finished",
    "FrameMapShown",
    "MapsShown",
    "Metrics",
    "Notice",
    "PatchesShown",
    "Progress",
    "Started",
    "Update",
    "measure",
    "resume",
    "train",
]

_MODULE_OF = {"Estimate": "estimate", "measure": "estimate", "resume": "loop", "train": "loop"}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
