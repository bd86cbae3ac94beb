"""The one error type for mistakes a user can mend, and a guess at what was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend: one sentence that says what is wrong, where, and what to do.

    Faces show its text as it stands (the commands exit with code 2, the widgets notify); every other exception is a
    fault of the program and keeps its traceback.
    """


class NotEnoughMemoryError(UserError):
    """Memory that is missing: what was asked for has to become less."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that somebody who wrote `name` may have meant, if one is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return close[0] if close else None
