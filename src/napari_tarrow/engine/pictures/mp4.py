"""MP4 movies, where the package imageio-ffmpeg, which brings an encoder, is installed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def check_mp4() -> None:
    """Refuse mp4 where there is no encoder.

    Raises
    ------
    UserError
    """
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UserError("mp4 needs the package imageio-ffmpeg: pip install imageio-ffmpeg. Or write a gif instead.")


def write_mp4(path: Path, pictures: Iterator[NDArray[np.uint8]], pictures_per_second: float = 8) -> Iterator[int]:
    """Write pictures as an H.264 movie; yields the number of pictures written so far.

    Parameters
    ----------
    pictures : iterator of (H, W, 3) uint8
        All of one size; an odd side loses its last row or column, which H.264 cannot hold.

    Raises
    ------
    UserError
        If there is no encoder, or the file cannot be written.
    """
    check_mp4()
    beside = path.with_name(f".{path.name}.{os.getpid()}.part.mp4")  # the encoder goes by the ending
    with contextlib.ExitStack() as undo:
        undo.callback(beside.unlink, missing_ok=True)
        encoder: Any = None
        undo.callback(lambda: encoder is not None and encoder.close())
        try:
            for number, picture in enumerate(pictures, 1):
                even = np.ascontiguousarray(picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2])
                if encoder is None:
                    encoder = _encoder(beside, even.shape[1::-1], pictures_per_second)
                encoder.send(even.tobytes())
                yield number
            if encoder is not None:
                encoder.close()
                beside.replace(path)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error}). Choose another folder, or write a gif.") from error


def _encoder(path: Path, size: tuple[int, ...], pictures_per_second: float) -> Any:
    ffmpeg: Any = importlib.import_module("imageio_ffmpeg")
    encoder = ffmpeg.write_frames(
        str(path), size, fps=pictures_per_second, codec="libx264", quality=8, macro_block_size=2
    )
    encoder.send(None)
    return encoder
