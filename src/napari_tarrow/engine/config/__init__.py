"""Every option once: command line, YAML, form, docs and error messages read them here."""

from __future__ import annotations

from .embedding import EmbedConfig
from .training import CHANGEABLE, INTERACTIVE, TrainConfig
from .using import UseConfig

__all__ = ["CHANGEABLE", "INTERACTIVE", "EmbedConfig", "TrainConfig", "UseConfig"]
