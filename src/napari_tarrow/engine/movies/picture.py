"""One picture file of a folder: png, jpeg or tif."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import UserError
from .layout import UNKNOWN, Layout, find_layout
from .tif import open_series

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

TIF_ENDINGS = (".tif", ".tiff")
ENDINGS = (".png", ".jpg", ".jpeg", *TIF_ENDINGS)
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}  # colour type to channels; transparency is left out


class Header(NamedTuple):
    """Shape ``(C, H, W)`` after the choice of channels, and type of a picture."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_header(path: Path, channels: int) -> Header:
    """Find shape and type of a picture without decoding it.

    Raises
    ------
    UserError
        If the file is damaged, no single 2D picture, or has other channels.
    """
    stored, layout = _described(path, channels)
    return Header(layout.movie_shape[1:], stored.newbyteorder("="))


def read_picture(path: Path, channels: int) -> Array:
    """Read a picture as ``(C, H, W)`` in its stored type and native byte order; errors as in `read_header`."""
    dtype, layout = _described(path, channels)
    try:
        pixels = _tif_pixels(path) if path.suffix.lower() in TIF_ENDINGS else _pixels(path)
        pixels = pixels.reshape(layout.shape) if path.suffix.lower() in TIF_ENDINGS else pixels
        block = layout.arranged(pixels[layout.selection(0)])
    except UserError:
        raise
    except Exception as error:
        raise UserError(_damaged(path)) from error
    return np.ascontiguousarray(block, dtype=dtype.newbyteorder("="))


def _described(path: Path, channels: int) -> tuple[np.dtype[Any], Layout]:
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty (0 bytes). Copy it again from its source.")
        if path.suffix.lower() in TIF_ENDINGS:
            return _described_tif(path, channels)
        dtype, shape = _described_png(path) if _is_png(path) else _described_jpeg(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(_damaged(path)) from error
    return dtype, find_layout(path.name, "YXC"[: len(shape)], shape, channels=channels)


def _described_tif(path: Path, channels: int) -> tuple[np.dtype[Any], Layout]:
    file, series = open_series(path)
    with file:
        axes, shape, dtype = series.axes, series.shape, series.dtype
    if channels:  # pages that nothing names are channels if channels were asked for
        axes = next((axes.replace(letter, "C") for letter in UNKNOWN if letter in axes and "C" not in axes), axes)
    layout = find_layout(path.name, axes, shape, channels=channels)
    if layout.length("T") > 1:
        raise UserError(
            f"{path.name} holds {layout.length('T')} frames, but a folder is read as one picture per frame. "
            "Give the file itself."
        )
    return dtype, layout


def _tif_pixels(path: Path) -> Array:
    file, series = open_series(path)
    with file:
        return np.asarray(series.asarray(maxworkers=1))


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == _PNG


def _described_png(path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read the header chunk (https://www.w3.org/TR/png, 11.2.1): Pillow reads 16 bit colour as 8 bit."""
    with path.open("rb") as file:
        width, height, bits, colour = struct.unpack(">IIBB", file.read(26)[16:])
    count = _PNG_CHANNELS[colour]
    return np.dtype(np.uint16 if bits == 16 else np.uint8), (height, width, count) if count > 1 else (height, width)


def _described_jpeg(path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    from PIL import Image

    with Image.open(path) as image:
        shape = (image.height, image.width)
        return np.dtype(np.uint8), shape if image.mode == "L" else (*shape, 3)


def _pixels(path: Path) -> Array:
    """Decode a png or jpeg to ``(H, W)`` or ``(H, W, 3)``."""
    if _is_png(path):
        import imagecodecs

        pixels: Array = imagecodecs.png_decode(path.read_bytes())
        samples = 1 if pixels.ndim == 2 else pixels.shape[2]
        return pixels if samples == 1 else pixels[..., 0] if samples == 2 else pixels[..., :3]
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _damaged(path: Path) -> str:
    return f"{path.name} is damaged, or no picture. Copy it again from its source, or remove it from the folder."
