"""Using a trained network on whole movies: embeddings, attribution maps, events.

The public names are imported when they are first used: tables of events need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import on_demand

if TYPE_CHECKING:
    from .embeddings.embedding import EmbeddedFrame, embed
    from .events.events import Event, find_events
    from .events.run_events import draw_run_events
    from .events.table import read_events, write_events
    from .events.threshold import suggest_threshold
    from .maps.attribution import AttributionMap, MapKind, attribute
    from .opening import open_for

__all__ = [
    "AttributionMap",
    "EmbeddedFrame",
    "Event",
    "MapKind",
    "attribute",
    "draw_run_events",
    "embed",
    "find_events",
    "open_for",
    "read_events",
    "suggest_threshold",
    "write_events",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "AttributionMap": "maps.attribution",
        "EmbeddedFrame": "embeddings.embedding",
        "Event": "events.events",
        "MapKind": "maps.attribution",
        "attribute": "maps.attribution",
        "draw_run_events": "events.run_events",
        "embed": "embeddings.embedding",
        "find_events": "events.events",
        "open_for": "opening",
        "read_events": "events.table",
        "suggest_threshold": "events.threshold",
        "write_events": "events.table",
    },
)
