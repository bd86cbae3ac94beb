"""Choosing by name, with a helpful sentence where the name is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..errors import UserError, nearest

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
        raise UserError(f"There is no {kind} {name!r}. {hint(name, choices)}")
    return choices[name]


def hint(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known name nearest to `name`, or all of them if none is near."""
    known = list(known)
    close = nearest(name, known)
    return f"Did you mean {close!r}?" if close else f"Known are: {', '.join(known)}."
