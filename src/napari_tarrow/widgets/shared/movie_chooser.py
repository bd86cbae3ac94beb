"""Choosing a layer of the viewer as the movie, with a sentence about it and its axes, which can be corrected."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from .combo import Combo, titled
from .layers import LayerFacts, describe_layer, plain, still_there
from .words import as_tip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

_ALTERING = ("data", "axis_labels", "scale", "units", "metadata")  # events of a layer; painting is none of them
_NONE = "Open a movie first: it becomes a layer, and is listed here."


class LayerList(Combo):
    """The viewer's layers of some kinds, kept up to date; they are held weakly.

    Parameters
    ----------
    viewer
    kinds
        Classes of layers; those of the first kind are preferred where nothing is chosen yet.
    nothing
        A first entry for "none of them"; without it, none is offered.

    Signals
    -------
    changed()
        Another layer is chosen.
    altered()
        The chosen layer has other data, or says something else of its axes.
    """

    changed = Signal()
    altered = Signal()

    def __init__(self, viewer: ViewerModel, kinds: tuple[type[Layer], ...], nothing: str = "") -> None:
        super().__init__()
        self._viewer, self._kinds, self._nothing = viewer, kinds, nothing
        self._listed: list[weakref.ref[Layer]] = []
        self._known: weakref.ref[Layer] | None = None
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            event.connect(self._fill)
        self.currentIndexChanged.connect(self._announce)
        self._fill()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, if it is still in the viewer."""
        index = self.currentIndex() - bool(self._nothing)
        layer = self._listed[index]() if 0 <= index < len(self._listed) else None
        return layer if still_there(self._viewer, layer) else None

    def choose(self, layer: Layer) -> None:
        """Choose a layer of the viewer."""
        for index, known in enumerate(self._listed):
            if known() is plain(layer):
                self.setCurrentIndex(index + bool(self._nothing))

    def _fill(self, event: object = None) -> None:
        """List the layers anew, topmost first, and keep the chosen one."""
        del event
        if not isalive(self):
            return
        before = self._known() if self._known is not None else None
        layers = [plain(layer) for layer in self._viewer.layers if self._offered(layer)][::-1]
        self.blockSignals(True)
        self.clear()
        if self._nothing:
            self.addItem(self._nothing)
        for layer in layers:
            self.addItem(layer.name)
            layer.events.name.disconnect(self._fill)
            layer.events.name.connect(self._fill)
        self._listed = [weakref.ref(layer) for layer in layers]
        self.setCurrentIndex(self._place(layers, before))
        self.blockSignals(False)
        self._announce()

    def _offered(self, layer: Layer) -> bool:
        """Whether it is of our kinds, and none that we made ourselves."""
        return isinstance(layer, self._kinds) and "napari_tarrow" not in layer.metadata

    def _place(self, layers: list[Layer], before: Layer | None) -> int:
        for wanted in (before, None if self._nothing else self._viewer.layers.selection.active):
            for index, layer in enumerate(layers):
                preferred = wanted is before or isinstance(layer, self._kinds[0])
                if wanted is not None and layer is plain(wanted) and preferred:
                    return index + bool(self._nothing)
        if self._nothing or not layers:
            return 0 if self._nothing else -1
        return next((index for index, layer in enumerate(layers) if isinstance(layer, self._kinds[0])), 0)

    def _announce(self) -> None:
        layer = self.layer
        before = self._known() if self._known is not None else None
        self.setToolTip(as_tip(layer.name) if layer is not None else "")
        if layer is not before or layer is None:
            self._watch(before, layer)
            self._known = None if layer is None else weakref.ref(layer)
            self.changed.emit()

    def _watch(self, before: Layer | None, layer: Layer | None) -> None:
        for name in _ALTERING:
            if before is not None:
                before.events[name].disconnect(self._alter)
            if layer is not None:
                layer.events[name].connect(self._alter)

    def _alter(self, event: object) -> None:
        del event
        if isalive(self):
            self.altered.emit()


class MovieChooser(QWidget):
    """A list of image layers, the axes of the chosen one, and a sentence about it or about what hinders.

    Parameters
    ----------
    viewer
    title
        A label before the list, `LABEL_WIDTH` wide, so that it stands in line with the rows of a form.

    Signals
    -------
    changed()
        Another layer, other axes, or another state of the layer.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, title: str = "") -> None:
        from napari.layers import Image, Labels

        super().__init__()
        self.facts: LayerFacts | None = None
        self._axes_typed = False
        self.deltas: Sequence[int] = (1,)  # time steps whose pairs are counted in the sentence
        self.list = LayerList(viewer, (Image, Labels))
        self.list.setObjectName("layer")
        self.axes = QLineEdit()
        self.axes.setObjectName("axes")
        self.axes.setMaxLength(5)
        self.axes.setFixedWidth(52)
        self.axes.setToolTip("Axes of the layer, one letter each: T time, C channel, Z, Y, X. Correct them if wrong.")
        self.sentence = QLabel()
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)  # names are no HTML
        self.sentence.setObjectName("layer_sentence")
        self.sentence.setWordWrap(True)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        row = QHBoxLayout()
        if title:
            row.addWidget(titled(title))
        row.addWidget(self.list, 1)
        row.addWidget(self.axes)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(row)
        box.addWidget(self.sentence)
        self.list.changed.connect(self._another_layer)
        self.list.altered.connect(self.look)
        self.axes.textEdited.connect(self._type_axes)
        self._another_layer()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer."""
        return self.list.layer

    def look(self) -> None:
        """Read the layer anew, and its axes where the user did not correct them."""
        layer = self.layer
        axes = self.axes.text() if self._axes_typed else None
        self.facts = None if layer is None else describe_layer(layer, axes, self.deltas)
        if not self._axes_typed:
            self.axes.setText("" if self.facts is None else self.facts.axes.replace("?", ""))
        self.sentence.setText(_NONE if self.facts is None else self.facts.problem or self.facts.sentence)
        self.changed.emit()

    def _type_axes(self) -> None:
        self._axes_typed = True
        self.look()

    def _another_layer(self) -> None:
        self._axes_typed = False
        self.axes.setEnabled(self.layer is not None)
        self.look()
