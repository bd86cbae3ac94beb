"""The movies that come with the package: found by name, and offered to napari as sample data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.errors import UserError, nearest

__all__ = ["SAMPLES", "Sample", "cancer_cell_migration", "sample_path"]

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Sample:
    """A bundled movie.

    Attributes
    ----------
    title : str
        What it shows, in a few words.
    movie : Path
        The tif, axes TYX.
    divisions : Path
        Table of the divisions known in it (`frame` is the last frame of the parent; `y`, `x` in pixels).
    interval : float
        Seconds between two frames.
    attribution : str
        Whose it is, and under which licence it may be used; the whole text lies beside the movie.
    """

    title: str
    movie: Path
    divisions: Path
    interval: float
    attribution: str


SAMPLES: dict[str, Sample] = {
    "cancer_cell_migration": Sample(
        title="Cancer cell migration",
        movie=_DATA / "cancer_cell_migration.tif",
        divisions=_DATA / "cancer_cell_migration_divisions.csv",
        interval=600.0,
        attribution="Tinevez and Jacquemet, Zenodo 5206107 (cropped), CC BY 4.0",
    ),
}


def sample_path(name: str) -> Path:
    """Path of the bundled movie called `name`.

    Raises
    ------
    UserError
        If there is no such movie; it names the nearest one there is.
    """
    if name not in SAMPLES:
        raise UserError(f"There is no bundled movie {name!r}. {_suggestion(name)}")
    return SAMPLES[name].movie


def cancer_cell_migration() -> list[tuple[Any, dict[str, Any], str]]:
    """Layer data of the bundled movie for napari: nuclei of a migrating sheet, (48, 130, 130) uint16."""
    import tifffile

    from .public import spacing

    name = "cancer_cell_migration"
    sample = SAMPLES[name]
    frames = tifffile.imread(sample.movie)
    metadata = {"attribution": sample.attribution, "interval_s": sample.interval, "source": str(sample.movie)}
    return [(frames, {"name": name, "metadata": metadata, **spacing(sample.interval, None)}, "image")]


def _suggestion(name: str) -> str:
    if near := nearest(name, SAMPLES):
        return f"Did you mean {near!r}?"
    return f"Choose one of: {', '.join(SAMPLES)}."
