"""Every option once: command line, YAML, form, docs and error messages read them here."""

from __future__ import annotations

from .attribution import Align, AttributeConfig, MapKind
from .embedding import EmbedConfig
from .training import CHANGEABLE, INTERACTIVE, NETWORK_ARGUMENTS, TrainConfig
from .using import UseConfig

__all__ = [
    "CHANGEABLE",
    "INTERACTIVE",
    "NETWORK_ARGUMENTS",
    "Align",
    "AttributeConfig",
    "EmbedConfig",
    "MapKind",
    "TrainConfig",
    "UseConfig",
]
