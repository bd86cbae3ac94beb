"""Every option once: command line, YAML, form, docs and error messages read them here."""

from __future__ import annotations

from .training import CHANGEABLE, INTERACTIVE, TrainConfig
from .using import UseConfig

__all__ = ["CHANGEABLE", "INTERACTIVE", "TrainConfig", "UseConfig"]
