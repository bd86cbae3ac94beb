"""The list of movies: what it says of a layer follows the layer."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_tarrow.widgets.shared.layers import plain
from napari_tarrow.widgets.shared.movie_chooser import MovieChooser

if TYPE_CHECKING:
    from napari.layers import Layer
    from pytestqt.qtbot import QtBot


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def layer(viewer: ViewerModel, growing: np.ndarray) -> Layer:
    return plain(viewer.add_image(growing, name="cells"))


@pytest.fixture
def chooser(qtbot: QtBot, viewer: ViewerModel, layer: Layer) -> MovieChooser:
    chooser = MovieChooser(viewer)
    qtbot.addWidget(chooser)
    return chooser


def test_other_data_in_the_layer_is_noticed(chooser, layer, growing):
    assert chooser.sentence.text().startswith("12 frames of 24 x 28")
    layer.data = growing[:5, :20]
    assert chooser.sentence.text().startswith("5 frames of 20 x 28")
    layer.data = np.stack([growing, growing], 1)
    assert chooser.axes.text() == "TCYX"
    assert "2 channels" in chooser.sentence.text()


def test_axes_and_units_that_the_layer_gets_later_are_noticed(chooser, layer):
    layer.axis_labels = ("y", "x", "t")
    assert chooser.axes.text() == "YXT"
    assert chooser.sentence.text().startswith("28 frames of 12 x 24")
    layer.scale = (1, 1, 10)
    layer.units = ("um", "um", "min")
    assert "every 10 min" in chooser.sentence.text()


def test_axes_that_the_user_typed_stay_until_another_layer_is_chosen(chooser, viewer, layer, growing):
    chooser.axes.setText("XYT")
    chooser.axes.textEdited.emit("XYT")
    layer.axis_labels = ("y", "x", "t")
    assert chooser.axes.text() == "XYT"
    chooser.list.choose(viewer.add_image(growing, name="others"))
    assert chooser.axes.text() == "TYX"


def test_only_the_chosen_layer_is_listened_to(chooser, qtbot, viewer, layer, growing):
    chooser.list.choose(viewer.add_image(growing, name="others"))
    with qtbot.assertNotEmitted(chooser.changed):
        layer.data = growing[:5]
    chooser.list.choose(layer)
    with qtbot.waitSignal(chooser.changed):
        layer.data = growing[:6]


def test_painting_in_a_labels_layer_costs_nothing(chooser, qtbot, viewer, growing):
    labels = plain(viewer.add_labels((growing > 300).astype(int), name="objects"))
    chooser.list.choose(labels)
    with qtbot.assertNotEmitted(chooser.changed):
        labels.paint((1, 5, 5), 2)
        labels.undo()


def test_neither_holds_on_to_the_other(qtbot, viewer, growing):
    chooser = MovieChooser(viewer)
    reference = weakref.ref(plain(viewer.add_image(growing)))
    viewer.layers.clear()
    layer = plain(viewer.add_image(growing))  # napari keeps the last one that was active
    gc.collect()
    assert reference() is None
    chooser.deleteLater()
    qtbot.wait(10)
    layer.data = growing[:5]


def test_names_are_no_html(chooser, layer):
    layer.name = "<h1>cells</h1>"
    layer.data = layer.data[0]
    assert chooser.sentence.text().startswith("<h1>cells</h1> has one frame.")
    assert chooser.sentence.textFormat() == Qt.TextFormat.PlainText
    assert chooser.list.toolTip() == "<qt>&lt;h1&gt;cells&lt;/h1&gt;</qt>"
    layer.name = "a & b"
    assert chooser.list.toolTip() == "a & b"
