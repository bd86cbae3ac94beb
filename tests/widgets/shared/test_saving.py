"""Asking for a file: the ending is added, and no other file is replaced unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_tarrow.widgets.shared.saving import ask_for_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

YES, NO = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [("delta0.5", "delta0.5.png"), ("c.jpg", "c.jpg.png"), ("curve.png", "curve.png"), ("curve.PNG", "curve.PNG")],
)
def test_the_ending_is_added_to_the_whole_name(parent, tmp_path: Path, monkeypatch, answer, wanted):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / answer), ""))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: pytest.fail("asked"))
    assert ask_for_file(parent, "Save", "", "Picture", ".png") == tmp_path / wanted


@pytest.mark.parametrize("answer", [YES, NO])
def test_a_file_that_qt_did_not_ask_about_is_asked_about(parent, tmp_path: Path, monkeypatch, answer):
    asked = []
    (tmp_path / "curve.png").touch()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "curve"), ""))
    monkeypatch.setattr(QMessageBox, "question", lambda *arguments: asked.append(arguments[-1]) or answer)
    path = ask_for_file(parent, "Save", "", "Picture", ".png")
    assert path == (tmp_path / "curve.png" if answer == YES else None)
    assert asked == ["curve.png is there already. Replace it?"]


def test_nothing_is_saved_where_no_file_is_named(parent, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    assert ask_for_file(parent, "Save", "", "Picture", ".png") is None
