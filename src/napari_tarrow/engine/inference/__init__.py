"""Using a trained network on whole movies: embeddings, attribution maps, events."""

from __future__ import annotations

from .attribution import AttributionMap, MapKind, attribute
from .embedding import EmbeddedFrame, embed
from .event_table import read_events, write_events
from .events import Event, find_events, suggest_threshold
from .opening import open_for
from .run_events import draw_run_events
from .trained import TrainedModel, read_trained

__all__ = [
    "AttributionMap",
    "EmbeddedFrame",
    "Event",
    "MapKind",
    "TrainedModel",
    "attribute",
    "draw_run_events",
    "embed",
    "find_events",
    "open_for",
    "read_events",
    "read_trained",
    "suggest_threshold",
    "write_events",
]
