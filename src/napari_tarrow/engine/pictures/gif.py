"""Animated GIFs, written picture by picture, so that a long movie need not fit into memory."""

from __future__ import annotations

import io
import struct
from typing import IO, TYPE_CHECKING, Any

from ..files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def write_gif(
    path: Path, pictures: Iterator[NDArray[np.uint8]], palette: NDArray[np.uint8], pictures_per_second: float = 8
) -> Iterator[int]:
    """Write pictures as an animation that repeats for ever; yields the number of pictures written so far.

    Pillow gives the compressed pixels of single pictures; it would hold all of them until the last. The file is whole
    or absent.

    Parameters
    ----------
    pictures : iterator of (H, W, 3) uint8
        All of one size.
    palette : (256, 3) uint8
        The colours of the whole animation; every pixel takes the nearest one.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    from PIL import Image

    colours = Image.new("P", (1, 1))
    colours.putpalette(palette.tobytes())
    delay = max(2, round(100 / pictures_per_second))  # hundredths of a second; browsers slow down what is faster
    with replacing(path) as file:
        for number, picture in enumerate(pictures, 1):
            image = Image.fromarray(picture).quantize(palette=colours, dither=Image.Dither.NONE)
            if number == 1:
                _begin(file, image.size, palette)
            _add(file, image, delay)
            yield number
        file.write(b";")


def _begin(file: IO[bytes], size: tuple[int, int], palette: NDArray[np.uint8]) -> None:
    file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0))  # 0xF7: a palette of 256 colours for all
    file.write(palette.tobytes())
    file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", 0) + b"\x00")  # repeats without end


def _add(file: IO[bytes], image: Any, delay: int) -> None:
    file.write(b"\x21\xf9\x04\x04" + struct.pack("<H", delay) + b"\x00\x00")
    file.write(b"," + struct.pack("<HHHHB", 0, 0, *image.size, 0))
    file.write(_compressed(image))


def _compressed(image: Any) -> bytes:
    """Return the compressed pixels of an image with 256 colours: what a GIF of it alone has after its last header."""
    alone = io.BytesIO()
    image.save(alone, format="GIF", optimize=False, interlace=False)
    content = alone.getvalue()
    place = 13 + 3 * 2 ** ((content[10] & 7) + 1)  # after the palette
    while content[place] == 0x21:  # an extension: its blocks, up to an empty one
        place += 2
        while content[place]:
            place += content[place] + 1
        place += 1
    local = content[place + 9]
    place += 10 + (3 * 2 ** ((local & 7) + 1) if local & 0x80 else 0)
    return content[place:-1]
