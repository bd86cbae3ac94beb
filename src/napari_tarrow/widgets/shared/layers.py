"""What a napari layer is as a movie, and what a layer made from it takes over.

Everything is read from the layer here, in the main thread; workers get a `Movie` that holds the data alone.
"""

from __future__ import annotations

import bisect
import weakref
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ...engine.errors import UserError
from ...engine.movies import open_movie, sequences
from ...engine.movies.layout import are_axes
from ...engine.movies.units import micrometres, seconds
from .numbering import known_numbers
from .placing import labelled_axes, laid_over, like, told_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from ...engine.movies import Movie

__all__ = [
    "LayerFacts",
    "describe_layer",
    "duration",
    "laid_over",
    "like",
    "plain",
    "provenance",
    "still_there",
]

_COLOURS = 3  # red, green, blue: an alpha channel is left out


@dataclass(frozen=True)
class LayerFacts:
    """A layer as a movie.

    Attributes
    ----------
    sentence : str
        What it is: "48 frames of 130 x 130, uint16, 1 channel, every 10 min; 47 pairs at delta 1".
    problem : str or None
        Why it is no movie that can be used, and what to do; None where it is one.
    axes : str
        One letter of ``TCZYX`` for each axis of the layer, such as TYX; colours (RGB) are none of them in napari.
    stored_axes : str
        Of the layer's data: the same, and S after them where it has colours.
    channels : int
        What the option ``channels`` takes: 0 for one channel, else how many there are.
    source : Movie or None
        For `open_movie`; lazy where the layer is. It holds the layer's data, not the layer. None with a problem.
    shape : tuple of int
        Of the layer's data (of its finest level), one length for each letter of `axes`.
    interval : float or None
        Seconds from frame to frame, where the layer says.
    numbers : tuple of int
        The number of each frame, increasing: events and tables speak of these, layers of indices (see `frame_index`).
    """

    sentence: str
    problem: str | None
    axes: str
    stored_axes: str = ""
    channels: int = 0
    source: Movie | None = field(default=None, repr=False)
    shape: tuple[int, ...] = ()
    interval: float | None = None
    numbers: tuple[int, ...] = field(default=(), repr=False)

    @property
    def frames(self) -> int:
        """Number of frames; 0 with a problem."""
        return 0 if self.source is None else len(self.source)

    def frame_index(self, number: int) -> int | None:
        """Return where along the layer's time axis the frame of this number lies; None where there is none."""
        index = bisect.bisect_left(self.numbers, number)
        return index if self.numbers[index : index + 1] == (number,) else None


def describe_layer(layer: Layer, axes: str | None = None, deltas: Sequence[int] = (1,)) -> LayerFacts:
    """Read from a layer what it is as a movie; no pixel is computed.

    Parameters
    ----------
    layer : Image or Labels
        Of several levels the finest is taken.
    axes : str, optional
        What the user says the axes are, one letter of ``TCZYX`` for each. Without it they are taken from the layer's
        axis labels where these say (t or time, c or channel, z, y, x), or from the tif file it was opened from; else
        time comes first, then channels.
    deltas : sequence of int
        Time steps whose pairs are counted in the sentence; none while they are not known.
    """
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    colours = bool(getattr(layer, "rgb", False))
    shape = tuple(int(length) for length in data.shape)[: layer.ndim]
    known = (axes or "").strip().upper() or labelled_axes(layer)
    briefly = f"{' x '.join(map(str, shape))}, {data.dtype}{', RGB' * colours}"
    if problem := _problem(layer.name, known, shape, colours):
        return LayerFacts(briefly, problem, known, shape=shape)
    stored = known + "S" * colours
    try:
        movie = _movie(layer, data, stored, _COLOURS if colours else dict(zip(stored, shape, strict=True)).get("C", 0))
    except UserError as error:
        return LayerFacts(briefly, str(error), known, shape=shape)
    channels = 0 if movie.shape[1] == 1 else movie.shape[1]
    numbers = tuple(movie.frame_numbers.tolist())
    guessed = not axes and channels > 1 and "Z" not in known and not colours and "C" not in told_axes(layer)
    remark = f" (if they are Z slices, write {known.replace('C', 'Z')})" if guessed else ""
    sentence = _sentence(movie, deltas, " (red, green, blue)" if colours else remark)
    return LayerFacts(sentence, None, known, stored, channels, movie, shape, movie.interval, numbers)


def still_there(viewer: ViewerModel, layer: Layer | weakref.ref[Layer] | None) -> bool:
    """Whether a layer (or what a weak reference points to) is still in the viewer; names do not count."""
    if isinstance(layer, weakref.ref):
        layer = layer()
    return layer is not None and any(plain(one) is plain(layer) for one in viewer.layers)


def plain(layer: Layer) -> Layer:
    """Return the layer itself: napari gives plugins proxies, a new one each time, that die where they are held weakly.

    What `viewer.add_image` returns is one.
    """
    return getattr(layer, "__wrapped__", layer)


def provenance(
    *, model: str | None = None, configuration: dict[str, Any] | None = None, data: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return what a written layer carries as ``metadata``: where it comes from, under ``napari_tarrow``.

    Parameters
    ----------
    model : str
        Its folder.
    configuration : dict
        Options, as plain values.
    data : str
        Fingerprint of the movie.
    **more
        Whatever else the layer's maker wants to be known.
    """
    versions = {name: _version(name) for name in ("napari-tarrow", "napari", "torch", "numpy")}
    record = {"model": model, "configuration": configuration, "data": data, "versions": versions, **more}
    return {"napari_tarrow": record}


def duration(value: float) -> str:
    """Write a time in seconds for people: ``10 min``, ``1.5 h``, ``200 ms``."""
    units = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3}
    unit = next((unit for unit, length in units.items() if value >= length), "ms")
    return f"{value / units[unit]:.4g} {unit}"


def _problem(name: str, axes: str, shape: tuple[int, ...], colours: bool) -> str | None:
    if "?" in axes or len(axes) != len(shape):
        size = " x ".join(map(str, shape))
        meant = "" if "?" in axes else f", not {axes}"
        return f"{name} is {size}, which are {len(shape)} axes{meant}. A movie has one letter for each, such as TYX."
    if not are_axes(axes) or not {"Y", "X"} <= set(axes):
        return f"Axes {axes} cannot be read. Write each of the letters T, C, Z, Y, X once at most, such as TYX."
    length = dict(zip(axes, shape, strict=True))
    if colours and length.get("C", 1) > 1:
        return (
            f"{name} has channels besides its colours: right click on the layer, Split RGB, and choose one part. If"
            f" they are Z slices, write {axes.replace('C', 'Z')}."
        )
    if length.get("T", 1) < 2:
        return f"{name} has one frame. Choose a movie of two frames or more; if an axis is time, write T for it."
    return None


def _movie(layer: Layer, data: Any, axes: str, channels: int) -> Movie:
    movie = open_movie(data, channels=channels, axes=axes)
    name = "".join("_" if one in "/\\" or not one.isprintable() else one for one in layer.name) or "layer"
    numbers = known_numbers(plain(layer), len(movie), time_first=axes.startswith("T"))
    movie = movie if numbers is None else movie.numbered(numbers)
    return replace(
        movie,
        name=name,
        source=f"Layer {layer.name}",
        interval=_interval(layer, axes),
        pixel_size=_pixel_size(layer, axes),
    )


def _interval(layer: Layer, axes: str) -> float | None:
    place = axes.index("T")
    found = seconds(float(layer.scale[place]), str(layer.units[place]))
    told = layer.metadata.get("interval_s")  # what the sample movies say
    return float(told) if found is None and isinstance(told, int | float) and told > 0 else found


def _pixel_size(layer: Layer, axes: str) -> tuple[float, float] | None:
    places = axes.index("Y"), axes.index("X")
    y, x = (micrometres(float(layer.scale[place]), str(layer.units[place])) for place in places)
    return None if y is None or x is None else (y, x)


def _sentence(movie: Movie, deltas: Sequence[int], remark: str) -> str:
    """Say what a movie is; `remark` follows the number of its channels."""
    frames, channels, height, width = movie.shape
    parts = [f"{frames} frames of {height} x {width}", str(movie.dtype)]
    parts.append(f"{channels} channel{'s' * (channels > 1)}{remark}")
    if movie.slices > 1:
        parts.append(f"{movie.slices} Z slices")
    if movie.interval is not None:
        parts.append(f"every {duration(movie.interval)}")
    parts += _numbered(movie)
    pairs = [f"{_pairs(movie, delta)} at delta {delta}" for delta in deltas]
    return "; ".join(filter(None, (", ".join(parts), ", ".join(pairs))))


def _numbered(movie: Movie) -> list[str]:
    """Say how the frames are numbered, where that is not from 0 on without gaps."""
    first, last = int(movie.frame_numbers[0]), int(movie.frame_numbers[-1])
    missing = last - first + 1 - len(movie)
    if first == 0 and not missing:
        return []
    return [f"frames {first} to {last}{f' ({missing} missing)' if missing else ''}"]


def _pairs(movie: Movie, delta: int) -> str:
    count = len(sequences(movie.frame_numbers, range(len(movie)), 2, delta))
    return f"{count} pair{'s' * (count != 1)}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
