"""What the network sees while it trains: a map over the frame in view, every few seconds."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QCheckBox

from ..shared.layers import laid_over, like, plain, provenance, still_there
from ..shared.roomy import roomy
from ..shared.views import frame_in_view

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from ...engine.training import Control, FrameMapShown
    from ..shared.layers import LayerFacts

_BETWEEN_LOOKS = 400  # milliseconds
_BETWEEN_MAPS = 2.5  # seconds
_SHARE = 5  # training goes on for so many times as long as a map took
_PATIENCE = 60.0  # seconds until an unanswered question is asked again


class LiveMap(QObject):
    """A tick box and the layer it keeps fresh; the layer is written in place, never made anew.

    Parameters
    ----------
    viewer
    parent
        The dock: what it holds is not asked for longer than it lives.
    """

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self.box = QCheckBox("Show on the movie what it learns")
        self.box.setObjectName("live")
        self.box.setToolTip("A layer with the attribution map of the frame in view, refreshed every few seconds")
        self._viewer = viewer
        self._control: Control | None = None
        self._source: weakref.ref[Layer] | None = None
        self._facts: LayerFacts | None = None
        self._layer: weakref.ref[Image] | None = None
        self._maps: np.ndarray | None = None
        self._record: dict[str, Any] = {}
        self._asked: float | None = None
        self._next = 0.0
        self._top = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(_BETWEEN_LOOKS)
        self._timer.timeout.connect(self._ask)

    @property
    def layer(self) -> Image | None:
        """The layer with the maps, if it is in the viewer."""
        layer = self._layer() if self._layer is not None else None
        return layer if still_there(self._viewer, layer) else None

    def begin(self, control: Control, source: Layer, facts: LayerFacts, configuration: dict[str, Any]) -> None:
        """Follow a run on a layer, where the box is ticked."""
        self._control, self._source, self._facts = control, weakref.ref(plain(source)), facts
        self._record = provenance(configuration=configuration, live=True)
        self._layer, self._maps = None, None
        self._asked, self._next, self._top = None, 0.0, 0.0
        self._timer.start()

    def end(self) -> None:
        """Leave the layer as it is."""
        self._timer.stop()
        self._control = None

    def take(self, shown: FrameMapShown) -> None:
        """Write a map that has come into the layer."""
        now = time.monotonic()
        took = now - (self._asked or now)
        self._asked, self._next = None, now + max(_BETWEEN_MAPS, _SHARE * took)
        source = self._source() if self._source is not None else None
        if not self.box.isChecked() or self._facts is None or source is None or not still_there(self._viewer, source):
            return
        if self._layer is None:
            self._add(source, self._facts)
        layer = self.layer
        if layer is None or self._maps is None:  # the user has taken it away
            self.box.setChecked(False)
            self._layer = None  # ticked again, there is a new one
            return
        self._write(layer, shown)

    def _ask(self) -> None:
        source = self._source() if self._source is not None else None
        if self._control is None or self._facts is None or not self.box.isChecked():
            return
        if source is None or not still_there(self._viewer, source):
            return
        now = time.monotonic()
        waits = self._asked is not None and now - self._asked < _PATIENCE
        if not waits and now >= self._next:
            self._asked = now
            self._control.ask_map(frame_in_view(self._viewer, source, self._facts.axes))

    def _add(self, source: Layer, facts: LayerFacts) -> None:
        assert facts.source is not None
        frames, _, height, width = facts.source.shape
        self._maps = roomy((frames, height, width), np.float32)
        layer = self._viewer.add_image(
            laid_over(self._maps, facts.axes, facts.shape),
            name=f"{source.name} live map",
            colormap="inferno",
            blending="additive",
            contrast_limits=(0, 1),
            metadata={**self._record},
            **like(source, axes=facts.axes, own=facts.axes),
        )
        self._layer = weakref.ref(plain(layer))
        self._viewer.layers.selection.active = source  # as before: the movie is what the user works with

    def _write(self, layer: Image, shown: FrameMapShown) -> None:
        assert self._maps is not None
        step = shown.subsample
        values = shown.map.repeat(step, 0).repeat(step, 1) if step > 1 else shown.map
        top, left = (step * place for place in shown.corner)
        height, width = values.shape
        self._maps[shown.frames[0], top : top + height, left : left + width] = values
        brightest = float(np.quantile(values[:: max(1, height // 256), :: max(1, width // 256)], 0.999))
        top_value = max(brightest, 0.7 * self._top, 1e-6)
        if not 0.8 * self._top <= top_value <= 1.2 * self._top:
            self._top = top_value
            layer.contrast_limits_range = (0, 2 * top_value)
            layer.contrast_limits = (0, top_value)
        layer.refresh(extent=False, thumbnail=False)
