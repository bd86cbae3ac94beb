from __future__ import annotations

import threading
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

npe2 = pytest.importorskip("npe2")
pytest.importorskip("pytestqt")

from napari.utils import progress  # noqa: E402
from qtpy.QtCore import QTimer  # noqa: E402

from napari_tarrow.engine.errors import UserError  # noqa: E402
from napari_tarrow.widgets import downloads  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANIFEST = npe2.PluginManifest.from_file(str(files("napari_tarrow") / "napari.yaml"))


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any], npe2pm: Any) -> Any:
    npe2pm.register(MANIFEST)
    return make_napari_viewer_proxy()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[threading.Event]:
    """A download of three blocks, the last of which waits for the event."""
    go_on = threading.Event()

    def fetch(name: str, meter: Any) -> Path:
        meter.total = 300
        for block in range(3):
            if block == 2:
                go_on.wait(20)
            meter.update(100)
        return tmp_path

    layer = [(np.zeros((2, 4, 5)), {"name": "mdck"}, "image")]
    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setattr(downloads, "public_layer", lambda name, path: layer)
    yield go_on
    go_on.set()


def bars() -> list[Any]:
    return list(progress._all_instances)


def test_a_movie_is_fetched_while_the_window_lives(viewer, slow):
    seen: list[tuple[str, int, int]] = []

    def look() -> None:
        if bars() and bars()[0].n == 200:
            seen.append((bars()[0].desc.rstrip(": "), bars()[0].n, bars()[0].total))
            slow.set()
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(10, look)
    [layer] = viewer.open_sample("napari-tarrow", "mdck")
    assert seen == [("Downloading MDCK", 200, 300)]
    assert layer.name == "mdck"
    assert not bars()


@pytest.mark.skipif(not hasattr(__import__("napari.utils").utils, "cancelable_progress"), reason="napari 0.9 and newer")
def test_cancel_in_the_activity_dock_ends_the_download(viewer, slow):
    def cancel() -> None:
        bars()[0].cancel()
        QTimer.singleShot(200, slow.set)

    QTimer.singleShot(200, cancel)
    with pytest.raises(UserError, match="The download was cancelled"):
        viewer.open_sample("napari-tarrow", "mdck")
    assert not viewer.layers
    assert not bars()


def test_a_movie_that_is_on_its_way_is_not_asked_for_again(viewer, slow):
    refused: list[str] = []

    def again() -> None:
        try:
            downloads.mdck()
        except UserError as error:
            refused.append(str(error))
        slow.set()

    QTimer.singleShot(100, again)
    viewer.open_sample("napari-tarrow", "mdck")
    assert refused == ["MDCK is being downloaded already. Wait for it, or cancel it."]


def test_what_goes_wrong_is_said_and_the_next_try_works(viewer, monkeypatch, slow):
    fetch = downloads.fetch
    slow.set()

    def offline(name: str, meter: Any) -> Path:
        time.sleep(0.05)
        raise UserError("MDCK could not be downloaded (no connection). Check the network.")

    monkeypatch.setattr(downloads, "fetch", offline)
    with pytest.raises(UserError, match="no connection"):
        viewer.open_sample("napari-tarrow", "mdck")
    assert not bars()

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert [layer.name for layer in viewer.open_sample("napari-tarrow", "mdck")] == ["mdck"]


def test_the_bundled_movie_says_its_interval(viewer):
    [layer] = viewer.open_sample("napari-tarrow", "cancer_cell_migration")
    assert layer.axis_labels == ("t", "y", "x")
    assert tuple(layer.scale) == (10, 1, 1)
    assert [str(unit) for unit in layer.units] == ["minute", "pixel", "pixel"]
