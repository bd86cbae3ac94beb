"""The dock "Compute embeddings": the dense representation of a movie as layers, in colours and channel by channel."""

from __future__ import annotations

import functools
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from ...engine.errors import UserError
from ...engine.files import in_words
from ...engine.inference.embeddings.pooling import open_labels
from ..shared.combo import Combo
from ..shared.dock import UseDock, note
from ..shared.layers import describe_layer, laid_over, like, plain, provenance, still_there
from ..shared.movie_chooser import LayerList
from ..shared.preferences import read_preferences
from ..shared.runs import HEAD_LAYERS
from ..shared.views import frame_in_view
from .object_features import put_features
from .work import (
    EmbeddingBegun,
    EmbeddingOrder,
    FrameColoured,
    FrameEmbedded,
    ObjectsPooled,
    compute_embedding,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari.viewer
    from napari.layers import Image, Labels

    from ..shared.layers import LayerFacts

_MEMORY, _DISK = "in memory", "in a zarr on the disk"


class EmbeddingWidget(UseDock):
    """Movie, model, and what is computed of them; a button to compute."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        from napari.layers import Labels

        super().__init__(napari_viewer, "Compute", "TAP embedding of {movie}")
        self._facts: LayerFacts | None = None  # of the movie of the job, without its data
        self._order: EmbeddingOrder | None = None
        self._labels: weakref.ref[Labels] | None = None
        self._layers: list[weakref.ref[Image]] = []
        self._record: dict[str, Any] = {}
        self._name, self._done, self._coloured, self._pooled = "", 0, 0, ""
        self._path: Path | None = None
        self.head_layer = Combo("head_layer")
        self.head_layer.setToolTip("Layer of the projection head whose output is taken; the last is the embedding")
        self.where = Combo("where")
        self.where.addItem(_MEMORY)
        self.where.addItem(_DISK)
        self.choose_button = QPushButton("Choose…")
        self.choose_button.setToolTip("Choose the zarr; one that was begun with these settings is gone on with")
        self.size_note = note("")
        self.size_note.setObjectName("size")
        self.labels = LayerList(napari_viewer, (Labels,), nothing="none")
        self.labels.setObjectName("labels")
        self._lay_out()
        self.model.changed.connect(self._suit_model)
        self.where.currentIndexChanged.connect(self._refresh)
        self.labels.changed.connect(self._refresh)
        self.labels.altered.connect(self._refresh)
        self.choose_button.clicked.connect(self.choose_path)
        self._suit_model()
        self._add_run_bar()
        self.box.addStretch(1)

    def choose_path(self) -> None:
        """Ask for the zarr to write."""
        layer = self.movie.layer
        start = self._path or Path.home() / f"{layer.name if layer else 'movie'}_embedding.zarr"
        path, _ = QFileDialog.getSaveFileName(
            self, "Write the embedding to", str(start), "OME-Zarr (*.zarr)", options=_WITHOUT_ASKING
        )
        if path:
            self._path = Path(path) if path.endswith(".zarr") else Path(f"{path}.zarr")
            self.where.setCurrentText(_DISK)
            self._refresh()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.where, 1)
        row.addWidget(self.choose_button)
        self._add_row("Layer", self.head_layer)
        self._add_row("Objects", self.labels, "A labels layer whose objects get their mean embedding as features")
        self._add_row("Keep", row)
        self.form.addRow(self.size_note)

    def _suit_model(self) -> None:
        facts = self.model.facts
        self.head_layer.clear()
        if not facts.problem:
            for number, words in enumerate(HEAD_LAYERS.get(facts.projection_head, ("the last",))):
                self.head_layer.addItem(words, number)

    def _settings(self) -> Iterator[QWidget]:
        yield from (self.head_layer, self.where, self.choose_button, self.labels)

    def _wrong(self) -> str | None:
        if self.where.currentText() == _DISK and self._path is None:
            return "Choose where the zarr goes."
        labels, movie = self.labels.layer, self.movie.facts
        if labels is None or movie is None or movie.source is None:
            return None
        try:
            open_labels(_objects(labels, movie), movie.source)
        except UserError as error:
            return str(error)
        return None

    def _refresh(self) -> None:
        super()._refresh()
        self.size_note.setText(self._size())

    def _size(self) -> str:
        """Say what will be written, before it is."""
        facts, model = self.movie.facts, self.model.facts
        if facts is None or facts.problem or model.problem or facts.source is None:
            return ""
        frames, _, height, width = facts.source.shape
        on_disk = self.where.currentText() == _DISK
        size = in_words(size_of(frames, model.features, height, width, on_disk=on_disk))
        words = f"{model.features} features of {frames} frames of {height} x {width}: {size}"
        if not on_disk:
            return f"{words} of memory (float32)."
        return f"{words} on the disk at most (float16){f', in {self._path}' if self._path else ''}."

    def _work(self) -> Any:
        layer, facts, model = self.movie.layer, self.movie.facts, self.model.folder
        assert layer is not None
        assert facts is not None
        assert facts.source is not None
        assert model is not None
        preferences = read_preferences()
        labels = self.labels.layer
        self._order = EmbeddingOrder(
            folder=model,
            movie=facts.source,
            layer=self.head_layer.currentData() or 0,
            store=self._path if self.where.currentText() == _DISK else None,
            labels=None if labels is None else _objects(labels, facts),
            current=frame_in_view(self.viewer, layer, facts.axes),
            device=preferences.device,
            memory=preferences.memory,
        )
        self._labels = None if labels is None else weakref.ref(labels)
        self._facts, self._name = replace(facts, source=None), layer.name
        self._layers, self._record = [], {}
        self._done, self._coloured, self._pooled = 0, 0, ""
        return functools.partial(compute_embedding, self._order, self._stopping)

    def _forget(self) -> None:
        self._order = None

    def _take(self, value: Any) -> None:
        if isinstance(value, FrameEmbedded):
            self._done += 1
            self._show_frame(value.frame, value.limits if self._done == 1 else None)
        elif isinstance(value, FrameColoured):
            self._coloured += 1
            self._show_frame(value.frame)
        elif isinstance(value, EmbeddingBegun):
            self._add_layers(value)
        elif isinstance(value, ObjectsPooled):
            self._pool(value)

    def _add_layers(self, begun: EmbeddingBegun) -> None:
        layer = self._source() if self._source is not None else None
        if layer is None or not still_there(self.viewer, layer) or self._facts is None or self._order is None:
            return
        order, facts = self._order, self._facts
        options = {"layer": order.layer, "grid": "movie", "output": None if order.store is None else str(order.store)}
        self._record = provenance(model=str(order.folder), configuration=options, data=begun.fingerprint)
        channels = self.viewer.add_image(
            _channels(begun.channels, facts),
            name=f"{self._name} embedding",
            contrast_limits=(0, 1),
            colormap="viridis",
            visible=False,
            cache=False,
            rgb=False,
            multiscale=False,
            metadata={**self._record},
            **like(layer, axes=f"F{facts.axes}", own=facts.axes),
        )
        colours = self.viewer.add_image(
            np.moveaxis(laid_over(begun.colours, facts.axes, facts.shape, extra=1), 0, -1),
            name=f"{self._name} embedding (PCA)",
            rgb=True,
            cache=False,
            multiscale=False,
            metadata={**self._record},
            **like(layer, axes=facts.axes, own=facts.axes),
        )
        self._layers = [weakref.ref(plain(channels)), weakref.ref(plain(colours))]

    def _show_frame(self, frame: int, limits: tuple[float, float] | None = None) -> None:
        for number, reference in enumerate(self._layers):
            layer = reference()
            if layer is None or not still_there(self.viewer, layer) or self._facts is None:
                continue
            if limits is not None and number == 0:
                layer.contrast_limits = limits
            axes = self._facts.axes if number else f"F{self._facts.axes}"
            if layer.visible and frame == frame_in_view(self.viewer, layer, axes):
                layer.refresh(extent=False, thumbnail=False)

    def _pool(self, pooled: ObjectsPooled) -> None:
        labels = self._labels() if self._labels is not None else None
        if not self._record:  # the movie was removed before the work began
            return
        if labels is None or not still_there(self.viewer, labels):
            self._pooled = " The labels layer was removed."
            return
        count = put_features(labels, pooled.table, self._record["napari_tarrow"])
        objects = f"1 object of {labels.name} has" if count == 1 else f"{count} objects of {labels.name} have"
        self._pooled = f" {objects} the mean embedding as features."

    def _ended(self, result: Any) -> str:
        del result
        for reference in self._layers:
            layer = reference()
            if layer is not None and still_there(self.viewer, layer):
                layer.refresh(extent=False)
        if self._source is not None and not still_there(self.viewer, self._source):
            return f"The layer {self._name} was removed: the work has ended."
        begin = "Stopped" if self._stopped else "Done"
        colours = " Not all have the colours of the whole movie." if self._coloured < self._done else ""
        return f"{begin}: {self._done} frame{'s' * (self._done != 1)} embedded.{self._pooled}{colours}"


_WITHOUT_ASKING = QFileDialog.Option.DontConfirmOverwrite  # a zarr is a folder, and one of ours is gone on with


def _channels(channels: Any, facts: LayerFacts) -> Any:
    """Return the channel stack with the axes F and those of the movie's layer; a zarr stays lazy."""
    if not isinstance(channels, Path):
        return laid_over(channels, facts.axes, facts.shape, extra=1)
    import dask.array
    import zarr

    stored = zarr.open_array(channels / "0", mode="r")
    return laid_over(dask.array.from_array(stored, chunks=stored.chunks), facts.axes, facts.shape, extra=1)


def _objects(labels: Labels, facts: LayerFacts) -> Any:
    """Return the labels as a movie: with the axes of the movie's layer, or those without channels, where they fit."""
    fitting = (axes for axes in (facts.axes, facts.axes.replace("C", "")) if len(axes) == labels.ndim)
    known = describe_layer(labels, next(fitting, None))
    if known.source is None:
        raise UserError(known.problem or f"{labels.name} cannot be used as labels. Choose another layer.")
    return known.source
