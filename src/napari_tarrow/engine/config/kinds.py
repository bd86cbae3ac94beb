"""Types of options, and what is accepted for them besides their own values."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field


def _pairs(value: Any) -> Any:
    """Accept ``[0, .1, .2, .5]``, ``[[0, .1], [.2, .5]]`` and mixtures as pairs, as the reference does."""
    if not isinstance(value, (list, tuple)):
        return value
    flat = [x for item in value for x in (item if isinstance(item, (list, tuple)) else (item,))]
    if len(flat) % 2:
        given = "one number" if len(flat) == 1 else f"{len(flat)} numbers"
        raise ValueError(f"{given} cannot be paired; give a start and an end for each part.")
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def _auto_alone(value: Any) -> Any:
    return "auto" if value in (["auto"], ("auto",)) else value


def _texts(value: Any) -> Any:
    return tuple(as_text(one) for one in _several(value))


def _boolean(value: Any) -> Any:
    words = {"yes": True, "true": True, "t": True, "y": True, "1": True}
    words |= {"no": False, "false": False, "f": False, "n": False, "0": False}
    return words.get(str(value).lower(), value)


def as_text(value: Any) -> Any:
    """Take a number or a path as text."""
    return str(value) if isinstance(value, int | PurePath) else value


def as_number(value: Any) -> Any:
    """Take digits as a number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Flag = Annotated[bool, BeforeValidator(_boolean)]
Splits = Annotated[tuple[tuple[float, float], ...], BeforeValidator(_pairs)]
Path = Annotated[str, BeforeValidator(as_text)]
Paths = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Deltas = Annotated[tuple[Annotated[int, Field(le=1_000_000)], ...], BeforeValidator(_several)]
DeltasOrAuto = Annotated[Deltas | Literal["auto"], BeforeValidator(_auto_alone)]
Slices = Annotated[int, Field(ge=0)] | Literal["max", "mean"]
LevelOrAuto = Annotated[int, Field(ge=0, le=5)] | Literal["auto"]
BlockOrAuto = Annotated[int, Field(ge=1)] | Literal["auto"]


def _bytes(value: Any) -> Any:
    if not isinstance(value, str) or value.strip().isdecimal():
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value, re.IGNORECASE)
    if not found:
        raise ValueError(f"{value!r} is no amount of memory; write it as 2GB or 800MB.")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))


Memory = Annotated[int, BeforeValidator(_bytes)]  # in bytes; 2GB, 800MB and 1.5GiB are accepted
