"""Faces in napari: three docks, each loaded when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.lazy import on_demand

if TYPE_CHECKING:
    from .attribution import AttributionWidget
    from .embedding import EmbeddingWidget
    from .train import TrainWidget

__all__ = ["AttributionWidget", "EmbeddingWidget", "TrainWidget"]

__getattr__, __dir__ = on_demand(
    __name__, {"AttributionWidget": "attribution", "EmbeddingWidget": "embedding", "TrainWidget": "train"}
)
