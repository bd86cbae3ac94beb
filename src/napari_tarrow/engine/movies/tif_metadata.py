"""Time between frames and pixel size from what OME and ImageJ write into a tif."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any

from .units import micrometres, seconds

if TYPE_CHECKING:
    import tifffile

    Calibration = tuple[float | None, tuple[float, float] | None]


def interval_and_pixel_size(file: tifffile.TiffFile) -> Calibration:
    """Find seconds between frames, and micrometres ``(y, x)``; None for what the file does not say."""
    if file.is_ome and file.ome_metadata:
        return _from_ome(file.ome_metadata)
    if file.is_imagej and file.imagej_metadata:
        return _from_imagej(file, file.imagej_metadata)
    return None, None


def _from_ome(xml: str) -> Calibration:
    try:
        pixels = next(
            (element for element in ElementTree.fromstring(xml).iter() if element.tag.endswith("}Pixels")), None
        )
    except ElementTree.ParseError:
        return None, None
    if pixels is None:
        return None, None
    interval = seconds(_number(pixels.get("TimeIncrement")), pixels.get("TimeIncrementUnit", "s"))
    y, x = (
        micrometres(_number(pixels.get(f"PhysicalSize{axis}")), pixels.get(f"PhysicalSize{axis}Unit", "um"))
        for axis in "YX"
    )
    return interval, _both(y, x)


def _from_imagej(file: tifffile.TiffFile, values: dict[str, Any]) -> Calibration:
    interval = seconds(_number(values.get("finterval")), str(values.get("tunit", "s")))
    unit = values.get("unit")
    y, x = (
        micrometres(_per_pixel(file, tag), None if unit is None else str(unit))
        for tag in ("YResolution", "XResolution")
    )
    return interval, _both(y, x)


def _per_pixel(file: tifffile.TiffFile, tag: str) -> float | None:
    value = file.pages.first.tags.valueof(tag)
    try:
        pixels, units = value
        return float(units / pixels)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _both(y: float | None, x: float | None) -> tuple[float, float] | None:
    return None if y is None or x is None else (y, x)
