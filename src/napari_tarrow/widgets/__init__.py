"""Faces in napari: three docks, each loaded when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.lazy import on_demand

if TYPE_CHECKING:
    from .attribution.widget import AttributionWidget
    from .embedding.widget import EmbeddingWidget
    from .training.widget import TrainWidget

__all__ = ["AttributionWidget", "EmbeddingWidget", "TrainWidget"]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "AttributionWidget": "attribution.widget",
        "EmbeddingWidget": "embedding.widget",
        "TrainWidget": "training.widget",
    },
)
