"""The one error type for mistakes a user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend: one sentence that says what is wrong, where, and what to do.

    Faces show its text as it stands (the commands exit with code 2, the widgets notify); every other exception is a
    fault of the program and keeps its traceback.
    """
