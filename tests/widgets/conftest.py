"""Real viewers, tiny movies, and a look at every exception that a slot lets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QWidget

    Until = Callable[..., None]


def growing_square() -> np.ndarray:
    """12 frames of 24 x 28 in which a bright square grows, with a little noise."""
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 110, (12, 24, 28)).astype(np.uint16)
    for t, frame in enumerate(frames):
        frame[8 : 10 + t // 2, 8 : 10 + t // 2] += np.uint16(500 + 20 * t)
    return frames


@pytest.fixture
def growing() -> np.ndarray:
    return growing_square()


class DockRun:
    """A dock in a viewer without a window, and what its work said.

    Parameters
    ----------
    dock : a dock that uses a model
    until : the fixture
    done : type
        Of the values that say that a frame is done.
    """

    def __init__(self, dock: Any, until: Until, done: type) -> None:
        self.dock, self.viewer, self._until, self._done = dock, dock.viewer, until, done
        self.values: list[Any] = []

    def start(self) -> DockRun:
        self.dock.go.click()
        assert self.dock.job is not None
        self.dock.job.yielded.connect(self.values.append)
        return self

    def wait(self) -> str:
        self._until(lambda: self.dock.job is None)
        return self.dock.status.text()

    def all(self) -> str:
        return self.start().wait()

    def frames(self) -> list[int]:
        return [value.frame for value in self.values if isinstance(value, self._done)]

    def wait_for(self, count: int) -> None:
        self._until(lambda: len(self.frames()) >= count)


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the list of recent runs, and the folder of runs, of whoever runs the tests as they are."""
    monkeypatch.setenv("NAPARI_TARROW_CONFIG", str(tmp_path / "configuration"))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """Folder of a tiny network with random weights that takes one channel."""
    return random_model(tmp_path / "runs" / "tiny_backbone_unet_16fmaps")


def random_model(folder: Path, **options: object) -> Path:
    """Write a network with random weights: small, but with all parts of a real one."""
    import torch

    from napari_tarrow.engine.models import TimeArrowNet, write_model

    torch.manual_seed(0)
    network = TimeArrowNet(**{"backbone": "unet_16fmaps", "n_features": 4, "symmetric": True, **options})
    write_model(folder, network.eval())
    return folder


@pytest.fixture
def turn_wheel() -> Callable[[QWidget], None]:
    """Turn the wheel of the mouse by a step, over a widget."""
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    def turn(widget: QWidget) -> None:
        place, none, step = QPointF(3, 3), QPoint(0, 0), QPoint(0, -120)
        buttons, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
        phase = Qt.ScrollPhase.NoScrollPhase
        QApplication.sendEvent(widget, QWheelEvent(place, place, none, step, buttons, keys, phase, False))

    return turn


@pytest.fixture
def until(qtbot: QtBot) -> Until:
    """Let the event loop run until something is true."""

    def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
        qtbot.waitUntil(condition, timeout=int(1000 * seconds))

    return wait


@pytest.fixture
def dock_run(qtbot: QtBot, until: Until) -> Callable[..., DockRun]:
    """Make a dock of some kind in a viewer, with a model chosen."""

    def make(kind: type, done: type, viewer: Any, model: Path) -> DockRun:
        dock = kind(viewer)
        qtbot.addWidget(dock)
        dock.model.choose(model)
        return DockRun(dock, until, done)

    return make
