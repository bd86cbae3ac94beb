"""From the paths that a user gives to the paths of movies."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..files import user_path
from .tif import ENDINGS
from .zarr_array import is_zarr

if TYPE_CHECKING:
    from collections.abc import Iterable


def listed(movies: Any) -> list[Any]:
    """Return movies as a list, one alone (a path, an array, a `Movie`) as a list of one."""
    alone = isinstance(movies, str | PurePath) or hasattr(movies, "shape")
    return [movies] if alone else list(movies)


def movie_path(path: str | Path) -> Path:
    """Take the path of a movie as a user gives it.

    Raises
    ------
    UserError
        If it is empty, which is no name for the current folder, or the system can have no such path.
    """
    if not str(path).strip():
        raise UserError("The path of the movie is empty. Give a tif file, a zarr array or a folder of frames.")
    return user_path(path)


def expand_inputs(paths: str | Path | Iterable[str | Path], level: int) -> list[str]:
    """Descend `level` folder levels and list the movies there, in natural order (2 before 10).

    At every level a folder is replaced by the folders, tif files and zarrs in it; tif files and zarrs stay.

    Raises
    ------
    UserError
        If a path does not exist, or nothing is left.
    """
    given = listed(paths)
    found = [movie_path(path) for path in given]
    for path in found:
        if not path.exists():
            raise UserError(f"{path} does not exist. Check the path.")
    for _ in range(level):
        try:
            found = [child for path in found for child in _children(path)]
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read ({error.strerror}). Check its rights.") from error
    if not found:
        named = ", ".join(map(str, given)) or "The list of inputs"
        raise UserError(f"{named} holds no movies {level} folder level(s) down. Check read_recursion_level.")
    return [str(path) for path in found]


def _children(path: Path) -> list[Path]:
    if path.is_file() or is_zarr(path):
        return [path] if is_zarr(path) or path.suffix.lower() in ENDINGS else []
    inside = [child for child in path.iterdir() if not child.name.startswith(".")]
    return sorted((one for one in inside if one.is_dir() or one.suffix.lower() in ENDINGS), key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part.casefold()) for part in parts]
