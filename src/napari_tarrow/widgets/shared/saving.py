"""Asking for a file to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMessageBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def ask_for_file(parent: QWidget, title: str, suggested: str, kind: str, ending: str) -> Path | None:
    """Ask for a file, and add the ending that a user left out; None where the user thinks better of it.

    Qt asks before it lets a file be replaced, but knows only the name that the user wrote.
    """
    path, _ = QFileDialog.getSaveFileName(parent, title, suggested, f"{kind} (*{ending})")
    if not path or path.lower().endswith(ending):
        return Path(path) if path else None
    whole = Path(path + ending)
    if whole.exists():
        question = f"{whole.name} is there already. Replace it?"
        if QMessageBox.question(parent, title, question) != QMessageBox.StandardButton.Yes:
            return None
    return whole
