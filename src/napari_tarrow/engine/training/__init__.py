"""Training: from movies to a network, as a stream of updates."""

from __future__ import annotations

from .control import Control
from .loop import resume, train
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

__all__ = [
    "Control",
    "EpochEnded",
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
    "resume",
    "train",
]
