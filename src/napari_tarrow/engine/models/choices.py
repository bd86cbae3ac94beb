"""Choosing by name, with a helpful sentence where the name is unknown."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar

from ..errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")


def chosen(choices: Mapping[str, T], name: str, kind: str) -> T:
    """Return the choice called `name`.

    Raises
    ------
    UserError
        If there is none; the nearest known name is given.
    """
    if name not in choices:
        raise UserError(f"There is no {kind} {name!r}. {nearest(name, choices)}")
    return choices[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known name nearest to `name`, or all of them if none is near."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."
