"""The table of objects: one row per object and frame, written as csv or parquet."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...files import make_folder, replacing, user_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class ObjectTable:
    """One row per object and frame.

    Attributes
    ----------
    frame : (N,) int64
        Number of the frame.
    label : (N,) int64
    y, x : (N,) float64
        Centre of the object, in pixels of the movie.
    area : (N,) int64
        In pixels of the movie.
    embedding : (N, F) float64
        Mean over the object's pixels.
    """

    frame: NDArray[np.int64]
    label: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    area: NDArray[np.int64]
    embedding: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.label)

    def columns(self) -> dict[str, Array]:
        """Return the columns by name: frame, label, y, x, area, f0, f1 and so on."""
        features = {f"f{number}": column for number, column in enumerate(self.embedding.T)}
        return {"frame": self.frame, "label": self.label, "y": self.y, "x": self.x, "area": self.area, **features}


def joined(tables: Sequence[ObjectTable]) -> ObjectTable:
    """Put tables of several frames below each other; one at least."""
    names = ("frame", "label", "y", "x", "area", "embedding")
    return ObjectTable(**{name: np.concatenate([getattr(one, name) for one in tables]) for name in names})


def check_table(path: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse a table that could not be written, before any work is done.

    Parameters
    ----------
    path : path
        Its ending says what it is: ``.csv``, or ``.parquet`` where pyarrow is installed.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UserError
    """
    path = user_path(path)
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise UserError(f"{path} ends with {ending or 'nothing'}; a table ends with {' or '.join(_FORMATS)}.")
    if ending == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"{path} needs pyarrow, which is not installed. Run pip install pyarrow, or write a .csv.")
    if path.is_dir():
        raise UserError(f"{path} is a folder. Choose another table.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already. Choose another table, or give --overwrite to replace it.")
    return path


@contextlib.contextmanager
def table_writer(path: str | Path, features: int) -> Iterator[Callable[[ObjectTable], None]]:
    """Open a file of tables below each other; what the block gets adds one. The file is there only when it is whole.

    Parameters
    ----------
    path : path
        Ends with ``.csv`` or ``.parquet``.
    features : int
        How many features there are, known even where no row comes.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written.
    """
    path = user_path(path)
    make_folder(path.parent)
    with replacing(path) as file, _FORMATS[path.suffix.lower()](file, features) as add:
        yield add


def write_table(path: str | Path, table: ObjectTable) -> None:
    """Write one table; see `table_writer`."""
    with table_writer(path, table.embedding.shape[1]) as add:
        add(table)


@contextlib.contextmanager
def _csv(file: IO[bytes], features: int) -> Iterator[Callable[[ObjectTable], None]]:
    names = _empty(features).columns()
    file.write(",".join(names).encode() + b"\n")
    formats = ["%d", "%d", "%.3f", "%.3f", "%d"] + ["%.7g"] * features
    row = ",".join(formats) + "\n"

    def add(table: ObjectTable) -> None:
        columns = [column.tolist() for column in table.columns().values()]
        file.write("".join(row % values for values in zip(*columns, strict=True)).encode())

    yield add


@contextlib.contextmanager
def _parquet(file: IO[bytes], features: int) -> Iterator[Callable[[ObjectTable], None]]:
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    schema = pyarrow.table(_empty(features).columns()).schema
    with parquet.ParquetWriter(file, schema) as writer:

        def add(table: ObjectTable) -> None:
            writer.write_table(pyarrow.table(table.columns(), schema))

        yield add


def _empty(features: int) -> ObjectTable:
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    return ObjectTable(whole, whole, real, real, whole, np.zeros((0, features)))


_FORMATS = {".csv": _csv, ".parquet": _parquet}
