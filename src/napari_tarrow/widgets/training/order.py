"""What to train: a movie and settings, checked as they are given, and their ways in and out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ...engine.config import NETWORK_ARGUMENTS, TrainConfig
from ...engine.errors import UserError
from ..shared.form import OptionsForm
from ..shared.movie_chooser import MovieChooser
from ..shared.preferences import read_preferences
from ..shared.runs import model_facts
from ..shared.sections import Folding, heading
from . import recipes

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel

    from ...engine.movies import Movie

_IN_VIEW = ("preset", "delta", "backbone", "init", "size", "epochs", "minutes", "split_train", "split_val")
# What a layer says instead, and what it cannot have.
FROM_THE_LAYER = ("input_train", "input_val", "axes", "frame_numbers", "read_recursion_level", "ndim")


@dataclass(frozen=True)
class Order:
    """What would be trained: options, the movie, and the file that its layer says it came from."""

    config: TrainConfig
    movie: Movie
    path: str | None

    def named(self, *, exact: bool = False) -> TrainConfig:
        """Return the options with the movie's file among them, if it is the movie still; see `recipes.file_of`."""
        file = recipes.file_of(self.path, self.movie, self.config, exact=exact)
        return self.config.model_copy(update={"input_train": (file,) if file else ()})


class OrderPanel(QWidget):
    """Movie and settings.

    Parameters
    ----------
    viewer
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.movie = MovieChooser(viewer)
        self.form = OptionsForm(TrainConfig, leave_out=FROM_THE_LAYER, in_view=_IN_VIEW)
        self.settings = Folding("Settings", self.form, opened=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addWidget(heading("Movie"))
        box.addWidget(self.movie)
        box.addWidget(self.settings)
        self._propose()
        self.movie.changed.connect(self._layer_changed)
        self.form.changed.connect(self._form_changed)
        self._layer_changed()

    @property
    def hindrance(self) -> str | None:
        """Why nothing can be trained as it stands; None where it can."""
        facts = self.movie.facts
        if facts is None:
            return "Open a movie first."
        return facts.problem or self.form.problem

    def order(self) -> Order:
        """Return what would be trained; the layer and the preferences are looked at anew.

        Raises
        ------
        UserError
            If that is not right yet.
        """
        self.movie.look()
        self._propose()
        layer, facts = self.movie.layer, self.movie.facts
        if layer is None or facts is None or facts.source is None or self.hindrance is not None:
            raise UserError(self.hindrance or "Choose a movie first.")
        self._check_start()
        config = self.form.config()
        assert isinstance(config, TrainConfig)
        return Order(config.model_copy(update={"axes": facts.stored_axes}), facts.source, layer.source.path)

    def load(self, path: Path) -> TrainConfig:
        """Take the settings of a run folder or a YAML file, and no others; return them.

        Raises
        ------
        UserError
            If there are none, or one is wrong.
        """
        values = recipes.load(path)
        self.form.set_values(values, alone=True)
        return TrainConfig.from_values(values)

    def continue_from(self, folder: Path) -> None:
        """Let a run begin with the weights of a model, and with a network like it.

        Raises
        ------
        UserError
            If the folder holds no model, or one for movies of other channels than the chosen one.
        """
        self.form.set_values(recipes.network_of(folder))
        self.settings.set_open(True)
        self._check_start()

    def halve_batch(self) -> int:
        """Take half as many clips per step; return how many."""
        size = max(2, self.form.config().model_dump()["batchsize"] // 2)
        self.form.set_values({"batchsize": size})
        return size

    def lock(self, locked: bool) -> None:
        """Let nothing be changed while a run is at work."""
        self.movie.setEnabled(not locked)
        self.form.setEnabled(not locked)

    def _check_start(self) -> None:
        """Look whether the model whose weights are asked for is this network, and takes this movie.

        The engine says it only after a while.

        Raises
        ------
        UserError
            If not.
        """
        values, facts = self.form.values(), self.movie.facts
        if not values["init"] or facts is None or facts.problem:
            return
        start = model_facts(values["init"])
        if start.problem:
            return
        if values["channel"] is not None and start.channels > 1:
            raise UserError(
                f"The model takes {start.channels} channels, and Only channel leaves one. Clear it, or choose another"
                " model."
            )
        own = replace(start, channel=None)  # which channel the run takes is for the form to say
        if misfit := own.misfit(1 if values["channel"] is not None else values["channels"]):
            raise UserError(misfit)
        for name, its in recipes.network_of(values["init"]).items():
            if name in NETWORK_ARGUMENTS and str(values[name]) != str(its):
                title = TrainConfig.model_fields[name].title
                raise UserError(
                    f"{title} of the model to start from is {its}, and not {values[name]}. Choose that, or no model."
                )

    def _propose(self) -> None:
        wanted = read_preferences()
        values = {"device": wanted.device, "precision": wanted.precision, "outdir": str(wanted.run_folder)}
        self.form.propose({"preset": "interactive", **values})

    def _layer_changed(self) -> None:
        facts = self.movie.facts
        if facts is not None and facts.problem is None:
            self.form.propose({"channels": facts.channels})
        else:
            self.changed.emit()

    def _form_changed(self) -> None:
        by_epochs = self.form.editor("minutes").get() is None  # minutes win over them
        self.form.editor("epochs").setEnabled(by_epochs)
        if self.form.problem is None:
            config = TrainConfig.from_values(self.form.values())
            deltas = () if config.delta == "auto" else config.deltas  # chosen at the start: nothing to count yet
            if deltas != self.movie.deltas:
                self.movie.deltas = deltas
                self.movie.look()  # which says how many pairs there are now
        self.changed.emit()
