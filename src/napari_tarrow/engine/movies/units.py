"""Units of files to micrometres and seconds."""

from __future__ import annotations

import math

_METRES = {
    "m": 1.0, "meter": 1.0, "metre": 1.0, "cm": 1e-2, "centimeter": 1e-2, "mm": 1e-3, "millimeter": 1e-3,
    "um": 1e-6, "micron": 1e-6, "micrometer": 1e-6, "micrometre": 1e-6,
    "nm": 1e-9, "nanometer": 1e-9, "nanometre": 1e-9, "å": 1e-10, "angstrom": 1e-10, "pm": 1e-12, "picometer": 1e-12,
}  # fmt: skip
_SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "us": 1e-6, "microsecond": 1e-6,
    "ns": 1e-9, "nanosecond": 1e-9, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
}  # fmt: skip


def micrometres(value: float | None, unit: str | None) -> float | None:
    """Convert a length; None where value or unit are unknown (inches too: they come from screen defaults)."""
    metres = _scaled(value, unit, _METRES)
    return None if metres is None else metres * 1e6


def seconds(value: float | None, unit: str | None) -> float | None:
    """Convert a duration; None where value or unit are unknown."""
    return _scaled(value, unit, _SECONDS)


def _scaled(value: float | None, unit: str | None, table: dict[str, float]) -> float | None:
    if value is None or unit is None or not math.isfinite(value) or value <= 0:
        return None
    factor = table.get(_plain(unit), table.get(_plain(unit).removesuffix("s")))
    return None if factor is None else value * factor


def _plain(unit: str) -> str:
    """Lower case, with one spelling of micro (ImageJ writes it as an escape, OME as either of two letters)."""
    for micro in ("\\u00b5", "\\u03bc", "\u00b5", "\u03bc"):
        unit = unit.strip().lower().replace(micro, "u")
    return unit
