"""Choosing a trained model: recent runs, or any model folder."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ...engine.bundled import BUNDLED, bundled_at
from .combo import Combo, titled
from .preferences import read_preferences
from .runs import ModelFacts, announcer, model_facts, recent_runs, remember_run, runs_in
from .words import as_tip

__all__ = ["ModelChooser", "ModelFacts", "model_facts", "recent_runs", "remember_run"]


class ModelChooser(QWidget):
    """A list of recent runs and what comes with the package, a button to browse, and a sentence about the chosen one.

    Parameters
    ----------
    title
        A label before the list, `LABEL_WIDTH` wide, so that it stands in line with the rows of a form.

    Signals
    -------
    changed()
        Another model is chosen.
    picked()
        The user chose it, and not a run that has ended; comes after `changed`.
    """

    changed = Signal()
    picked = Signal()

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self._facts = ModelFacts(next(iter(BUNDLED.values())).folder, "")  # until the list is filled
        self._chosen_by_hand = False
        self.list = Combo("model")
        self.list.setToolTip("Recent runs and model folders")
        self.browse_button = QPushButton("Browse…")
        self.browse_button.setToolTip("Choose the folder of a run, of napari-tarrow or of the reference")
        self.sentence = QLabel()
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)  # names are no HTML
        self.sentence.setWordWrap(True)
        self.sentence.setObjectName("model_sentence")
        self._lay_out(title)
        self.list.activated.connect(self._by_hand)
        self.list.currentIndexChanged.connect(self._describe)
        self.browse_button.clicked.connect(self.browse)
        announcer().remembered.connect(self._hear)
        self._fill()

    @property
    def facts(self) -> ModelFacts:
        """What the chosen folder says of itself."""
        return self._facts

    @property
    def folder(self) -> Path | None:
        """The chosen folder, if it holds a model."""
        return None if self._facts.problem else self._facts.folder

    def choose(self, folder: str | Path) -> None:
        """Choose a model folder; it is put into the list if it is not there."""
        path = Path(folder).absolute()
        index = self._index(path)
        if index < 0:
            index = 0
            self.list.blockSignals(True)
            self._add(0, path)
            self.list.blockSignals(False)
        self.list.setCurrentIndex(index)
        self._describe()
        self._by_hand()

    def browse(self) -> None:
        """Ask for a model folder."""
        start = read_preferences().run_folder if bundled_at(self._facts.folder) else self._facts.folder.parent
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder", str(start))
        if not folder:
            return
        self.choose(folder)
        if self.folder is not None:
            remember_run(folder)

    def _lay_out(self, title: str) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        if title:
            row.addWidget(titled(title))
        row.addWidget(self.list, 1)
        row.addWidget(self.browse_button)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(row)
        box.addWidget(self.sentence)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def _fill(self) -> None:
        """List the recent runs, those in the folder of runs, and what comes with the package; keep what was chosen."""
        before = self._facts.folder
        found = dict.fromkeys(
            [*recent_runs(), *runs_in(read_preferences().run_folder), *(one.folder for one in BUNDLED.values())]
        )
        if before not in found:
            found = dict.fromkeys([before, *found])
        self.list.blockSignals(True)
        self.list.clear()
        for place, path in enumerate(found):
            self._add(place, path)
        self.list.setCurrentIndex(max(0, self._index(before)) if self._chosen_by_hand else 0)
        self.list.blockSignals(False)
        self._describe()

    def _add(self, place: int, path: Path) -> None:
        bundled = bundled_at(path)
        name = bundled.title if bundled else path.name.split("_backbone_")[0] or path.name
        self.list.insertItem(place, name, str(path))
        self.list.setItemData(place, as_tip(str(path)), Qt.ItemDataRole.ToolTipRole)

    def _index(self, path: Path) -> int:
        return self.list.findData(str(path))

    def _by_hand(self) -> None:
        self._chosen_by_hand = True
        self.picked.emit()

    def _hear(self, folder: str) -> None:
        del folder  # it is the first of the recent runs by now
        self._fill()

    def _describe(self) -> None:
        path = self.list.currentData()
        facts = model_facts(path)
        changed = facts != self._facts
        self._facts = facts
        self.sentence.setText(facts.problem or facts.sentence)
        self.list.setToolTip(as_tip(path))
        if changed:
            self.changed.emit()
