"""The learning curve: what it holds, and how it is drawn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QFileDialog

from napari_tarrow.engine.training import EpochEnded, Metrics, Progress, Started
from napari_tarrow.widgets.training import curve as module
from napari_tarrow.widgets.training.curve import CurvePlot
from napari_tarrow.widgets.training.curve_data import Curve

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

Until = "Callable[..., None]"


def metrics(loss: float, accuracy: float) -> Metrics:
    return Metrics(loss, 1.0, accuracy, accuracy, 0.5, 1e-3, 10)


def epoch(number: int, loss: float = 0.6, best: int = 1) -> EpochEnded:
    return EpochEnded(number, 4, metrics(loss, 0.6), metrics(loss + 0.05, 0.55), best == number, best, 100, 1.0)


def progress(step: int, phase: Any = "train") -> Progress:
    return Progress(step, 40, 1, 4, phase, 0.7, 0.5, 1e-3, 100.0, 10.0, step / 10)


def started(folder: Path, first_epoch: int = 0) -> Started:
    return Started(folder, (), 4, 40, first_epoch, 10.0)


def filled(tmp_path: Path) -> Curve:
    curve = Curve()
    curve.start(started(tmp_path))
    for number in (1, 2, 3):
        curve.add_progress(progress(10 * number - 5))
        curve.add_epoch(epoch(number, 0.7 - 0.1 * number, best=2))
    return curve


def test_points_lie_where_their_step_is(tmp_path: Path) -> None:
    curve = filled(tmp_path)
    assert [point[0] for point in curve.points] == [0.5, 1.5, 2.5]
    assert [one.epoch for one in curve.epochs] == [1, 2, 3]
    assert (curve.best, curve.total) == (2, 4)


def test_validation_and_repetitions_are_no_points(tmp_path: Path) -> None:
    curve = filled(tmp_path)
    curve.add_progress(progress(25))
    curve.add_progress(progress(28, "val"))
    assert len(curve.points) == 3


def test_points_are_thinned_before_they_slow_the_window() -> None:
    curve = Curve()
    for step in range(1, 10_000):
        curve.add_progress(progress(step))
    assert 900 < len(curve.points) <= 2000
    assert curve.points[-1][0] > 900


def test_what_the_mouse_is_near_is_said(tmp_path: Path) -> None:
    curve = filled(tmp_path)
    assert curve.nearest(1.9) == ("Epoch 2, best: loss 0.5000 / 0.5500, accuracy 0.600 / 0.550 (training / validation)")
    assert "best" not in curve.nearest(30)
    assert Curve().nearest(1) == ""


def test_a_run_that_is_gone_on_with_shows_its_epochs(tmp_path: Path) -> None:
    from napari_tarrow.engine.training.monitors import LossFile

    monitor = LossFile(tmp_path / "losses.json")
    for one in (epoch(1, 0.6), epoch(2, 0.5), epoch(3, 0.55)):
        monitor.take(one)
    curve = Curve()
    curve.start(started(tmp_path, first_epoch=2))
    assert [one.train_loss for one in curve.epochs] == [0.6, 0.5]
    assert curve.best == 2
    (tmp_path / "losses.json").write_text("{")
    curve.start(started(tmp_path, first_epoch=2))
    assert curve.epochs == []


def test_epochs_are_read_as_the_engine_reads_them(tmp_path: Path) -> None:
    from napari_tarrow.engine.training.monitors import MetricsTable

    monitor = MetricsTable(tmp_path / "metrics.csv")
    for one in (epoch(1, 0.6), epoch(2, float("nan")), epoch(3, 0.55), epoch(4, 0.5)):
        monitor.take(one)
    curve = Curve()
    curve.start(started(tmp_path, first_epoch=3))
    assert [(one.epoch, one.train_loss) for one in curve.epochs] == [(1, 0.6), (3, 0.55)]
    assert curve.best == 3


@pytest.fixture
def plot(qtbot: QtBot) -> CurvePlot:
    viewer = ViewerModel()
    plot = CurvePlot(viewer)
    plot.viewer = viewer  # type: ignore[attr-defined]
    qtbot.addWidget(plot)
    return plot


def test_pyqtgraph_is_imported_when_the_plot_is_shown(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyqtgraph"]:
        monkeypatch.delitem(sys.modules, name)
    plot = CurvePlot(ViewerModel())
    qtbot.addWidget(plot)
    assert "pyqtgraph" not in sys.modules
    monkeypatch.undo()


def test_what_arrives_is_drawn(plot: CurvePlot, tmp_path: Path, until: Until) -> None:
    plot.show()
    plot.curve = filled(tmp_path)
    plot.redraw()
    lines = plot._plots._lines
    until(lambda: lines["loss", "val"].xData is not None and len(lines["loss", "val"].xData) == 3)
    assert lines["accuracy", "train"].yData.tolist() == [0.6] * 3
    assert lines["loss", "batch"].xData.tolist() == [0.5, 1.5, 2.5]
    assert [line.value() for line in plot._plots._best] == [2, 2]
    assert plot._plots._chance["accuracy"].value() == 0.5
    assert plot._plots._chance["loss"].value() == pytest.approx(0.6931, abs=1e-4)


def test_it_is_drawn_ten_times_a_second_at_most(plot: CurvePlot, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    plot.show()
    qtbot.wait(150)
    drawn: list[int] = []
    monkeypatch.setattr(plot._plots, "draw", lambda curve, log: drawn.append(1))
    now = 1000.0
    monkeypatch.setattr("napari_tarrow.widgets.training.curve.time.monotonic", lambda: now)
    plot._drawn = 0.0
    plot.redraw()
    assert plot._later.interval() == 0
    qtbot.waitUntil(lambda: len(drawn) == 1)
    plot.redraw()
    assert plot._later.interval() == 100
    for _ in range(50):
        plot.redraw()
    qtbot.waitUntil(lambda: len(drawn) == 2)
    qtbot.wait(50)
    assert len(drawn) == 2


def test_the_loss_can_be_logarithmic(plot: CurvePlot, tmp_path: Path, until: Until) -> None:
    plot.show()
    plot.curve = filled(tmp_path)
    plot._log.setChecked(True)
    until(lambda: plot._plots.loss.ctrl.logYCheck.isChecked())
    assert not plot._plots.accuracy.ctrl.logYCheck.isChecked()


def test_it_follows_the_theme(plot: CurvePlot) -> None:
    plot.show()
    dark = plot._plots.widget.backgroundBrush().color().lightness()
    plot.viewer.theme = "light"  # type: ignore[attr-defined]
    light = plot._plots.widget.backgroundBrush().color().lightness()
    assert dark < 80 < 180 < light


def test_it_is_saved_as_an_image(plot: CurvePlot, tmp_path: Path) -> None:
    from PIL import Image

    plot.resize(320, 300)
    plot.show()
    plot.curve = filled(tmp_path)
    plot.save_image(tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.width == 2 * plot._plots.widget.width()
        assert len(image.convert("RGB").getcolors(100_000)) > 20


def test_an_image_that_cannot_be_written_is_said(
    plot: CurvePlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = tmp_path / "nowhere" / "curve.png", []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(module, "notify", told.append)
    plot._ask_and_save()
    (error,) = told
    assert str(error).startswith(f"{path} cannot be written (No such file or directory).")


def test_the_mouse_shows_values(plot: CurvePlot, tmp_path: Path) -> None:
    plot.show()
    plot.curve = filled(tmp_path)
    plot._draw()
    box = plot._plots.loss.vb
    plot._plots._moved((box.mapViewToScene(box.viewRect().center()),))
    assert plot._told.text().startswith("Epoch 2, best")
    assert all(cursor.isVisible() for cursor in plot._plots._cursors)
    plot.clear()
    assert plot._told.text().strip() == ""


def test_the_axis_shows_the_lines_and_not_every_outlier(plot: CurvePlot, tmp_path: Path) -> None:
    plot.show()
    plot.curve = filled(tmp_path)
    plot.curve.points = [(step / 50, 0.7, 0.5) for step in range(150)]
    plot.curve.points[70] = (1.4, 40.0, 0.0)
    plot._draw()
    low, high = plot._plots.loss.viewRange()[1]
    assert 0.3 < low < 0.4
    assert 0.7 < high < 0.8
    low, high = plot._plots.accuracy.viewRange()[1]
    assert 0.45 < low < 0.5
