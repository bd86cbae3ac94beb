"""Where the viewer looks, and moving it to a place of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .layers import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray


def frame_in_view(viewer: ViewerModel, layer: Layer, axes: str) -> int:
    """Return the index of the layer's frame that the viewer shows."""
    place = place_in_view(viewer, layer)
    time = axes.index("T")
    shape = plain(layer).data[0].shape if getattr(layer, "multiscale", False) else layer.data.shape
    return int(np.clip(round(float(place[time])), 0, shape[time] - 1))


def place_in_view(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    """Return where the viewer's sliders stand, one coordinate for each of the layer's axes."""
    return np.asarray(layer.world_to_data(tuple(viewer.dims.point)[-layer.ndim :]), float)


def go_to(viewer: ViewerModel, layer: Layer, place: Sequence[float]) -> None:
    """Show a place of a layer, one coordinate for each of its axes: its frame, in the middle of the canvas."""
    world = np.asarray(layer.data_to_world(tuple(place)), float)
    offset = viewer.dims.ndim - len(world)
    shown = viewer.dims.displayed
    for axis, value in enumerate(world):
        if axis + offset not in shown:
            viewer.dims.set_point(axis + offset, float(value))
    centre = [float(world[axis - offset]) for axis in shown]
    camera(viewer).center = (*([0.0] * (3 - len(centre))), *centre)


def camera(viewer: ViewerModel) -> Any:
    """Return the viewer's camera, which lies in its scene since napari 0.9."""
    return getattr(viewer, "scene", viewer).camera
