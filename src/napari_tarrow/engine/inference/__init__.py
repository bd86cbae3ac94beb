"""Using a trained network: attribution maps and the strongest places of whole movies."""

from __future__ import annotations

from .attribution import AttributionMap, MapKind, attribute
from .places import Place, draw_strongest_places, strongest_places
from .trained import TrainedModel, read_trained

__all__ = [
    "AttributionMap",
    "MapKind",
    "Place",
    "TrainedModel",
    "attribute",
    "draw_strongest_places",
    "read_trained",
    "strongest_places",
]
