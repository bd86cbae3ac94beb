"""The plot of the learning curve in the dock."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QBuffer, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ...engine.chance import CHANCE, CHANCE_LOSS
from ...engine.errors import UserError
from ...engine.files import replacing
from ..shared.saving import ask_for_file
from ..shared.worker import notify
from .curve_data import Curve

if TYPE_CHECKING:
    from pathlib import Path

_BETWEEN_DRAWINGS = 100  # milliseconds
_HEIGHT = 310  # pixels: both plots are seen on a screen of 768
_LEGEND = (
    '<span style="color:{train}">●</span> training &nbsp; <span style="color:{val}">●</span> validation &nbsp;'
    ' <span style="color:{val}">┆</span> best epoch &nbsp; <span style="color:{text}">╌</span> chance'
)
_SMALLEST = 1e-6  # of what is drawn on a logarithmic scale
TRAIN, VAL = "#4c9be8", "#f0913d"  # tell apart on dark and light, and for colour-blind eyes


class CurvePlot(QWidget):
    """Loss and accuracy over the epochs, drawn at most ten times a second in napari's colours.

    pyqtgraph is imported when the widget is first shown.

    Parameters
    ----------
    viewer
        Whose theme it follows.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.curve = Curve()
        self._plots: _Plots | None = None
        self._drawn = 0.0
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._draw)
        self._log = QCheckBox("Log scale")
        self._log.setToolTip("Show the loss on a logarithmic scale")
        self._log.toggled.connect(self.redraw)
        self._save = QToolButton()
        self._save.setText("Save image…")
        self._save.clicked.connect(self._ask_and_save)
        self._told = QLabel(" ")
        self._told.setWordWrap(True)
        self._told.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._told.setMinimumHeight(2 * self._told.fontMetrics().height())
        row = QHBoxLayout()
        row.addWidget(self._log)
        row.addStretch(1)
        row.addWidget(self._save)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._layout.addWidget(self._told)
        self._layout.addLayout(row)
        viewer.events.theme.connect(self._dress)

    def clear(self) -> None:
        """Forget the run."""
        self.curve = Curve()
        self._told.setText(" ")
        self.redraw()

    def redraw(self) -> None:
        """Draw soon: at once, or where that was done a moment ago, a moment later."""
        if self._plots is None or self._later.isActive():
            return
        since = 1000 * (time.monotonic() - self._drawn)
        self._later.start(max(0, round(_BETWEEN_DRAWINGS - since)))

    def save_image(self, path: Path) -> None:
        """Write the plot as it is seen, at twice its size, as a png.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        self._make_plots()
        self._draw()
        assert self._plots is not None
        self._plots.save(path)

    def showEvent(self, event: Any) -> None:
        """Import pyqtgraph at last."""
        self._make_plots()
        super().showEvent(event)

    def _make_plots(self) -> None:
        if self._plots is None:
            self._plots = _Plots(self._hover)
            self._layout.insertWidget(0, self._plots.widget)
            self._dress()
            self.redraw()

    def _dress(self, event: Any = None) -> None:
        from napari.utils.theme import get_theme

        if self._plots is not None:
            theme = get_theme(self._viewer.theme)
            self._plots.dress(theme.background.as_hex(), theme.text.as_hex(), theme.secondary.as_hex())
            self.redraw()

    def _draw(self) -> None:
        if self._plots is not None:
            self._drawn = time.monotonic()
            self._plots.draw(self.curve, log=self._log.isChecked())

    def _hover(self, x: float) -> None:
        self._told.setText(self.curve.nearest(x) or " ")

    def _ask_and_save(self) -> None:
        path = ask_for_file(self, "Save the learning curve", "learning_curve.png", "Picture", ".png")
        if path is not None:
            try:
                self.save_image(path)
            except UserError as error:
                notify(error)


class _Plots:
    """The two plots and their lines; everything that knows pyqtgraph."""

    def __init__(self, hover: Any) -> None:
        import pyqtgraph as pg

        self._pg = pg
        self.widget = pg.GraphicsLayoutWidget()
        self.widget.setFixedHeight(_HEIGHT)  # a page that scrolls would give it the 480 pixels that it asks for
        self.widget.ci.layout.setContentsMargins(0, 4, 6, 6)
        self.widget.ci.layout.setVerticalSpacing(4)
        self._legend = self.widget.addLabel("", row=0, col=0)
        self.loss = self._plot(1, "Loss")
        self.accuracy = self._plot(2, "Accuracy")
        self.accuracy.setXLink(self.loss)
        self.accuracy.setLabel("bottom", "Epoch")
        self._chance = {"loss": pg.InfiniteLine(CHANCE_LOSS, angle=0), "accuracy": pg.InfiniteLine(CHANCE, angle=0)}
        self.loss.addItem(self._chance["loss"], ignoreBounds=True)
        self.accuracy.addItem(self._chance["accuracy"], ignoreBounds=True)
        self._best = [pg.InfiniteLine(angle=90) for _ in range(2)]
        self._cursors = [pg.InfiniteLine(angle=90) for _ in range(2)]
        self._lines: dict[tuple[str, str], Any] = {}
        for plot, name in ((self.loss, "loss"), (self.accuracy, "accuracy")):
            self._lines[name, "batch"] = plot.plot(pen=None, symbol="o", symbolSize=3, symbolPen=None)
            for part, colour in (("train", TRAIN), ("val", VAL)):
                pen = pg.mkPen(colour, width=2)
                self._lines[name, part] = plot.plot(
                    pen=pen, symbol="o", symbolSize=4, symbolBrush=colour, symbolPen=None
                )
        for plot, best, cursor in zip((self.loss, self.accuracy), self._best, self._cursors, strict=True):
            for line in (best, cursor):
                plot.addItem(line, ignoreBounds=True)
                line.hide()
        self._hover = hover
        self._proxy = pg.SignalProxy(self.widget.scene().sigMouseMoved, rateLimit=20, slot=self._moved)

    def dress(self, background: str, text: str, faded: str) -> None:
        """Take the colours of a theme."""
        pg = self._pg
        self.widget.setBackground(background)
        for plot in (self.loss, self.accuracy):
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(faded)
                axis.setTextPen(text)
            plot.getAxis("left").setLabel(plot.getAxis("left").labelText, color=text)
        self.accuracy.getAxis("bottom").setLabel("Epoch", color=text)
        self._legend.setText(_LEGEND.format(train=TRAIN, val=VAL, text=text), color=text, size="8pt")
        for line in self._chance.values():
            line.setPen(pg.mkPen(text, width=1, style=_dots()))
        faint = pg.mkColor(TRAIN)
        faint.setAlpha(110)
        for name in ("loss", "accuracy"):
            self._lines[name, "batch"].setSymbolBrush(faint)
        for best, cursor in zip(self._best, self._cursors, strict=True):
            best.setPen(pg.mkPen(VAL, width=1, style=_dots()))
            cursor.setPen(pg.mkPen(faded, width=1))

    def draw(self, curve: Curve, *, log: bool) -> None:
        """Show a curve."""
        self.loss.setLogMode(y=log)
        self._chance["loss"].setValue(math.log10(CHANCE_LOSS) if log else CHANCE_LOSS)
        x = [point[0] for point in curve.points]
        faint = {"loss": [max(point[1], _SMALLEST) for point in curve.points], "accuracy": [p[2] for p in curve.points]}
        epochs = [one.epoch for one in curve.epochs]
        for name, plot in (("loss", self.loss), ("accuracy", self.accuracy)):
            self._lines[name, "batch"].setData(x, faint[name])
            shown = _central(faint[name]) + [CHANCE] * (name == "accuracy")
            for part in ("train", "val"):
                values = [max(getattr(one, f"{part}_{name}"), _SMALLEST) for one in curve.epochs]
                self._lines[name, part].setData(epochs, values)
                shown += values
            if shown:
                scale = math.log10 if log and name == "loss" else float
                plot.setYRange(scale(min(shown)), scale(max(shown)), padding=0.1)
        for line in self._best:
            line.setVisible(bool(curve.best))
            line.setValue(curve.best)
        self.loss.setXRange(0, max(1, curve.total), padding=0.02)

    def save(self, path: Path) -> None:
        from pyqtgraph.exporters import ImageExporter

        exporter = ImageExporter(self.widget.scene())
        exporter.parameters()["width"] = 2 * self.widget.width()
        picture = QBuffer()
        exporter.export(toBytes=True).save(picture, "PNG")
        with replacing(path) as file:
            file.write(picture.data().data())

    def _plot(self, row: int, label: str) -> Any:
        plot = self.widget.addPlot(row=row, col=0)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.setLabel("left", label)
        plot.getAxis("left").setWidth(52)
        plot.getAxis("left").enableAutoSIPrefix(False)
        plot.showGrid(y=True, alpha=0.1)
        if row == 1:
            plot.getAxis("bottom").setStyle(showValues=False)
        return plot

    def _moved(self, event: Any) -> None:
        for plot in (self.loss, self.accuracy):
            if plot.sceneBoundingRect().contains(event[0]):
                x = plot.vb.mapSceneToView(event[0]).x()
                for cursor in self._cursors:
                    cursor.setValue(x)
                    cursor.show()
                self._hover(x)
                return
        for cursor in self._cursors:
            cursor.hide()


def _central(values: list[float]) -> list[float]:
    """Return the values between which nearly all lie: single batches scatter far more than epochs."""
    ordered = sorted(values)
    return [ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]] if ordered else []


def _dots() -> Any:
    from qtpy.QtCore import Qt

    return Qt.PenStyle.DashLine
