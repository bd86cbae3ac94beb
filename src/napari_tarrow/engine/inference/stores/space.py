"""Whether an output may go where it is wanted, and whether there is room for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ...errors import UserError
from ...files import in_words, user_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_space(path: Path, needed: int, advice: str = "") -> None:
    """Refuse an output that does not fit on its disk.

    Parameters
    ----------
    path
        The output; neither it nor its folders need to be there.
    needed
        Bytes still to be written.
    advice
        What would make it smaller, as a sentence.

    Raises
    ------
    UserError
    """
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UserError(
            f"{path} needs up to {in_words(needed)}, and its disk has {in_words(free)} free."
            f" Free some space or choose another disk. {advice}".rstrip()
        )


def check_apart(path: Path, sources: Iterable[tuple[str, str | Path]], *, may_hold: bool = False) -> None:
    """Refuse an output that would lie in, or take the place of, what it is made from.

    Parameters
    ----------
    path
        The output.
    sources
        What each is called in the sentence, and its path: ``("movie", "cells.tif")``.
    may_hold
        Whether the output is a folder that stays, in which a source may lie.

    Raises
    ------
    UserError
    """
    output = path.resolve()
    for name, source in sources:
        place = user_path(source).resolve()
        if output == place:
            raise UserError(f"{path} is the {name} itself. Choose another output.")
        if place in output.parents:
            raise UserError(f"{path} lies inside the {name} {source}. Choose an output elsewhere.")
        if output in place.parents and not may_hold:
            raise UserError(f"{path} holds the {name} {source}. Choose another output.")


def stored_bytes(folder: Path) -> int:
    """Count the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
