"""A run folder as it was before it was gone on with."""

from __future__ import annotations

import gc
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("napari")

from napari_tarrow.engine.errors import UserError
from napari_tarrow.widgets.training.kept_run import KeptRun

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "runs" / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.pt").write_text("epoch 3")
    (folder / "run.yaml").write_text("format: 1")
    return folder


def left(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "temporary").rglob("*.pt")]


def change(folder: Path) -> None:
    (folder / "checkpoints" / "last.pt").write_text("epoch 9")
    (folder / "run.yaml").unlink()
    (folder / "new").mkdir()
    (folder / "new" / "file").touch()


def test_the_folder_becomes_what_it_was(folder: Path, tmp_path: Path) -> None:
    kept = KeptRun(folder)
    kept.keep()
    change(folder)
    assert kept.put_back() is None
    assert (folder / "checkpoints" / "last.pt").read_text() == "epoch 3"
    assert sorted(path.name for path in folder.rglob("*")) == ["checkpoints", "last.pt", "run.yaml"]
    kept.let_go()
    assert left(tmp_path) == []


def test_the_copy_vanishes_with_whoever_holds_it(folder: Path, tmp_path: Path) -> None:
    kept = KeptRun(folder)
    kept.keep()
    assert len(left(tmp_path)) == 1
    del kept
    gc.collect()
    assert left(tmp_path) == []


def test_what_was_never_kept_is_left_alone(folder: Path) -> None:
    change(folder)
    assert KeptRun(folder).put_back() is None
    assert (folder / "new" / "file").exists()


def test_a_copy_that_cannot_be_put_back_stays(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptRun(folder)
    kept.keep()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        copy = kept.put_back()
    del kept
    gc.collect()
    assert copy is not None
    assert (copy / "checkpoints" / "last.pt").read_text() == "epoch 3"


def test_without_room_for_the_copy_the_run_is_not_gone_on_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise shutil.Error([("a", "b", "No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(UserError, match=r"cannot be copied to .*temporary.*Free some space there"):
        KeptRun(folder).keep()
    assert [*(tmp_path / "temporary").iterdir()] == []
