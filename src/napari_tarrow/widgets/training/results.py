"""What there is after a run: its folder, and what can be done with it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QObject, Qt, QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QGridLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ...engine.errors import UserError
from ..shared.dock import note

if TYPE_CHECKING:
    from pathlib import Path

_ADDRESS = "http://localhost:"
_MOST_LOOKS = 120  # twice a second


class ResultsPanel(QWidget):
    """The folder of the last run with its buttons.

    Signals
    -------
    save_asked()
    copy_asked()
    load_asked()
    failed(object)
        An error to be shown.
    """

    save_asked = Signal()
    copy_asked = Signal()
    load_asked = Signal()
    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.folder: Path | None = None
        self.sentence = note("")
        self.sentence.setObjectName("results")
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.path = QLineEdit()
        self.path.setReadOnly(True)
        self.path.setToolTip("The run folder; it is a model folder too")
        self.open_folder = _button("Open the folder", "Show the files of the run")
        self.tensorboard = _button("Open TensorBoard", "Show curves, patches and maps in the browser")
        self.save = _button("Save configuration…", "Write the YAML file that napari-tarrow-train -c takes")
        self.copy = _button("Copy as command", "Copy the line that trains the same in a terminal")
        self.load = _button("Load a run's settings…", "Take the settings of a run (its run.yaml) or of a YAML file")
        self._board = TensorBoard(self)
        self._board.failed.connect(self.failed)
        buttons = QGridLayout()
        for place, button in enumerate((self.open_folder, self.tensorboard, self.save, self.copy)):
            buttons.addWidget(button, place // 2, place % 2)
        buttons.addWidget(self.load, 2, 0, 1, 2)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.sentence)
        box.addWidget(self.path)
        box.addLayout(buttons)
        self.open_folder.clicked.connect(self._open_folder)
        self.tensorboard.clicked.connect(self._open_tensorboard)
        self.save.clicked.connect(self.save_asked)
        self.copy.clicked.connect(self.copy_asked)
        self.load.clicked.connect(self.load_asked)
        self.show_run(None, "")

    def show_run(self, folder: Path | None, sentence: str) -> None:
        """Show what became of a run; None where there is none."""
        self.folder = folder
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))
        self.path.setText("" if folder is None else str(folder))
        self.path.setVisible(folder is not None)
        self.open_folder.setVisible(folder is not None)
        self.tensorboard.setVisible(folder is not None)
        self.tensorboard.setEnabled(folder is not None and (folder / "tb").is_dir())

    def close_all(self) -> None:
        """End the TensorBoard that was opened."""
        self._board.close()

    def _open_folder(self) -> None:
        if self.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder)))

    def _open_tensorboard(self) -> None:
        if self.folder is None:
            return
        try:
            self._board.open(self.folder / "tb")
        except UserError as error:
            self.failed.emit(error)


class TensorBoard(QObject):
    """TensorBoard as a process of its own, which ends with napari; the browser is opened once it listens.

    Signals
    -------
    failed(object)
        An error to be shown: it does not listen.
    """

    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.close)
        self._process: subprocess.Popen[bytes] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(500)
        self._timer.timeout.connect(self._look)
        self._port, self._looks = 0, 0

    def open(self, folder: Path) -> None:
        """Show the event files below a folder; one that is open already is closed first.

        Raises
        ------
        UserError
            If it cannot be started.
        """
        self.close()
        self._port, self._looks = _free_port(), 0
        words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(self._port)]
        nowhere = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        except OSError as error:
            raise UserError(f"TensorBoard cannot be started ({error.strerror or error}).") from error
        self._timer.start()

    def close(self) -> None:
        """End the process."""
        self._timer.stop()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        self._process = None

    def _look(self) -> None:
        self._looks += 1
        ended = self._process is None or self._process.poll() is not None
        if ended or self._looks > _MOST_LOOKS:
            self.close()
            self.failed.emit(
                UserError("TensorBoard does not start. Try it in a terminal: tensorboard --logdir, and the run folder.")
            )
        elif _listens(self._port):
            self._timer.stop()
            QDesktopServices.openUrl(QUrl(f"{_ADDRESS}{self._port}"))


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as trial:
        trial.settimeout(0.05)
        return trial.connect_ex(("localhost", port)) == 0


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
