"""The dock "Train TAP": a movie, some settings, a button; then the curve, and a model."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox, QVBoxLayout, QWidget

from ...engine.devices import out_of_memory
from ...engine.errors import NotEnoughMemoryError, UserError
from ...engine.training import EpochEnded, FrameMapShown, Notice, Progress, ShortcutsFound, Started
from ..shared.dock import note
from ..shared.layers import plain, still_there
from ..shared.models import remember_run
from ..shared.preferences import read_preferences
from ..shared.sections import Folding, Page
from ..shared.words import cost, roughly
from ..shared.worker import in_words, notify
from . import recipes
from .curve import CurvePlot
from .kept_run import KeptRun
from .live_map import LiveMap
from .measuring import MeasureLine
from .order import OrderPanel
from .results import ResultsPanel
from .run import Run
from .run_bar import RunBar
from .run_state import Action, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari.viewer
    from napari.layers import Layer

    from ...engine.config import TrainConfig
    from ...engine.training import Control, Update
    from .run import Ending

_DOING = {
    State.CHECKING: "Opening the movie and measuring …",
    State.TRAINING: "Training …",
    State.PAUSING: "Pausing after this step …",
    State.PAUSED: "Paused. The run is saved.",
    State.STOPPING: "Ending …",
}


class TrainWidget(QWidget):
    """Train a network on a layer."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.run = Run(self)
        self._source: weakref.ref[Layer] | None = None
        self._shortcuts = ""
        self.panel = OrderPanel(napari_viewer)
        self.measure = MeasureLine(self.panel.order)
        self.plot = CurvePlot(napari_viewer)
        self.live = LiveMap(napari_viewer, self)
        self.results = ResultsPanel()
        self.told = note("")
        self.details = Folding("What is trained on", self.told, opened=False)
        self.bar = RunBar(self.run.state)
        self._lay_out()
        self._connect()
        self._refresh()

    def ask(self, action: Action) -> None:
        """Do what a button says, if it works now."""
        if self.run.state.allows(action):
            {
                Action.START: self.start,
                Action.PAUSE: self.run.pause,
                Action.GO_ON: self.run.go_on,
                Action.STOP: self.run.stop,
                Action.CANCEL: self._cancel,
                Action.RESUME: self._ask_and_resume,
                Action.CONTINUE: self._ask_and_continue,
            }[action]()

    def start(self) -> None:
        """Train what the dock describes."""
        try:
            order = self.panel.order()
        except UserError as error:
            self._complain(error)
            return

        def work(control: Control) -> Iterator[Update]:
            from ...engine.training import train

            yield from train(order.named(exact=True), control, movies=[order.movie])

        self._begin(Action.START, work, order.config)

    def resume(self, folder: Path) -> None:
        """Go on with a run; its movie is the file it was trained on, or else the chosen layer."""
        facts, form = self.panel.movie.facts, self.panel.form
        movie = facts.source if facts is not None else None
        device = form.editor("device").get() if "device" in form.given() else None
        try:
            config = self.panel.load(folder)
        except UserError as error:
            self._complain(error)
            return

        kept = KeptRun(folder)

        def work(control: Control) -> Iterator[Update]:
            from ...engine.training import resume

            files = bool(config.input_train) and all(Path(path).exists() for path in config.input_train)
            if not files and movie is None:
                raise UserError(f"{folder.name} was trained on a layer. Open its movie, choose it, and resume again.")
            if movie is not None and not files:
                recipes.check_movie(folder, movie)
            kept.keep()
            yield from resume(folder, control, movies=None if files else [movie], device=device)

        self._begin(Action.RESUME, work, config, kept)

    def continue_from(self, folder: Path) -> None:
        """Let the next run begin with the weights of a model, and with a network like it."""
        if self._done(lambda: self.panel.continue_from(folder)):
            self.bar.say(f"A run will begin with the weights of {folder.name}. Press Start.")

    def load_settings(self, path: Path) -> None:
        """Take the settings of a run folder or a YAML file."""
        if self._done(lambda: self.panel.load(path)):
            self.bar.say(f"Settings of {path.name}.")

    def save_configuration(self, path: Path) -> None:
        """Write the YAML file that ``napari-tarrow-train -c`` takes."""
        config = self._named()
        if config is not None and self._done(lambda: recipes.save(config, path)):
            missing = "" if config.input_train else ". The layer has no file: name the movie with --input_train."
            self.bar.say(f"In a terminal: napari-tarrow-train -c {path.name}{missing}")

    def copy_command(self) -> None:
        """Put the command that trains the same on the clipboard."""
        config, clipboard = self._named(), QApplication.clipboard()
        if config is not None and clipboard is not None:
            clipboard.setText(recipes.as_command(config))
            missing = "" if config.input_train else " The layer has no file: put its path for MOVIE.tif."
            self.bar.say(f"Copied.{missing}")

    def leave(self) -> None:
        """Stop whatever runs; the last checkpoint is kept."""
        self.measure.end()
        self.run.leave()
        self.results.close_all()

    def event(self, event: QEvent | None) -> bool:
        """End the work when napari closes the dock: it takes this widget out of it."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.leave()
        return bool(super().event(event))

    # the life of a run

    def _begin(self, action: Action, work: Any, config: TrainConfig, kept: KeptRun | None = None) -> None:
        self.measure.end()
        layer, facts = self.panel.movie.layer, self.panel.movie.facts
        title = f"TAP training on {layer.name}" if layer is not None else "TAP training"
        control = self.run.begin(action, work, title, kept)
        if control is None:
            return
        if layer is not None and _on_another_movie(config, layer):
            layer = None
        self._source = None if layer is None else weakref.ref(plain(layer))
        self.bar.complain("")
        self.bar.show_progress(0, 0)
        self.results.show_run(None, "")
        self._shortcuts = ""
        self.plot.clear()
        for part in (self.plot, self.live.box):
            part.setVisible(True)
        self.panel.settings.set_open(False)
        if layer is not None and facts is not None and facts.source is not None:
            self.live.begin(control, layer, facts, config.model_dump(mode="json"))

    def _take(self, update: Update) -> None:
        match update:
            case Started():
                self._started(update)
            case Notice():
                self.told.setText(f"{self.told.text()} {update.text}".strip())
            case Progress():
                self._progress(update)
            case EpochEnded():
                self.plot.curve.add_epoch(update)
                self.plot.redraw()
            case FrameMapShown():
                self.live.take(update)
            case ShortcutsFound():
                self._shortcuts = "\n".join(update.lines)

    def _started(self, started: Started) -> None:
        self.plot.curve.start(started)
        self.told.setText(" ".join(started.summary))
        self.details.show()
        if started.seconds is not None and started.memory is not None:
            self.measure.tell(cost(started.seconds, started.epochs - started.first_epoch, *started.memory))

    def _progress(self, progress: Progress) -> None:
        self.plot.curve.add_progress(progress)
        self.plot.redraw()
        self.bar.show_progress(progress.step, progress.steps)
        if self.run.state.now is State.TRAINING:
            doing = "validating, " if progress.phase == "val" else ""
            self.bar.say(
                f"Epoch {progress.epoch} of {progress.epochs}: {doing}{progress.pairs_per_second:,.0f} pairs/s,"
                f" {roughly(progress.seconds_left)} left."
            )

    def _ended(self, ending: Ending) -> None:
        self.live.end()
        if ending.error is not None:
            error = _in_words_of_the_dock(ending.error)
            self._complain(error)
            notify(error)
        self.bar.say(ending.words)
        if ending.folder is not None:
            said = (ending.what_is_there, ending.remark, self._shortcuts)
            self.results.show_run(ending.folder, "\n\n".join(filter(None, said)))
            if ending.finished is not None or self.plot.curve.epochs:
                remember_run(ending.folder)

    def _layer_gone(self, event: object = None) -> None:
        del event
        if not isalive(self) or self._source is None or not self.run.state.at_work:
            return
        if not still_there(self.viewer, self._source):
            self.run.leave()
            self.bar.say("The layer was removed: training ends, and the model so far is kept.")

    # what is shown

    def _changed(self) -> None:
        if not self.run.state.at_work:
            self.measure.forget()
        self._refresh()

    def _run_changed(self) -> None:
        if self.run.state.now in _DOING:
            self.bar.say(_DOING[self.run.state.now])
        self._refresh()

    def _refresh(self) -> None:
        why, working = self.panel.hindrance, self.run.state.at_work
        self.bar.hinder(why)
        self.panel.lock(working)
        self.results.load.setEnabled(not working)
        self.results.save.setEnabled(why is None)
        self.results.copy.setEnabled(why is None)
        self.measure.allow(why is None, shown=not working)

    def _complain(self, error: BaseException) -> None:
        lacking = isinstance(error, NotEnoughMemoryError) or out_of_memory(error)
        self.bar.complain(in_words(error), memory=lacking)

    def _named(self) -> TrainConfig | None:
        """Return what would be trained, its file among the options; None where something is wrong with it."""
        try:
            return self.panel.order().named()
        except UserError as error:
            self._complain(error)
            return None

    def _done(self, action: Any) -> bool:
        """Do something, and say what is wrong with it; return whether nothing is."""
        try:
            action()
        except UserError as error:
            self._complain(error)
            return False
        self.bar.complain("")
        return True

    # questions

    def _cancel(self) -> None:
        buttons = QMessageBox.StandardButton
        if self.run.resumed:
            text = (
                f"Discard what was trained since the run was resumed? The folder {self.run.folder} will be as before."
            )
        else:
            text = f"Discard this run? The folder {self.run.folder} and all that is in it will be deleted."
        if self.run.folder is not None:
            answer = QMessageBox.question(self, "Cancel training", text, buttons.Yes | buttons.No, buttons.No)
            if answer != buttons.Yes:
                return
            if not self.run.state.allows(Action.CANCEL):
                self.bar.complain(f"The run had ended before you answered: it is kept in {self.run.folder}.")
                return
        self.run.cancel()

    def _halve(self) -> None:
        size = self.panel.halve_batch()
        self.bar.complain("")
        self.bar.say(f"The batch is {size} clips now. Press Start.")

    def _ask_and_resume(self) -> None:
        if folder := self._ask_folder("Resume a run folder"):
            self.resume(Path(folder))

    def _ask_and_continue(self) -> None:
        if folder := self._ask_folder("Continue from the model of a run"):
            self.continue_from(Path(folder))

    def _ask_folder(self, title: str) -> str:
        return QFileDialog.getExistingDirectory(self, title, str(self._runs()))

    def _ask_and_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load settings", str(self._runs()), "Settings (*.yaml *.yml)")
        if path:
            chosen = Path(path)
            self.load_settings(chosen.parent if chosen.name in ("run.yaml", "train_args.yaml") else chosen)

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the configuration", "train.yaml", "YAML (*.yaml)")
        if path:
            self.save_configuration(Path(path))

    def _runs(self) -> Path:
        return self.run.folder or read_preferences().run_folder

    def _connect(self) -> None:
        self.run.updated.connect(self._take)
        self.run.changed.connect(self._run_changed)
        self.run.ended.connect(self._ended)
        self.panel.changed.connect(self._changed)
        self.bar.asked.connect(self.ask)
        self.bar.halved.connect(self._halve)
        self.results.load_asked.connect(self._ask_and_load)
        self.results.save_asked.connect(self._ask_and_save)
        self.results.copy_asked.connect(self.copy_command)
        self.results.failed.connect(self._complain)
        self.measure.failed.connect(self._complain)
        self.viewer.layers.events.removed.connect(self._layer_gone)

    def _lay_out(self) -> None:
        content = QWidget()
        inner = QVBoxLayout(content)
        inner.setContentsMargins(8, 4, 8, 4)
        inner.setSpacing(8)
        for part in (self.panel, self.measure, self.plot, self.live.box, self.results, self.details):
            inner.addWidget(part)
        inner.addStretch(1)
        for part in (self.plot, self.live.box, self.details):
            part.hide()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(Page(content), 1)
        box.addWidget(self.bar)
        self.bar.layout().setContentsMargins(8, 4, 8, 8)


def _on_another_movie(config: TrainConfig, layer: Layer) -> bool:
    """Whether a run that is gone on with reads its movie from files, and the chosen layer shows none of them."""
    files = [Path(path) for path in config.input_train]
    if not files or not all(path.exists() for path in files):
        return False
    shown = layer.source.path
    return not shown or Path(shown).resolve() != files[0].resolve()


def _in_words_of_the_dock(error: BaseException) -> BaseException:
    """Return an error that names the button in place of the command's option --init and its folder, the last words."""
    words = re.sub(r"--init( .*?)?(?=\)?\.?$)", '"Continue from this model…"', str(error))
    return type(error)(words) if isinstance(error, UserError) and words != str(error) else error
