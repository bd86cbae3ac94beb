"""Networks that come with the package: taken by name wherever a model folder is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BUNDLED", "NAMES", "Bundled", "bundled_at", "model_folder"]


@dataclass(frozen=True)
class Bundled:
    """A network that comes with the package.

    Attributes
    ----------
    title : str
    folder : Path
        Its model folder, which holds its card as well.
    summary : str
        One sentence: what it was trained on, and what for.
    """

    title: str
    folder: Path
    summary: str


BUNDLED: dict[str, Bundled] = {
    "general_nuclei": Bundled(
        title="General nuclei",
        folder=Path(__file__).parent / "general_nuclei",
        summary="Comes with napari-tarrow; learnt from simulated movies how fluorescent nuclei divide.",
    )
}
NAMES = ", ".join(BUNDLED)


def model_folder(given: str | Path) -> Path:
    """Return the folder that a user means: a model of theirs, or the name of a network that comes with the package.

    Raises
    ------
    UserError
        If the system can have no such path.
    """
    from ..files import user_path

    path = user_path(given)
    bundled = BUNDLED.get(str(path))
    return path if bundled is None or (path / "model_kwargs.yaml").exists() else bundled.folder


def bundled_at(folder: str | Path) -> Bundled | None:
    """Return the network of the package that a folder holds, if it is one."""
    there = Path(folder).resolve()
    return next((one for one in BUNDLED.values() if one.folder.resolve() == there), None)
