"""One picture file of a folder: png, jpeg or tif."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import UserError
from .layout import UNKNOWN, Layout, are_axes, find_layout
from .tif import open_series
from .tif_planes import page_end

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray

    from .layout import Channels

    Array = NDArray[Any]

TIFS = (".tif", ".tiff")
ENDINGS = (".png", ".jpg", ".jpeg", *TIFS)
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}  # colour type to channels; transparency is left out


class Header(NamedTuple):
    """What a picture is.

    Attributes
    ----------
    shape : tuple of int
        ``(C, H, W)`` after the choice of channels, or ``(C, Z, H, W)``.
    dtype : numpy.dtype
    channels : int
        How many there are in the file.
    channel : int or None
        The one that is taken alone, where there are others.
    colours : bool
        Whether the channels are those of a coloured picture.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channels: int
    channel: int | None
    colours: bool


def read_header(path: Path, channels: Channels, axes: str | None = None) -> Header:
    """Find shape and type of a picture without decoding it.

    Parameters
    ----------
    path : Path
    channels : int or range
        As in `find_layout`.
    axes : str or None
        Of the picture, for a tif that does not say.

    Raises
    ------
    UserError
        If the file is damaged, no single picture (or stack of Z slices), or has other channels.
    """
    return _guarded(path, channels, axes, decode=False)[0]


def read_picture(path: Path, channels: Channels, axes: str | None = None) -> tuple[Header, Array]:
    """Read a picture in its shape, stored type and native byte order; all else as in `read_header`."""
    header, block = _guarded(path, channels, axes, decode=True)
    return header, np.ascontiguousarray(block, dtype=header.dtype)


def _guarded(path: Path, channels: Channels, axes: str | None, *, decode: bool) -> tuple[Header, Array]:
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty (0 bytes). Copy it again from its source.")
        if path.suffix.lower() in TIFS:
            dtype, layout, pixels = _tif(path, channels, axes, decode)
        else:
            dtype, layout, pixels = _png_or_jpeg(path, channels, decode)
        block = layout.arranged(pixels[layout.selection(0)]) if decode else pixels
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path.name} is damaged, or no picture. Copy it again from its source, or remove it from the folder."
        ) from error
    shape, stored, count = layout.stored_shape, dtype.newbyteorder("="), layout.length("C")
    return Header(shape, stored, count, layout.only_channel, layout.colours), block


def _tif(path: Path, channels: Channels, given: str | None, decode: bool) -> tuple[np.dtype[Any], Layout, Array]:
    file, series = open_series(path)
    with file:
        layout = _tif_layout(path.name, series, channels, given)
        if page_end(series.keyframe) > file.filehandle.size:
            raise UserError(f"{path.name} is cut off. Copy it again from its source, or remove it from the folder.")
        pixels = np.asarray(series.asarray(maxworkers=1)) if decode else np.empty(0)
    return np.dtype(series.dtype), layout, pixels


def _tif_layout(name: str, series: tifffile.TiffPageSeries, channels: Channels, given: str | None) -> Layout:
    axes, length = series.axes, dict(zip(series.axes, series.shape, strict=True))
    if series.kind == "imagej" and length.get("Z", 1) > 1 and "T" not in length and "Z" not in (given or ""):
        raise UserError(
            f"ImageJ calls the {length['Z']} pictures of {name} Z slices. If each file of the folder is one frame, say"
            " --axes TZYX; if each is a movie, --axes TYX and --read_recursion_level 1."
        )
    unnamed = any(letter in UNKNOWN and length[letter] > 1 for letter in axes)
    if unnamed and given:
        axes = _given_axes(name, given, series.shape)
    elif unnamed and channels and "C" not in axes:  # they are channels if channels were asked for
        axes = next(axes.replace(letter, "C") for letter in UNKNOWN if letter in axes)
    layout = find_layout(name, axes, series.shape, channels=channels, kind="picture")
    frames = layout.length("T")
    if frames > 1:
        raise UserError(
            f"{name} holds {frames} frames, but a folder is read as one picture per frame. Give the file itself, or, if"
            " each file is a movie, --read_recursion_level 1; say --axes TZYX if these are Z slices of one frame."
        )
    return layout


def _given_axes(name: str, given: str, shape: tuple[int, ...]) -> str:
    if len(given) != len(shape) or not are_axes(given.replace("S", "C")) or not {"Y", "X"} <= set(given):
        size = " x ".join(map(str, shape))
        raise UserError(
            f"{name} is {size}, and of the axes given a file has all but time, {given}. Give one letter for each of its"
            " axes, and T."
        )
    return given


def _png_or_jpeg(path: Path, channels: Channels, decode: bool) -> tuple[np.dtype[Any], Layout, Array]:
    with path.open("rb") as file:
        start = file.read(26)
    dtype, shape, pixels = _png(path, start, decode) if start.startswith(_PNG) else _jpeg(path, decode)
    return dtype, find_layout(path.name, "YXS"[: len(shape)], shape, channels=channels), pixels


def _png(path: Path, start: bytes, decode: bool) -> tuple[np.dtype[Any], tuple[int, ...], Array]:
    """Read a png (https://www.w3.org/TR/png, 11.2.1), with imagecodecs: Pillow turns 16 bit colour into 8 bit."""
    import imagecodecs

    width, height, bits, colour = struct.unpack(">IIBB", start[16:])
    count = _PNG_CHANNELS[colour]
    dtype = np.dtype(np.uint16 if bits == 16 else np.uint8)
    pixels: Array = imagecodecs.png_decode(path.read_bytes()) if decode else np.empty(0)
    if pixels.ndim == 3 and count == 1:  # grey and transparency
        pixels = pixels[..., 0]
    return dtype, (height, width) if count == 1 else (height, width, 3), pixels


def _jpeg(path: Path, decode: bool) -> tuple[np.dtype[Any], tuple[int, ...], Array]:
    from PIL import Image

    with Image.open(path) as image:
        grey = image.mode == "L"
        pixels = np.asarray(image if grey else image.convert("RGB")) if decode else np.empty(0)
        return np.dtype(np.uint8), (image.height, image.width) if grey else (image.height, image.width, 3), pixels
