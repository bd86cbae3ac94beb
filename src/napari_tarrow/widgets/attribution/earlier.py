"""What was shown of a movie before, and would be seen through what is shown now."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from ..shared.layers import plain

if TYPE_CHECKING:
    from napari.layers import Layer


class Earlier:
    """The layers that were made last of each movie; layers and movies are held weakly."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Layer, list[weakref.ref[Layer]]] = weakref.WeakKeyDictionary()

    def replace(self, movie: Layer, *layers: Layer | None) -> None:
        """Hide those of a movie: these are shown instead."""
        for reference in self._known.get(plain(movie), []):
            if (layer := reference()) is not None:
                layer.visible = False
        self._known[plain(movie)] = [weakref.ref(plain(layer)) for layer in layers if layer is not None]
