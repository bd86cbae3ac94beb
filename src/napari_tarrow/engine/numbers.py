"""Whole numbers of any type."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .errors import UserError


def whole_number(value: Any, name: str, remedy: str = "Give a whole number.", *, least: int | None = None) -> int:
    """Return a whole number as Python's own.

    Parameters
    ----------
    value
        Python's, NumPy's or another library's number.
    name, remedy : str
        What it is called, and what to do if it is wrong.
    least : int, optional
        The smallest that is taken.

    Raises
    ------
    UserError
        If it is smaller or no whole number; neither are True and False.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        raise UserError(f"{name} is {value!r}. {remedy}")
    return number
