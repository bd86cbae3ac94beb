"""Movies as a folder of pictures, ordered by the frame number in their names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .layout import Layout
from .movie import Movie, folder_name, make_movie
from .picture import ENDINGS, Header, read_header, read_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .layout import Channels

    Array = NDArray[Any]

# So many headers are looked at when opening, evenly spaced; the rest when read. On a network disk each costs some ms.
HEADERS_AT_OPENING = 1000


def open_folder(path: Path, *, channels: Channels = 0, axes: str | None = None) -> Movie:
    """Open a folder of png, jpg, jpeg, tif or tiff files (in any case) as a movie, one file per frame.

    Of `axes`, those of the movie, each file has all but time.

    Raises
    ------
    UserError
        If it holds no pictures, names without one clear frame number, or pictures that differ in size or type.
    """
    files, numbers = numbered_files(path)
    if len(files) == 1:
        raise UserError(
            f"{path} holds only one picture, {files[0].name}, not a movie. Give a folder of two or more, "
            "or the file itself if it is a stack."
        )
    inside = axes.upper().replace("T", "") if axes else None
    first = _checked_headers(files, channels, inside)

    def read(index: int, only: int | None = None) -> Array:
        header, picture = read_picture(files[index], channels, inside)
        _check_alike(files[index], header, first, files[0])
        return picture if only is None else picture[:, only : only + 1]

    letters = "TCYX" if len(first.shape) == 3 else "TCZYX"
    layout = Layout(letters, (len(files), *first.shape), range(first.shape[0]), first.colours)
    movie = make_movie(folder_name(path), str(path), layout, first.dtype, read, frame_numbers=numbers)
    return replace(movie, channel=first.channel)


def numbered_files(path: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Return the pictures in a folder in the order of their frame numbers, and these numbers; no file is opened.

    Raises
    ------
    UserError
        If there are none, or their names have no clear frame number.
    """
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    if not files:
        raise UserError(_nothing(path))
    numbers = frame_numbers(files)
    return [files[index] for index in np.argsort(numbers)], np.sort(numbers)


def frame_numbers(files: Sequence[Path]) -> NDArray[np.int64]:
    """Frame number of every file: the one group of digits that differs between the names.

    Raises
    ------
    UserError
        If the names differ in more than one group of digits, in their text, have no number, or repeat one.
    """
    parts = [re.split(r"(\d+)", file.stem) for file in files]
    for file, part in zip(files, parts, strict=True):
        if len(part) == 1 and len(files) > 1:
            raise UserError(
                f"{file.name} has no frame number in its name. Number the files, such as t000.tif, t001.tif."
            )
        if [text.casefold() for text in part[::2]] != [text.casefold() for text in parts[0][::2]]:
            raise UserError(
                f"{files[0].name} and {file.name} are named differently: which number is the frame? "
                "Keep the files of one movie in a folder, named alike but for the number."
            )
    groups = np.array(
        [[_small(digits, file) for digits in part[1::2]] for file, part in zip(files, parts, strict=True)]
    )
    varying = [group for group in range(groups.shape[1]) if len(np.unique(groups[:, group])) > 1]
    if len(varying) > 1:
        other = int(np.argmax((groups[:, varying] != groups[0, varying]).sum(axis=1)))
        raise UserError(
            f"{files[0].name} and {files[other].name} differ in {len(varying)} numbers: which is the frame? "
            "Keep one movie per folder, and one number that counts its frames."
        )
    numbers = groups[:, varying[0]] if varying else groups[:, -1] if groups.shape[1] else np.zeros(len(files), np.int64)
    _refuse_repeated(files, numbers)
    return numbers.astype(np.int64)


def _small(digits: str, file: Path) -> int:
    if len(digits.lstrip("0")) > 18:
        raise UserError(
            f"{file.name} has a number of {len(digits)} digits, too long for a frame number. Rename the files."
        )
    return int(digits)


def _refuse_repeated(files: Sequence[Path], numbers: NDArray[np.int64]) -> None:
    seen: dict[int, Path] = {}
    for file, number in zip(files, numbers.tolist(), strict=True):
        if number in seen:
            raise UserError(f"{seen[number].name} and {file.name} are both frame {number}. Remove one of them.")
        seen[number] = file


def _checked_headers(files: Sequence[Path], channels: Channels, axes: str | None) -> Header:
    first = read_header(files[0], channels, axes)
    step = -(-len(files) // HEADERS_AT_OPENING)
    for file in files[step::step]:
        _check_alike(file, read_header(file, channels, axes), first, files[0])
    return first


def _check_alike(file: Path, header: Header, first: Header, first_file: Path) -> None:
    if header.shape[-2:] != first.shape[-2:]:
        size, before = (" x ".join(map(str, one.shape[-2:])) for one in (header, first))
        raise UserError(f"{file.name} is {size}, the frames before it are {before}. Use one movie per folder.")
    if header._replace(colours=first.colours) != first:
        kind, before = map(_kind, (header, first))
        raise UserError(f"{file.name} is {kind}, but {first_file.name} is {before}. Save all frames in the same way.")


def _kind(header: Header) -> str:
    _, *slices = header.shape[:-2]
    more = f" and {slices[0]} Z slices" if slices else ""
    return f"{header.dtype} with {header.channels} channel{'s' * (header.channels > 1)}{more}"


def _nothing(path: Path) -> str:
    inside = sorted(one.name for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    if inside:
        shown = ", ".join(inside[:4]) + (", ..." if len(inside) > 4 else "")
        return f"{path} holds no png, jpg or tif pictures, but folders: {shown}. Give one, or --read_recursion_level 1."
    return f"{path} holds no png, jpg or tif pictures. Check the path, or save the movie as tif."
