"""What a movie betrays of time's direction without any biology, and whether the network made use of it."""

from .judging import judge
from .looking import Looked, Watched, look, shortcut_report
from .report import Finding, ShortcutReport
from .reporting import find_shortcuts

__all__ = ["Finding", "Looked", "ShortcutReport", "Watched", "find_shortcuts", "judge", "look", "shortcut_report"]
