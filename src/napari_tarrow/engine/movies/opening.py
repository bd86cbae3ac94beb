"""The one door to movies: whatever holds one, `open_movie` finds its reader."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError, nearest
from ..files import user_path
from ..numbers import whole_number
from .array import open_array
from .folder import open_folder
from .inputs import movie_path
from .layout import one_channel
from .movie import CHANNEL, CHANNELS, Movie
from .picture import ENDINGS as PICTURES
from .tif import ENDINGS as TIFS
from .tif import open_tif
from .zarr_array import is_zarr, open_zarr, open_zarr_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from .layout import Channels

_LARGEST = 10**18  # of a frame number: sums with time steps still fit into 64 bits


def open_movie(
    source: Any,
    *,
    channels: int = 0,
    channel: int | None = None,
    frame_numbers: Iterable[int] | str | Path | None = None,
    n_images: int | None = None,
    axes: str | Sequence[str] | None = None,
) -> Movie:
    """Open a movie lazily.

    Parameters
    ----------
    source : str, Path, array or Movie
        A tif file, a folder of pictures, a zarr array or OME-Zarr image, or an array (numpy, dask, zarr; three axes are
        TYX, four TCYX, five TCZYX). A movie that is open already is passed on.
    channels : int
        0: there is no channel axis. n: the first n channels.
    channel : int or None
        The channel of this number alone, from 0, whatever `channels` says. A movie with one channel stays as it is.
    frame_numbers : iterable of int, path or None
        Number of every frame, or a text file with one per line; strictly increasing, gaps are real.
    n_images : int or None
        Use at most so many frames.
    axes : str, sequence of letters or None
        Which axis is which, such as ``TZYX``, where the file does not say so or is wrong.

    Raises
    ------
    UserError
        If the source is not one movie that can be read as asked.
    """
    taken: Channels = whole_number(channels, "channels", CHANNELS, least=0)
    if channel is not None:
        number = whole_number(channel, "channel", CHANNEL, least=0)
        taken = range(number, number + 1)
    movie = _opened(source, taken, None if axes is None else _joined(axes))
    if frame_numbers is not None:
        movie = movie.numbered(_numbers(frame_numbers, movie))
    return movie if n_images is None else movie.limited(n_images)


def _joined(axes: Sequence[str]) -> str:
    try:
        return "".join(axes)
    except TypeError:
        raise UserError(f"axes is {axes!r}. Give one letter for each axis, such as TYX.") from None


def _opened(source: Any, channels: Channels, axes: str | None) -> Movie:
    if isinstance(source, Movie):
        return _with_channels(source, channels)
    if isinstance(source, str | Path):
        return _from_path(movie_path(source), channels, axes)
    if type(source).__module__.split(".")[0] == "zarr":
        return open_zarr_array(source, channels=channels, axes=axes)
    if isinstance(source, list | tuple) or all(hasattr(source, one) for one in ("shape", "dtype", "__getitem__")):
        return open_array(source, channels=channels, axes=axes)
    raise UserError(
        f"A value of type {type(source).__name__} is no movie. Give a path, or an array with axes TYX, TCYX or TZYX."
    )


def _from_path(path: Path, channels: Channels, axes: str | None) -> Movie:
    try:
        if not path.exists():
            raise UserError(f"{path} does not exist. {_hint(path)}")
        if is_zarr(path):
            return open_zarr(path, channels=channels, axes=axes)
        if path.is_dir():
            return open_folder(path, channels=channels, axes=axes)
        if path.suffix.lower() in TIFS:
            return open_tif(path, channels=channels, axes=axes)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}). Check the path and its rights.") from error
    if path.suffix.lower() in PICTURES:
        raise UserError(f"{path.name} is one picture, not a movie. Give the folder that holds all frames.")
    raise UserError(
        f"{path.name} is no format that is read here. Convert it to tif (in Fiji: File > Save As > Tiff) or OME-Zarr."
    )


def _hint(path: Path) -> str:
    try:
        close = nearest(path.name, (one.name for one in path.parent.iterdir() if one.name != path.name))
    except OSError:
        close = None
    return f"Did you mean {close}?" if close else "Check the path."


def _with_channels(movie: Movie, channels: Channels) -> Movie:
    count = movie.shape[1]
    if isinstance(channels, range):
        if movie.channel not in (None, channels.start):
            raise UserError(
                f"{movie.name} was opened with channel {movie.channel}, and channel is {channels.start}. Open it again."
            )
        taken = one_channel(movie.name, count, channels)
    elif channels > count:
        raise UserError(
            f"{movie.name} has {count} channel{'s' * (count > 1)}, but channels is {channels}. Give at most {count}."
        )
    else:
        taken = range(channels or count)
    if len(taken) == count:
        return movie
    return replace(
        movie,
        shape=(movie.shape[0], len(taken), *movie.shape[2:]),
        read=lambda index, *only: movie.read(index, *only)[taken.start : taken.stop],
        channel=taken.start if len(taken) == 1 else None,
    )


def _numbers(given: Iterable[int] | str | Path, movie: Movie) -> NDArray[np.int64]:
    where = Path(given).name if isinstance(given, str | Path) else "frame_numbers"
    values = _from_text(user_path(given)) if isinstance(given, str | Path) else _listed(given)
    if any(int(value) != value for value in values):
        raise UserError(f"{where} holds numbers with a fraction. Give whole frame numbers.")
    if any(abs(int(value)) > _LARGEST for value in values):
        raise UserError(f"{where} holds numbers of more than 18 digits. Give smaller frame numbers.")
    numbers = np.array(values, dtype=np.int64)
    if numbers.shape != (len(movie),):
        raise UserError(f"{where} has {len(values)} numbers, but {movie.name} has {len(movie)} frames. Give one each.")
    falls = np.flatnonzero(np.diff(numbers) <= 0)
    if len(falls):
        before, after = numbers[falls[0] : falls[0] + 2]
        raise UserError(f"{where} must increase, but {after} follows {before}. Sort it, and the frames with it.")
    return numbers


def _listed(given: Any) -> list[Any]:
    try:
        values = given.tolist() if hasattr(given, "tolist") else list(given)
        numbers = all(isinstance(one, Real) and not isinstance(one, bool) for one in values)
    except TypeError:
        values, numbers = [], False
    if not numbers or not all(isinstance(one, Integral) or math.isfinite(one) for one in values):
        raise UserError("frame_numbers is no list of numbers. Give one whole number for each frame.")
    return values


def _from_text(path: Path) -> list[int]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text. Give a file with one frame number per line.") from error
    values = []
    for line, text in enumerate(lines, start=1):
        try:
            values += [int(text)] if text.strip() else []
        except ValueError as error:
            raise UserError(
                f"{path.name}, line {line}: {text.strip()[:40]!r} is no frame number. Give one per line."
            ) from error
    return values
