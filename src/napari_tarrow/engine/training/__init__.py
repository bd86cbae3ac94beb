"""Training: from movies to a network, as a stream of updates.

`train`, `resume` and `measure` bring torch with them; requests and updates do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import on_demand
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
    ShortcutsFound,
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
    "ShortcutsFound",
    "Started",
    "Update",
    "measure",
    "resume",
    "train",
]

__getattr__, __dir__ = on_demand(
    __name__, {"Estimate": "estimate", "measure": "estimate", "resume": "loop", "train": "loop"}
)
