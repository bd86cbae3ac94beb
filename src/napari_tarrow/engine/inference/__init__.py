"""Using a trained network on whole movies: embeddings, attribution maps, events.

The public names are imported when they are first used: tables of events need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import on_demand

if TYPE_CHECKING:
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

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "AttributionMap": "attribution",
        "EmbeddedFrame": "embedding",
        "Event": "events",
        "MapKind": "attribution",
        "TrainedModel": "trained",
        "attribute": "attribution",
        "draw_run_events": "run_events",
        "embed": "embedding",
        "find_events": "events",
        "open_for": "opening",
        "read_events": "event_table",
        "read_trained": "trained",
        "suggest_threshold": "events",
        "write_events": "event_table",
    },
)
