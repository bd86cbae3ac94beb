"""What the user set under *Preferences, Plugins*; the manifest describes the page, napari 0.9 and newer show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PLUGIN = "napari-tarrow"
_CATEGORY = "computing"  # the key below `configurations` in napari.yaml


def default_run_folder() -> Path:
    """Folder of the runs where the user chose none: napari's working folder is anywhere, a home is not."""
    return Path.home() / "napari-tarrow"


@dataclass(frozen=True)
class Preferences:
    """What a widget starts from; every widget may ask for something else.

    Attributes
    ----------
    device : str
        As in ``TrainConfig.device``.
    precision : str
        As in ``TrainConfig.precision``.
    run_folder : Path
        Where run folders are made and looked for; it need not be there yet.
    memory : int or None
        Bytes that the whole process may take, or None for most of what is free.
    """

    device: str = "auto"
    precision: str = "auto"
    run_folder: Path = field(default_factory=default_run_folder)
    memory: int | None = None


def read_preferences() -> Preferences:
    """Read the user's preferences; the defaults where napari has no such page, or its file holds something else."""
    stored = _stored()
    if stored is None:
        return Preferences()
    folder = str(getattr(stored, "run_folder", "") or "").strip()
    gigabytes = float(getattr(stored, "memory_gb", 0) or 0)
    return Preferences(
        device=str(getattr(stored, "device", "auto")),
        precision=str(getattr(stored, "precision", "auto")),
        run_folder=_expanded(folder) if folder else default_run_folder(),
        memory=int(gigabytes * 1e9) or None,
    )


def _stored() -> Any | None:
    """Return napari's settings of this plugin, or None before napari 0.9 and where the plugin is not registered."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return None
    try:
        return getattr(get_plugin_settings(_PLUGIN), _CATEGORY, None)
    except KeyError:  # switched off in napari's plugin manager
        return None


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:  # a home that is unknown
        return Path(folder)
