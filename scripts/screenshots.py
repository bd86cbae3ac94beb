"""Drive a whole session in napari on the bundled movie, and take pictures of every step.

Without a folder the pictures of the docs are taken anew; with one, all steps in all sizes and themes go there. Run it
under `scripts/display.py` on a machine without a screen.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "napari-tarrow"
SIZES = ((1400, 900), (1366, 768))
THEMES = ("dark", "light")
DIVISION = 9  # a frame of the bundled movie in which a cell divides
_LARGEST = 250_000  # bytes of a picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def main() -> int:
    """Return 0 when all pictures are taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where all pictures go; without it, those of the docs")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long to train")
    parser.add_argument("--model", type=Path, help="a trained model: nothing is trained then")
    given = parser.parse_args()
    with home() as folder:
        camera = Camera(given.folder)
        with contextlib.closing(Session(camera)) as session:
            model = given.model or session.train(given.minutes)
        with contextlib.closing(Session(camera)) as session:
            session.attribute(model)
        with contextlib.closing(Session(camera)) as session:
            session.embed(model)
        if given.folder is None and given.model is None:
            shutil.copy(next(folder.rglob("learning_curve.png")), ROOT / "docs" / "images" / "curve.png")
            shrink(ROOT / "docs" / "images" / "curve.png")
    return 0


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """Work in a home of our own: no settings of the user are read, and no runs are left behind."""
    with tempfile.TemporaryDirectory(prefix="session-") as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["HOME"] = os.environ["USERPROFILE"] = folder
        yield Path(folder)


class Camera:
    """Takes pictures of the whole window.

    Parameters
    ----------
    folder
        Where all pictures go; None: the first size and theme only, for the docs.
    """

    def __init__(self, folder: Path | None) -> None:
        self._all = folder is not None
        self._folder = folder or ROOT / "docs" / "images"
        self._folder.mkdir(parents=True, exist_ok=True)

    def take(self, viewer: Any, name: str, *, docs: bool = True) -> None:
        """Take a step in every size and theme that is wanted."""
        if not docs and not self._all:
            return
        for width, height in SIZES if self._all else SIZES[:1]:
            for theme in THEMES if self._all else THEMES[:1]:
                viewer.theme = theme
                viewer.window.resize(width, height)
                wait(0.5)
                viewer.reset_view()
                wait(0.5)
                path = self._folder / (f"{name}_{width}x{height}_{theme}.png" if self._all else f"{name}.png")
                viewer.window.screenshot(path=str(path), canvas_only=False, flash=False)
                shrink(path)
                print(f"{path} ({path.stat().st_size / 1000:.0f} kB)", flush=True)


class Session:
    """A viewer with the bundled movie, and what somebody does in it."""

    def __init__(self, camera: Camera) -> None:
        import napari
        from npe2 import PluginManager, PluginManifest

        plugins = PluginManager.instance()
        plugins.discover()
        if PLUGIN not in plugins:  # run from a copy that is not installed
            plugins.register(PluginManifest.from_file(str(ROOT / "napari.yaml")))
        self.camera = camera
        self.viewer = napari.Viewer()
        self.viewer.open_sample(PLUGIN, "cancer_cell_migration")
        wait(1)

    def train(self, minutes: float) -> Path:
        """Train, and return the run folder."""
        dock = self.dock("Train TAP")
        dock.panel.form.set_values({"minutes": minutes})
        dock.live.box.setChecked(True)
        dock.measure.button.click()
        until(lambda: not dock.measure.running, 120)
        wait(0.5)
        self.camera.take(self.viewer, "train_ready")
        press(dock, "start")
        until(lambda: dock.run.state.at_work, 10)
        self.show(DIVISION)
        end = time.monotonic() + 60 * minutes * 0.6
        until(lambda: time.monotonic() > end or not dock.run.state.at_work, 60 * minutes + 120)
        self.camera.take(self.viewer, "train_running")
        until(lambda: not dock.run.state.at_work, 60 * minutes * 3 + 120)
        wait(1)
        self.camera.take(self.viewer, "train_done")
        return Path(dock.run.folder)

    def embed(self, model: Path) -> None:
        """Compute the embedding of the movie."""
        dock = self.dock("Compute embeddings")
        dock.model.choose(model)
        wait(1)
        self.camera.take(self.viewer, "embeddings_ready", docs=False)
        dock.go.click()
        until(lambda: dock.job is None, 120)
        self.show(DIVISION)
        self.camera.take(self.viewer, "embeddings")

    def attribute(self, model: Path) -> None:
        """Show maps and events."""
        dock = self.dock("Show attribution")
        dock.model.choose(model)
        wait(1)
        self.camera.take(self.viewer, "attribution_ready", docs=False)
        dock.go.click()
        until(lambda: dock.job is None, 180)
        wait(2)
        dock.events.visit(0)
        wait(0.5)
        self.camera.take(self.viewer, "attribution")

    def dock(self, name: str) -> Any:
        """Open a dock."""
        _, widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, name)
        wait(1)
        return widget

    def show(self, frame: int) -> None:
        """Go to a frame; the axis of time is the third from the end, whatever other layers add."""
        self.viewer.dims.set_current_step(self.viewer.dims.ndim - 3, frame)
        wait(1)

    def close(self) -> None:
        """End napari."""
        self.viewer.close()
        wait(1)


def press(dock: Any, name: str) -> None:
    """Press the button with an object name."""
    from qtpy.QtWidgets import QPushButton

    dock.findChild(QPushButton, name).click()


def wait(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, seconds + 60)


def until(true: Callable[[], bool], seconds: float) -> None:
    """Let the window live until something is true."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened for {seconds:.0f} seconds")
        QApplication.processEvents()
        time.sleep(0.005)


def shrink(path: Path) -> None:
    """Store a picture without transparency, and where that is too large, with a palette."""
    from PIL import Image

    with Image.open(path) as picture:
        plain = picture.convert("RGB")
    plain.save(path, optimize=True)
    if path.stat().st_size > _LARGEST:
        plain.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
