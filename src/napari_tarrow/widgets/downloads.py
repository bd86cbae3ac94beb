"""The public movies as sample data of napari: fetched beside the window, with a bar in the activity dock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from ..engine.errors import UserError
from ..samples.public import PUBLIC, fetch, public_layer

if TYPE_CHECKING:
    from pathlib import Path

LayerData = list[tuple[Any, dict[str, Any], str]]

_under_way: set[str] = set()


def hela_01() -> LayerData:
    """HeLa nuclei of the Cell Tracking Challenge, sequence 01, (92, 700, 1100) uint16."""
    return _sample("hela_01")


def hela_02() -> LayerData:
    """HeLa nuclei of the Cell Tracking Challenge, sequence 02, (92, 700, 1100) uint16."""
    return _sample("hela_02")


def mdck() -> LayerData:
    """MDCK nuclei, a long movie."""
    return _sample("mdck")


def _sample(name: str) -> LayerData:
    file = PUBLIC[name].file
    if file in _under_way:  # the menus stay alive during a download
        raise UserError(f"{PUBLIC[name].title} is being downloaded already. Wait for it, or cancel it.")
    _under_way.add(file)
    try:
        return public_layer(name, _fetched(name))
    finally:
        _under_way.discard(file)


def _fetched(name: str) -> Path:
    """Fetch a movie in a thread while the window stays alive; without a window, just fetch it."""
    from qtpy.QtWidgets import QApplication

    if QApplication.instance() is None:
        return fetch(name)
    meter = _Meter()
    in_window = _window_is_open()
    with ThreadPoolExecutor(1, "napari-tarrow download") as pool:
        future = pool.submit(fetch, name, meter)
        bar = _Bar(PUBLIC[name].title)
        try:
            while not future.done():
                wait([future], timeout=0.05)
                QApplication.processEvents()
                bar.show(meter)
                if bar.cancelled or (in_window and not _window_is_open()):
                    meter.cancelled = True
        finally:
            meter.cancelled = True
            bar.close()
        return future.result()


def _window_is_open() -> bool:
    from qtpy.QtWidgets import QApplication

    return any(widget.isVisible() for widget in QApplication.topLevelWidgets())


class _Meter:
    """Counts bytes in the thread of the download; pooch knows such objects from tqdm."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.cancelled = False

    def update(self, n: int) -> None:
        if self.cancelled:
            raise UserError("The download was cancelled.")
        self.done += n

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


class _Bar:
    """A bar in napari's activity dock; it can be cancelled from napari 0.9 on."""

    def __init__(self, title: str) -> None:
        from napari.utils import progress

        try:
            from napari.utils.progress import cancelable_progress as kind
        except ImportError:
            kind = progress
        self._progress = kind(total=0, desc=f"Downloading {title}")

    @property
    def cancelled(self) -> bool:
        return bool(getattr(self._progress, "is_canceled", False))

    def show(self, meter: _Meter) -> None:
        if meter.total and self._progress.total != meter.total:
            self._progress.total = meter.total
        if meter.done > self._progress.n:
            self._progress.update(min(meter.done, meter.total) - self._progress.n)

    def close(self) -> None:
        self._progress.close()
