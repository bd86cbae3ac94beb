"""The dock Train TAP with a stand-in for the engine: what the user sees and can ask for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import Source, layer_source
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import NotEnoughMemoryError, UserError
from napari_tarrow.engine.files import write_yaml
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import open_prepared
from napari_tarrow.engine.training import (
    EpochEnded,
    Finished,
    FrameMapShown,
    Metrics,
    Notice,
    Progress,
    ShortcutsFound,
    Started,
)
from napari_tarrow.widgets.shared.preferences import Preferences
from napari_tarrow.widgets.training.run_state import Action, State
from napari_tarrow.widgets.training.widget import TrainWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from napari_tarrow.engine.training import Control, Update

Until = "Callable[..., None]"
_METRICS = Metrics(0.69, 1.0, 0.55, 0.6, 0.5, 1e-3, 10)


class Engine:
    """Trains nothing until it is told to go on, and heeds its control as the real one does."""

    def __init__(self) -> None:
        self.configs: list[TrainConfig] = []
        self.movies: list[Any] = []
        self.error: BaseException | None = None
        self.reading = threading.Event()
        self.reading.set()
        self.done = threading.Event()
        self.closed = 0

    def train(self, config: TrainConfig, control: Control, *, movies: Any) -> Iterator[Update]:
        self.configs.append(config)
        self.movies.append(movies)
        yield from self._run(Path(config.outdir) / "run", control, 0)

    def resume(self, folder: Path, control: Control, *, movies: Any, device: str | None) -> Iterator[Update]:
        self.movies.append(movies)
        yield from self._run(folder, control, 1)

    def _run(self, folder: Path, control: Control, first: int) -> Iterator[Update]:
        try:
            while not self.reading.wait(0.01):
                if control.stopping:
                    return
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "run.yaml").touch()
            yield Started(folder, ("Movie cells: 48 frames.",), 4, 40, first, 80.0, (2 * 10**9, 8 * 10**9))
            yield Notice("Take care.")
            step = 10 * first
            while not control.stopping and not self.done.is_set():
                while control.paused and not control.wait(0.02):
                    yield self._progress(step)
                if (frame := control.take_frame()) is not None:
                    yield FrameMapShown((frame, frame + 1), (2, 3), 2, np.full((10, 11), 0.5, np.float32))
                step += 1
                time.sleep(0.01)
                yield self._progress(step)
                if self.error is not None:
                    raise self.error
            yield EpochEnded(first + 1, 4, _METRICS, _METRICS, True, first + 1, 100, 1.0)
            if not control.stopping:
                yield ShortcutsFound(("No shortcut was found.", "Patches told right: 0.88."))
            reason = "stopped" if control.stopping else "done"
            yield Finished(reason, folder, first + 1, 1, 100, 65.0, "Little is learnt.")
        finally:
            self.closed += 1

    def _progress(self, step: int) -> Progress:
        return Progress(step, 40, 1, 4, "train", 0.7, 0.5, 1e-3, 400.0, 30.0, step / 10)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr("napari_tarrow.engine.training.train", engine.train, raising=False)
    monkeypatch.setattr("napari_tarrow.engine.training.resume", engine.resume, raising=False)
    return engine


@pytest.fixture
def viewer(growing: np.ndarray) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(growing, name="growing", scale=(600, 0.5, 0.5), units=("s", "um", "um"))
    return viewer


@pytest.fixture
def dock(viewer: ViewerModel, qtbot: QtBot, tmp_path: Path, until: Until) -> TrainWidget:
    def leave(dock: TrainWidget) -> None:
        dock.leave()
        until(lambda: not dock.run.state.at_work)

    dock = TrainWidget(viewer)
    qtbot.addWidget(dock, before_close_func=leave)
    dock.panel.form.set_values({"outdir": str(tmp_path / "runs")})
    return dock


def enabled(dock: TrainWidget) -> set[str]:
    return {button.text() for button in dock.bar.buttons.values() if button.isEnabled()}


AT_REST = {"Start", "Resume a run folder…", "Continue from this model…"}


def begin(dock: TrainWidget, until: Until) -> None:
    dock.bar.buttons[Action.START].click()
    until(lambda: dock.run.state.now is State.TRAINING)


def test_buttons_are_enabled_exactly_when_they_work(dock: TrainWidget, engine: Engine, until: Until) -> None:
    engine.reading.clear()
    buttons = dock.bar.buttons
    assert enabled(dock) == AT_REST
    buttons[Action.START].click()
    assert dock.run.state.now is State.CHECKING
    assert enabled(dock) == {"Cancel"}
    engine.reading.set()
    until(lambda: dock.run.state.now is State.TRAINING)
    assert enabled(dock) == {"Pause", "Stop", "Cancel"}
    buttons[Action.PAUSE].click()
    assert enabled(dock) == {"Stop", "Cancel"}
    until(lambda: dock.run.state.now is State.PAUSED)
    assert enabled(dock) == {"Go on", "Stop", "Cancel"}
    assert dock.bar.status.text() == "Paused. The run is saved."
    buttons[Action.PAUSE].click()
    assert dock.run.state.now is State.TRAINING
    assert enabled(dock) == {"Pause", "Stop", "Cancel"}
    buttons[Action.STOP].click()
    assert enabled(dock) == set()
    until(lambda: dock.run.state.now is State.FINISHED)
    assert enabled(dock) == AT_REST


def test_while_training_the_dock_says_how_far_it_is(dock: TrainWidget, engine: Engine, until: Until) -> None:
    begin(dock, until)
    until(lambda: dock.bar.status.text() == "Epoch 1 of 4: 400 pairs/s, 30 s left.")
    assert dock.bar.progress.maximum() == 40
    assert dock.measure.label.text() == ("20 s per epoch, 80 s in all; a step takes 2 GB of memory, 8 GB are free.")
    assert dock.told.text() == "Movie cells: 48 frames. Take care."
    assert not dock.panel.form.isEnabled()
    assert not dock.panel.movie.isEnabled()
    assert len(dock.plot.curve.points) > 0


def test_at_the_end_the_run_is_shown_and_remembered(
    dock: TrainWidget, engine: Engine, until: Until, tmp_path: Path
) -> None:
    from napari_tarrow.widgets.shared.models import recent_runs

    begin(dock, until)
    engine.done.set()
    until(lambda: dock.run.state.now is State.FINISHED)
    folder = tmp_path / "runs" / "run"
    assert dock.results.path.text() == str(folder)
    assert dock.bar.status.text() == "Done after 1 epoch, 65 s. The best epoch is 1."
    assert "in the lists of the other docks" in dock.results.sentence.text()
    assert "Little is learnt.\n\nNo shortcut was found.\nPatches told right: 0.88." in dock.results.sentence.text()
    assert recent_runs() == [folder]
    assert dock.plot.curve.best == 1
    assert dock.panel.form.isEnabled()


def test_values_of_the_form_reach_the_engine(dock: TrainWidget, engine: Engine, until: Until, tmp_path: Path) -> None:
    dock.panel.form.editor("size").put(24)
    dock.panel.form.editor("size").edited.emit()
    dock.panel.form.editor("delta").inner.setText("1 2")
    dock.panel.form.editor("delta").edited.emit()
    begin(dock, until)
    (config,) = engine.configs
    outdir = str(tmp_path / "runs")
    assert config == TrainConfig(preset="interactive", size=24, delta=(1, 2), outdir=outdir, axes="TYX")
    ((movie,),) = engine.movies
    assert movie.shape == (12, 1, 24, 28)
    assert movie.interval == 600


def test_preferences_that_changed_since_the_dock_was_opened_are_heeded_at_the_start(
    viewer: ViewerModel, qtbot: QtBot, engine: Engine, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    dock.panel.form.set_values({"precision": "32"})
    changed = Preferences(precision="bf16", run_folder=tmp_path / "elsewhere")
    monkeypatch.setattr("napari_tarrow.widgets.training.order.read_preferences", lambda: changed)
    dock.start()
    until(lambda: bool(engine.configs))
    assert (engine.configs[0].outdir, engine.configs[0].precision) == (str(tmp_path / "elsewhere"), "32")
    engine.done.set()
    until(lambda: not dock.run.state.at_work)


@pytest.mark.parametrize("sure", [True, False])
def test_cancel_asks_and_discards(
    sure: bool, dock: TrainWidget, engine: Engine, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    buttons = QMessageBox.StandardButton

    def question(parent: Any, title: str, text: str, *rest: Any) -> Any:
        asked.append(text)
        return buttons.Yes if sure else buttons.No

    monkeypatch.setattr(QMessageBox, "question", question)
    begin(dock, until)
    folder = tmp_path / "runs" / "run"
    dock.bar.buttons[Action.CANCEL].click()
    assert str(folder) in asked[0]
    if not sure:
        assert dock.run.state.now is State.TRAINING
        return
    until(lambda: dock.run.state.now is State.IDLE)
    assert not folder.exists()
    assert dock.bar.status.text() == "Cancelled; nothing is kept."
    assert dock.results.path.text() == ""
    assert enabled(dock) == AT_REST


def test_a_run_that_ends_before_cancel_is_confirmed_is_kept_and_that_is_said(
    dock: TrainWidget, engine: Engine, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def question(*_: Any) -> Any:
        dock.ask(Action.STOP)
        until(lambda: dock.run.state.now is State.FINISHED)
        return QMessageBox.StandardButton.Yes

    monkeypatch.setattr(QMessageBox, "question", question)
    begin(dock, until)
    dock.bar.buttons[Action.CANCEL].click()
    kept = tmp_path / "runs" / "run"
    assert dock.bar.problem.text() == f"The run had ended before you answered: it is kept in {kept}."
    assert kept.exists()


def test_cancel_while_the_movie_is_read_asks_nothing(
    dock: TrainWidget, engine: Engine, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QMessageBox, "question", lambda *rest: pytest.fail("asked"))
    engine.reading.clear()
    dock.ask(Action.START)
    dock.bar.buttons[Action.CANCEL].click()
    until(lambda: dock.run.state.now is State.IDLE)
    assert engine.closed == 1


def test_a_run_that_napari_ends_from_outside_is_broken_off_and_not_cancelled(
    dock: TrainWidget, engine: Engine, until: Until
) -> None:
    begin(dock, until)
    dock.run._job.abandon()  # as at the close of the window that napari registered the thread with
    until(lambda: not dock.run.state.at_work)
    assert dock.bar.status.text() == "Training was ended before its time."
    assert dock.results.sentence.text().startswith("The run was broken off; its last checkpoint is kept")


@pytest.mark.parametrize(
    ("error", "said", "memory"),
    [
        (UserError("The loss is no longer a number after step 3."), "no longer a number after step 3", False),
        (NotEnoughMemoryError("Memory ran out: 2 GB more were needed."), "2 GB more were needed", True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "2.00 GiB", True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), "CUDNN_STATUS_INTERNAL_ERROR", False),
        (ZeroDivisionError("division by zero"), "division by zero", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_goes_wrong_is_said_and_a_second_run_works(
    error: Exception,
    said: str,
    memory: bool,
    dock: TrainWidget,
    engine: Engine,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notified: list[BaseException] = []
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", notified.append)
    engine.error = error
    dock.ask(Action.START)
    until(lambda: dock.run.state.now is State.FAILED)
    assert said in dock.bar.problem.text()
    assert not dock.bar.problem.isHidden()
    assert dock.bar.halve.isHidden() is not memory
    assert notified == [error]
    assert "last checkpoint is kept" in dock.results.sentence.text()
    engine.error = None
    begin(dock, until)
    assert dock.bar.problem.isHidden()
    assert dock.bar.halve.isHidden()


def test_the_batch_can_be_halved(dock: TrainWidget, engine: Engine, until: Until, monkeypatch: Any) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", lambda error: None)
    engine.error = NotEnoughMemoryError("Memory ran out.")
    dock.ask(Action.START)
    until(lambda: dock.run.state.now is State.FAILED)
    before = dock.panel.form.editor("batchsize").get()
    dock.bar.halve.click()
    assert dock.panel.form.editor("batchsize").get() == before // 2
    assert dock.bar.halve.isHidden()
    engine.error = None
    begin(dock, until)
    assert engine.configs[-1].batchsize == before // 2


def test_a_removed_layer_ends_the_run_and_keeps_it(
    dock: TrainWidget, viewer: ViewerModel, engine: Engine, until: Until, tmp_path: Path
) -> None:
    begin(dock, until)
    viewer.layers.remove("growing")
    until(lambda: dock.run.state.now is State.FINISHED)
    assert (tmp_path / "runs" / "run").is_dir()
    assert enabled(dock) == AT_REST - {"Start"}


@pytest.mark.parametrize(
    ("shape", "options", "axes", "said"),
    [
        ((3, 5, 20, 20), {}, "CZYX", "one frame"),
        ((20, 20, 3), {"rgb": True}, "", "one frame"),
        ((1, 20, 20), {}, "", "one frame"),
        ((20, 20), {}, "", "one frame"),
    ],
)
def test_what_is_no_movie_is_said_and_cannot_be_started(
    shape: tuple[int, ...], options: dict[str, Any], axes: str, said: str, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(shape, np.uint8), **options)
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    if axes:
        dock.panel.movie.axes.setText(axes)
        dock.panel.movie.axes.textEdited.emit(axes)
    assert said in dock.panel.movie.sentence.text()
    assert enabled(dock) == AT_REST - {"Start"}
    assert not dock.measure.button.isEnabled()
    dock.ask(Action.START)
    assert dock.run.state.now is State.IDLE
    viewer.add_image(np.zeros((4, 20, 20), np.uint8))
    dock.panel.movie.list.choose(viewer.layers[-1])
    assert enabled(dock) == AT_REST


def test_without_a_layer_it_says_what_to_do(qtbot: QtBot) -> None:
    dock = TrainWidget(ViewerModel())
    qtbot.addWidget(dock)
    assert enabled(dock) == AT_REST - {"Start"}
    assert dock.bar.buttons[Action.START].toolTip() == "Open a movie first."


def test_a_wrong_value_disables_start(dock: TrainWidget) -> None:
    line = dock.panel.form.editor("delta").inner
    line.setText("0")
    line.textEdited.emit("0")
    assert enabled(dock) == AT_REST - {"Start"}
    assert "Time steps" in dock.bar.buttons[Action.START].toolTip()
    line.setText("3")
    line.textEdited.emit("3")
    assert enabled(dock) == AT_REST


def test_channels_follow_the_layer(qtbot: QtBot) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, 3, 20, 20), np.uint8), axis_labels=("t", "c", "y", "x"))
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    order = dock.panel.order()
    assert order.config.channels == 3
    assert order.movie.shape == (6, 3, 20, 20)


def test_a_coloured_layer_and_its_file_are_one_movie(qtbot: QtBot, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 4), np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", frames, photometric="rgb", extrasamples=["unassalpha"])
    viewer = ViewerModel()
    with layer_source(path=str(tmp_path / "m.tif")):
        viewer.add_image(frames, rgb=True)
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    order = dock.panel.order()
    assert (order.config.channels, order.movie.shape) == (3, (6, 3, 20, 20))
    assert order.named(exact=True).input_train == (str(tmp_path / "m.tif"),)


def test_one_channel_of_a_layer_is_learnt_from(qtbot: QtBot, model_folder: Path) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, 3, 20, 20), np.uint8), axis_labels=("t", "c", "y", "x"))
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    dock.panel.form.set_values({"channel": 2, "init": str(model_folder), "features": 4})  # which takes one channel
    order = dock.panel.order()
    assert (order.config.channels, order.config.channel) == (3, 2)
    assert open_prepared(order.config, order.movie).shape == (6, 1, 20, 20)


def test_a_start_brings_its_channel_and_has_to_fit_what_is_taken(qtbot: QtBot, model_folder: Path) -> None:
    write_yaml(model_folder / "train_args.yaml", {"channel": 1})
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, 2, 20, 20), np.uint8), axis_labels=("t", "c", "y", "x"))
    dock = TrainWidget(viewer)
    qtbot.addWidget(dock)
    dock.continue_from(model_folder)
    assert dock.bar.problem.text() == ""
    assert dock.panel.order().config.channel == 1
    dock.panel.form.set_values({"channel": None})
    dock.start()
    assert dock.bar.problem.text().startswith("The model takes 1 channel and the movie has 2.")
    write_model(model_folder.parent / "two", TimeArrowNet("unet_16fmaps", n_input_channels=2, symmetric=True))
    dock.panel.form.set_values({"channel": 0, "init": str(model_folder.parent / "two")})
    dock.start()
    assert dock.bar.problem.text().startswith("The model takes 2 channels, and Only channel leaves one. Clear it")
    assert not dock.run.state.at_work


def test_a_start_has_to_be_the_same_network(dock: TrainWidget) -> None:
    dock.panel.form.set_values({"init": "general_nuclei", "backbone": "unet"})
    dock.start()
    assert dock.bar.problem.text() == (
        "Network of the model to start from is unet_16fmaps, and not unet. Choose that, or no model."
    )
    dock.panel.form.set_values({"backbone": "unet_16fmaps"})
    assert dock.panel.order().config.init == "general_nuclei"


def test_the_pairs_are_counted_at_the_deltas_once_they_are_known(dock: TrainWidget) -> None:
    assert dock.panel.movie.sentence.text().endswith("every 10 min")
    dock.panel.form.set_values({"delta": [1, 3]})
    assert dock.panel.movie.sentence.text().endswith("11 pairs at delta 1, 9 pairs at delta 3")


def test_training_heeds_the_gaps_of_a_movie_and_its_file_is_named_only_with_the_same_numbers(
    dock: TrainWidget, viewer: ViewerModel, growing: np.ndarray, tmp_path: Path
) -> None:
    import tifffile

    numbers = [1, 2, 3, 5, 6, *range(10, 17)]
    (tmp_path / "frames").mkdir()
    for number, frame in zip(numbers, growing, strict=True):
        tifffile.imwrite(tmp_path / "frames" / f"t{number:02d}.tif", frame)
    layer = Image(growing, name="numbered")
    layer._set_source(Source(path=str(tmp_path / "frames")))
    viewer.add_layer(layer)
    dock.panel.movie.list.choose(layer)
    dock.panel.form.set_values({"delta": [1]})
    assert "frames 1 to 16 (4 missing); 9 pairs at delta 1" in dock.panel.movie.sentence.text()
    order = dock.panel.order()
    assert order.movie.frame_numbers.tolist() == numbers
    assert order.named(exact=True).input_train == (str(tmp_path / "frames"),)
    layer.metadata["frame_numbers"] = list(range(12))
    assert dock.panel.order().named().input_train == ()


def test_minutes_win_over_epochs_and_that_is_seen(dock: TrainWidget) -> None:
    form = dock.panel.form
    assert form.editor("epochs").isEnabled()
    form.set_values({"minutes": 5})
    assert not form.editor("epochs").isEnabled()


def test_time_and_memory_are_measured_when_asked(
    dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_tarrow.engine.training.estimate import Estimate

    found = Estimate(5, 100, 600.0, "32", 3 * 10**9, 8 * 10**9, "CPU, 1 thread", ())
    monkeypatch.setattr("napari_tarrow.engine.training.measure", lambda *_: found, raising=False)
    dock.measure.button.click()
    assert not dock.measure.button.isEnabled()
    until(lambda: not dock.measure.running)
    text = dock.measure.label.text()
    assert text == "2 min per epoch, 10 min in all; a step takes 3 GB of memory, 8 GB are free on CPU, 1 thread."
    dock.panel.form.set_values({"size": 24})
    assert "not measured" in dock.measure.label.text()


def test_a_measurement_that_is_given_up_ends_before_the_next_begins(
    dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtCore import QCoreApplication, QEvent

    from napari_tarrow.engine.training.estimate import Estimate
    from napari_tarrow.widgets.shared.worker import Job

    begun: list[int] = []
    at_work, most, free = 0, 0, threading.Event()

    def measure(config: Any, movies: Any, control: Control) -> Estimate:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        begun.append(config.size)
        while not (control.stopping or free.is_set()):
            time.sleep(0.01)
        time.sleep(0.1)  # the step at hand
        at_work -= 1
        return Estimate(5, 100, 600.0, "32", 3 * 10**9, 8 * 10**9, str(config.size), ())

    monkeypatch.setattr("napari_tarrow.engine.training.measure", measure, raising=False)
    dock.measure.button.click()
    until(lambda: len(begun) == 1)
    for size in (24, 20, 16):
        dock.panel.form.set_values({"size": size})
        assert not dock.measure.running
        dock.measure.button.click()
        assert dock.measure.running
    assert dock.measure.label.text() == "Measuring …"
    until(lambda: len(begun) == 2)
    free.set()
    until(lambda: not dock.measure.running)
    assert dock.measure.label.text().endswith("free on 16.")
    assert (begun[1:], most) == ([16], 1)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert not dock.measure.findChildren(Job)


def test_what_cannot_be_measured_is_said(dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: Any) -> Any:
        raise UserError("growing has no clip for training at delta 1.")

    monkeypatch.setattr("napari_tarrow.engine.training.measure", measure, raising=False)
    dock.measure.button.click()
    until(lambda: not dock.measure.running)
    assert dock.bar.problem.text() == "growing has no clip for training at delta 1."
    assert dock.measure.button.isEnabled()


def test_a_configuration_is_saved_and_loaded(dock: TrainWidget, tmp_path: Path) -> None:
    dock.panel.form.set_values({"size": 24, "clip": 4})
    dock.save_configuration(tmp_path / "train.yaml")
    assert "napari-tarrow-train -c train.yaml" in dock.bar.status.text()
    dock.panel.form.set_values({"size": 32})
    dock.load_settings(tmp_path / "train.yaml")
    assert dock.panel.form.values()["size"] == 24
    assert dock.panel.form.values()["clip"] == "4"
    (tmp_path / "bad.yaml").write_text("sizze: 3")
    dock.load_settings(tmp_path / "bad.yaml")
    assert "Unknown option sizze" in dock.bar.problem.text()
    assert dock.panel.form.values()["size"] == 24


def test_the_command_is_copied(dock: TrainWidget) -> None:
    dock.results.copy.click()
    assert QApplication.clipboard().text().startswith("napari-tarrow-train --preset interactive")
    assert "MOVIE.tif" in dock.bar.status.text()


def test_a_run_begins_with_the_weights_of_a_model(dock: TrainWidget, model_folder: Path) -> None:
    dock.continue_from(model_folder)
    values = dock.panel.form.values()
    assert (values["init"], values["features"]) == (str(model_folder), 4)
    assert "Press Start" in dock.bar.status.text()
    dock.continue_from(model_folder.parent)
    assert "holds no model" in dock.bar.problem.text()


def test_a_model_of_other_channels_is_refused_before_the_start(
    dock: TrainWidget, engine: Engine, viewer: ViewerModel, model_folder: Path, growing: np.ndarray
) -> None:
    words = "The model takes 1 channel and the movie has 2. Right click on the layer, Split Stack (or Split RGB), and"
    words += " choose one part."
    dock.panel.movie.list.choose(viewer.add_image(np.stack([growing, growing], 1), name="two"))
    dock.continue_from(model_folder)
    assert dock.bar.problem.text() == words
    dock.bar.complain("")
    dock.start()
    assert dock.bar.problem.text() == words
    assert not dock.run.state.at_work
    dock.panel.movie.list.choose(viewer.layers["growing"])
    dock.start()
    assert dock.run.state.at_work


def test_live_maps_come_as_a_layer_over_the_frame_in_view(
    dock: TrainWidget, viewer: ViewerModel, engine: Engine, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.live_map._BETWEEN_MAPS", 0.0)
    monkeypatch.setattr("napari_tarrow.widgets.training.live_map._SHARE", 0)
    viewer.dims.set_current_step(0, 7)
    dock.live.box.setChecked(True)
    begin(dock, until)
    until(lambda: dock.live.layer is not None)
    layer, source = dock.live.layer, viewer.layers["growing"]
    assert layer.data.shape == source.data.shape
    assert np.array_equal(layer.scale, source.scale)
    assert layer.units == source.units
    assert layer.axis_labels == source.axis_labels
    assert layer.metadata["napari_tarrow"]["configuration"]["preset"] == "interactive"
    assert (layer.data[7, 4:, 6:] == 0.5).all()
    assert (layer.data[7, :4] == 0).all()
    assert (layer.data[7, :, :6] == 0).all()
    assert (layer.data[6] == 0).all()
    assert viewer.layers.selection.active is source
    data = layer.data
    viewer.dims.set_current_step(0, 3)
    until(lambda: bool((data[3, 4:, 6:] == 0.5).all()))
    assert len(viewer.layers) == 2
    assert layer.data is data
    viewer.layers.remove(layer)
    until(lambda: not dock.live.box.isChecked())
    assert dock.run.state.now is State.TRAINING
    dock.live.box.setChecked(True)
    until(lambda: len(viewer.layers) == 2)


def test_without_the_tick_no_map_is_asked_for(dock: TrainWidget, engine: Engine, until: Until, qtbot: QtBot) -> None:
    begin(dock, until)
    dock.live._ask()
    assert dock.run.control.take_frame() is None


def test_resumed_without_its_movie_a_run_says_what_is_missing(
    qtbot: QtBot, engine: Engine, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", lambda error: None)
    dock = TrainWidget(ViewerModel())
    qtbot.addWidget(dock)
    (tmp_path / "train_args.yaml").write_text("size: 64\n")
    dock.resume(tmp_path)
    until(lambda: dock.run.state.now is State.FAILED)
    assert "Open its movie, choose it, and resume again" in dock.bar.problem.text()
    assert dock.panel.form.values()["size"] == 64


def test_resumed_with_a_movie_of_another_size_a_run_says_that_it_is_another(
    dock: TrainWidget, engine: Engine, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", lambda error: None)
    record = tmp_path / "run.yaml"
    record.write_text("config: {size: 24}\nmovies: [{shape: [40, 1, 24, 28]}]\n")
    dock.resume(tmp_path)
    until(lambda: dock.run.state.now is State.FAILED)
    assert dock.bar.problem.text() == (
        f"growing has 12 frames of 24 x 28, and the movie of the run {tmp_path.name} has 40 frames of 24 x 28: it is"
        " another. Choose the run's movie and resume again."
    )
    record.write_text("config: {size: 24}\nmovies: [{shape: [8, 1, 24, 28]}]\n")  # n_images
    dock.resume(tmp_path)
    until(lambda: dock.run.state.now is State.TRAINING)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Start a new run from its weights with --init.", "weights with {}."),
        ("start a new run from its weights with --init /a b/c.", "weights with {}."),
        ("a smaller batchsize from its weights (--init /a b/c.d).", "weights ({})."),
        ("Start a new run from the best weights: --init /a/c", "weights: {}"),
    ],
)
def test_errors_name_the_button_and_not_the_option(
    dock: TrainWidget, engine: Engine, until: Until, monkeypatch: pytest.MonkeyPatch, words: str, shown: str
) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", lambda error: None)
    engine.error = UserError(words)
    dock.start()
    until(lambda: dock.run.state.now is State.FAILED)
    assert dock.bar.problem.text().endswith(shown.format('"Continue from this model…"'))


@pytest.mark.parametrize("same", [True, False])
def test_resumed_on_its_file_a_run_has_to_do_with_the_layer_of_that_file_only(
    same: bool, dock: TrainWidget, viewer: ViewerModel, engine: Engine, until: Until, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    path.touch()
    (tmp_path / "train_args.yaml").write_text(f"input_train: {path}")
    if same:
        viewer.layers[0]._source = viewer.layers[0].source.model_copy(update={"path": str(path)})
    dock.live.box.setChecked(True)
    dock.resume(tmp_path)
    until(lambda: dock.run.state.now is State.TRAINING)
    assert engine.movies == [None]
    assert (dock.live._control is not None) is same
    viewer.layers.clear()
    if same:
        until(lambda: dock.run.state.now is State.FINISHED)
    else:
        assert dock.run.state.now is State.TRAINING


def test_tensorboard_is_a_process_of_its_own(
    dock: TrainWidget, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from napari_tarrow.widgets.training import results

    words: list[list[str]] = []
    opened: list[str] = []

    class Process:
        ended = False

        def __init__(self, command: list[str], **rest: Any) -> None:
            words.append(command)

        def poll(self) -> int | None:
            return 0 if self.ended else None

        def terminate(self) -> None:
            Process.ended = True

    monkeypatch.setattr(results.subprocess, "Popen", Process)
    monkeypatch.setattr(results, "_listens", lambda port: True)
    monkeypatch.setattr(results.QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    (tmp_path / "tb").mkdir()
    dock.results.show_run(tmp_path, "Done.")
    dock.results.tensorboard.click()
    until(lambda: bool(opened))
    assert words[0][:5] == [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "tb")]
    assert opened[0] == f"http://localhost:{words[0][-1]}"
    dock.leave()
    assert Process.ended

    Process.ended = False
    dock.results.tensorboard.click()
    application = QApplication.instance()
    assert application is not None
    application.aboutToQuit.emit()
    assert Process.ended


def test_tensorboard_that_does_not_start_is_said(
    dock: TrainWidget, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_tarrow.widgets.training import results

    start = results.subprocess.Popen
    monkeypatch.setattr(results.subprocess, "Popen", lambda words, **rest: start([words[0], "-c", "exit(1)"], **rest))
    (tmp_path / "tb").mkdir()
    dock.results.show_run(tmp_path, "Done.")
    dock.results.tensorboard.click()
    until(lambda: "TensorBoard does not start" in dock.bar.problem.text())


def test_opening_the_dock_brings_neither_torch_nor_pyqtgraph() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from qtpy.QtWidgets import QApplication; app = QApplication([]);"
        "from napari.components import ViewerModel; from napari_tarrow.widgets import TrainWidget;"
        "TrainWidget(ViewerModel()); print({'torch', 'pyqtgraph', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.strip() == "set()"
