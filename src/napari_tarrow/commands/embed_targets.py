"""What an embedding command writes, and where; options that contradict each other are refused before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engine.errors import UserError
from ..engine.files import user_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..engine.config import EmbedConfig

_TIFS = (".tif", ".tiff")
_TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Targets:
    """Paths of what is to be written; None is not.

    Attributes
    ----------
    image : Path or None
        The embedding: a zarr, or a tif.
    components : Path or None
        Its principal components, in the same format.
    table : Path or None
        Of objects.
    """

    image: Path | None
    components: Path | None
    table: Path | None

    @property
    def tif(self) -> bool:
        """Whether images are tif files."""
        return self.image is not None and self.image.suffix.lower() in _TIFS

    @property
    def resumable(self) -> bool:
        """Whether what is finished is kept when the command ends early."""
        return self.image is not None and not self.tif

    def __iter__(self) -> Iterator[Path]:
        """Give all paths that are written."""
        return (path for path in (self.image, self.components, self.table) if path is not None)


def targets_of(config: EmbedConfig) -> Targets:
    """Decide what is written where.

    Raises
    ------
    UserError
        If options contradict each other, or nothing is asked for.
    """
    image, table = _image(config), None
    if config.table is not None and config.labels is None:
        raise UserError("--table is a table of objects. Give their --labels as well.")
    if config.pca and image is None:
        raise UserError("--pca needs the embedding. Give -o OUT.zarr as well.")
    if config.labels is not None:
        if config.table is not None:
            table = user_path(config.table)
        elif image is not None:
            table = _beside(image, "_objects", ".csv")
        else:
            raise UserError("--labels makes a table. Say where it goes with --table TABLE.csv, or give -o OUT.zarr.")
    if image is None and table is None:
        raise UserError(
            "Nothing is to be written. Give -o OUT.zarr for the embedding, or --labels LABELS --table TABLE.csv for a"
            " table of objects."
        )
    components = _beside(image, f"_pca{config.pca}") if image is not None and config.pca else None
    return Targets(image, components, table)


def _image(config: EmbedConfig) -> Path | None:
    if config.output is None:
        if config.tif:
            raise UserError("--tif says how, not where. Give -o OUT.tif as well.")
        return None
    path = user_path(config.output)
    if path.suffix.lower() not in (".zarr", *_TIFS) and path.is_dir():
        raise UserError(f"-o {config.output} is a folder. Name what is made in it, such as {path / 'embedding.zarr'}.")
    ending = path.suffix.lower()
    if ending in _TABLES:
        raise UserError(f"-o {config.output} is a table. Give it with --table, and its objects with --labels.")
    if config.tif and ending == ".zarr":
        raise UserError(f"-o {config.output} and --tif contradict each other. Leave --tif out, or name a .tif.")
    if not config.tif and ending not in _TIFS:
        return path if ending == ".zarr" else path.with_name(f"{path.name}.zarr")
    if config.dtype == "float16":
        raise UserError("A tif of float16 cannot be opened in Fiji. Leave --dtype out, or write OME-Zarr.")
    return path if ending in _TIFS else path.with_name(f"{path.name}.tif")


def _beside(image: Path, word: str, ending: str | None = None) -> Path:
    """Return the name of what belongs to an image: ``OUT_pca3.zarr`` for ``OUT.zarr``."""
    stem = image.name.removesuffix(image.suffix)
    inner = ".ome" if stem.endswith(".ome") else ""
    return image.with_name(f"{stem.removesuffix('.ome')}{word}{ending or inner + image.suffix}")
