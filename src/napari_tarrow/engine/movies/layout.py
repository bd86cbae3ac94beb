"""Which axis of a stored array is time, channel, y and x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .slices import stacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

UNKNOWN = "QI"  # tifffile's letters for "some other axis" and "pages, one after the other"
DROPPED = "1"  # marks an axis of length one that no movie has
Channels = int | range  # the first so many, 0: there is no channel axis; range(k, k + 1): that one alone
_WORDS = {"Z": "slices", "P": "positions", "R": "tiles", "M": "tiles", "V": "views", "A": "angles", "S": "samples"}


@dataclass(frozen=True)
class Layout:
    """Axes of a stored array in terms of a movie.

    Attributes
    ----------
    axes : str
        One of ``T C Z Y X 1`` per axis of the stored array; T, C and Z may be missing, ``1`` is dropped.
    shape : tuple of int
        Of the stored array.
    channels : range
        The channels that are taken.
    colours : bool
        Whether the channels are the samples of coloured pictures: red, green and blue.
    guessed : bool
        Whether nobody named the axes, and they are taken for what they mostly are.
    """

    axes: str
    shape: tuple[int, ...]
    channels: range
    colours: bool = False
    guessed: bool = False

    @property
    def movie_shape(self) -> tuple[int, int, int, int]:
        """Shape of the movie, ``(T, C, H, W)``."""
        return self.length("T"), len(self.channels), self.length("Y"), self.length("X")

    @property
    def only_channel(self) -> int | None:
        """Number of the channel that is taken alone, where there are others; else None."""
        return self.channels.start if len(self.channels) == 1 < self.length("C") else None

    @property
    def slices(self) -> int:
        """Number of Z slices; 1 if there is no such axis."""
        return self.length("Z")

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of what `arranged` gives: ``(C, H, W)``, with Z ``(C, Z, H, W)``."""
        return stacked(self.movie_shape[1:], self.slices)

    def length(self, axis: str) -> int:
        """Length of an axis; 1 if the array has none of that name."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def selection(self, index: int, only: int | None = None) -> tuple[int | slice, ...]:
        """Index into the stored array that gives frame `index` with its channels, axes in stored order."""
        return selection(self.axes, index, self.channels, only)

    def arranged(self, block: Array) -> Array:
        """Turn what `selection` gave into ``(C, H, W)``, with Z ``(C, Z, H, W)``."""
        return arranged(block, self.axes)


def selection(axes: str, index: int, channels: range, only: int | None) -> tuple[int | slice, ...]:
    """Index into an array with these axes that gives frame `index`, these channels, and one Z slice or all."""
    slices = slice(None) if only is None else slice(only, only + 1)
    wanted: dict[str, int | slice] = {"T": index, DROPPED: 0, "C": slice(channels.start, channels.stop), "Z": slices}
    return tuple(wanted.get(axis, slice(None)) for axis in axes)


def arranged(block: Array, axes: str) -> Array:
    """Transpose what `selection` gave of an array with these axes to ``(C, H, W)``, with Z ``(C, Z, H, W)``."""
    axes = axes.replace("T", "").replace(DROPPED, "")
    block = block.transpose([axes.index(axis) for axis in "CZYX" if axis in axes])
    return block if "C" in axes else block[np.newaxis]


def are_axes(letters: str) -> bool:
    """Whether these are letters of a movie's axes, each once at most."""
    return set(letters) <= set("TCZYX") and len(set(letters)) == len(letters)


def find_layout(
    name: str, axes: str, shape: tuple[int, ...], *, channels: Channels = 0, given: str | None = None, kind: str = ""
) -> Layout:
    """Find time, channels, y and x among the axes of an array.

    Parameters
    ----------
    name : str
        Of the movie, for error messages.
    axes : str
        What the file says, one letter per axis, as tifffile names them (``TCZYXS``; ``Q`` and ``I``: unknown).
    shape : tuple of int
    channels : int or range
        0: there is no channel axis. n: take the first n channels. range(k, k + 1): take channel k alone, or the only
        one there is.
    given : str or None
        What the user says, instead of `axes`; axes of length one may be left out. S: samples of colours.
    kind : str
        ``"imagej"`` where ImageJ named the axes: it calls time Z by default. ``"picture"``: one frame of many.
        ``"usual"``: nobody named them, `axes` are what they mostly are.

    Raises
    ------
    UserError
        If the axes are not those of a movie, or the channels not those of `channels`.
    """
    letters = _given(name, given, shape) if given else _known(name, axes, shape)
    _refuse_others(name, letters, shape, "given" if given else kind)
    letters = "".join(
        letter if letter in "TCYX" or (letter == "Z" and length != 1) else DROPPED
        for letter, length in zip(letters, shape, strict=True)
    )
    named = bool(given) or (kind != "usual" and not set(axes.upper()).isdisjoint("CS"))
    place = letters.find("C")
    colours = place >= 0 and ("S" in (given or "").upper() or axes[place : place + 1].upper() == "S")
    taken = _chosen_channels(name, letters, shape, channels, named=named)
    return Layout(letters, shape, taken, colours, guessed=not given and kind == "usual")


def _given(name: str, given: str, shape: tuple[int, ...]) -> str:
    letters = given.upper()
    if "S" in letters and len(letters) == len(shape) and dict(zip(letters, shape, strict=True)).get("C") == 1:
        letters = letters.replace("C", DROPPED)  # colours are the channels
    letters = letters.replace("S", "C")
    if not are_axes(letters.replace(DROPPED, "")) or not {"Y", "X"} <= set(letters):
        raise UserError(f"Axes {given} cannot be read. Use each of the letters TCZYX once at most, such as TYX.")
    if len(letters) == len(shape):
        return letters
    long = [length > 1 for length in shape]
    if len(letters) == sum(long):
        rest = iter(letters)
        return "".join(next(rest) if is_long else DROPPED for is_long in long)
    size = " x ".join(map(str, shape))
    raise UserError(f"{name} is {size}, which are {len(shape)} axes, not {given}. Give one letter per axis.")


def _known(name: str, axes: str, shape: tuple[int, ...]) -> str:
    """Axes as the file has them; those it does not name are time first, then channels."""
    letters = list(axes.upper())
    for letter in ("C", "S"):  # RGB samples are channels, unless there are channels besides
        if "C" in letters and letter == "S" and shape[letters.index("C")] == 1 and "S" in letters:
            letters[letters.index("C")] = DROPPED
        if "C" not in letters and letter in letters:
            letters[letters.index(letter)] = "C"
    for position, letter in enumerate(letters):
        if letter in UNKNOWN and shape[position] != 1:
            free = [axis for axis in "TC" if axis not in letters]
            if not free:
                raise UserError(f"{name} has axes {axes} that nothing names. Say which is which, such as --axes TZCYX.")
            letters[position] = free[0]
    return "".join(letters)


def _refuse_others(name: str, letters: str, shape: tuple[int, ...], kind: str) -> None:
    for letter, length in zip(letters, shape, strict=True):
        if letter in "TCYX" or length == 1:
            continue
        has_time = "T" in letters and shape[letters.index("T")] > 1
        if letter == "Z" and not has_time and kind != "picture":
            axes = letters.replace("Z", "T") if "T" not in letters else letters.replace("T", "").replace("Z", "T")
            axes = axes.replace(DROPPED, "")
            who = {"imagej": "ImageJ calls", "given": f"The axes {letters} call"}.get(kind, "The file calls")
            raise UserError(
                f"{who} the {length} pictures of {name} Z slices. If they are time points, say so with axes {axes} "
                f"(--axes {axes}); if not, it is a volume, and a movie is needed."
            )
        if letter == "Z":
            continue
        word = _WORDS.get(letter, f"entries along axis {letter}")
        raise UserError(f"{name} has {length} {word} (axes {letters}). Save each as a movie of its own.")


def one_channel(name: str, count: int, channels: range) -> range:
    """Return the one channel of `count` that is to be taken: the only one, or that of this number.

    Raises
    ------
    UserError
        If there is none of this number.
    """
    if count > 1 and channels.start >= count:
        raise UserError(
            f"{name} has {count} channels, numbered 0 to {count - 1}, and channel is {channels.start}. Give one of"
            " these."
        )
    return channels if count > 1 else range(1)


def _chosen_channels(name: str, letters: str, shape: tuple[int, ...], channels: Channels, *, named: bool) -> range:
    count = shape[letters.index("C")] if "C" in letters else 1
    if isinstance(channels, range):
        return one_channel(name, count, channels)
    if channels == 0 and count > 1:
        hint = ""
        if "T" not in letters and letters.startswith("C"):
            meant = letters.replace("C", "T").replace(DROPPED, "")
            hint = f"; if these are time points, say axes {meant} (--axes {meant})"
        elif not named and "Z" not in letters:
            hint = f"; if these are Z slices, say axes {letters.replace('C', 'Z').replace(DROPPED, '')}"
        raise UserError(
            f"{name} has {count} channels. Give channels {count} for all of them, or channel 0 to {count - 1} for one"
            f" (--channel 0){hint}."
        )
    if channels > count:
        has = "no channel axis" if "C" not in letters else f"{count} channel" + "s" * (count != 1)
        raise UserError(f"{name} has {has}, but channels is {channels}. Give channels {count if count > 1 else 0}.")
    return range(max(channels, 1))
