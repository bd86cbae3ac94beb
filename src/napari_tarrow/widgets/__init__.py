"""Faces in napari: three docks, each loaded when it is first opened."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attribution import AttributionWidget
    from .embedding import EmbeddingWidget
    from .train import TrainWidget

__all__ = ["AttributionWidget", "EmbeddingWidget", "TrainWidget"]

_MODULE_OF = {"AttributionWidget": "attribution", "EmbeddingWidget": "embedding", "TrainWidget": "train"}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
