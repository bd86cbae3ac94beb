"""Maps on the disk: one stack for each delta, as long as the movie, so that it lies over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..maps.percentiles import stack_percentiles
from . import Calibration, open_store, open_tif_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ...movies import Movie
    from ..maps.attribution import AttributionMap
    from . import ImageStore

    Map = NDArray[np.float32]

MapFormat = Literal["tif", "ome-zarr"]

_PERCENTILES = 0.1, 99.99  # as published
_ENDINGS = {"tif": ".tif", "ome-zarr": ".ome.zarr"}


class MapFiles:
    """Stacks of maps (T, H, W) float32, one for each delta, written map by map.

    A map stands at its sequence's first frame. Frames where no sequence begins, such as the last, stay 0.

    Parameters
    ----------
    folder : Path
        Gets ``maps_delta1.tif`` or ``maps_delta1.ome.zarr`` for every delta.
    movie : Movie
    deltas : sequence of int
    format : {"tif", "ome-zarr"}
    settings : mapping
        What the maps were made with, for the metadata.
    overwrite : bool
        Whether stacks that are there are replaced.

    Raises
    ------
    UserError
        If something is there already, or the disk has less room than is needed.
    """

    def __init__(
        self,
        folder: Path,
        movie: Movie,
        deltas: Sequence[int],
        format: MapFormat = "tif",
        settings: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        frames, _, height, width = movie.shape
        shape = (frames, 1, height, width)
        size = frames * height * width * 4
        calibration = Calibration.of(movie)
        self._firsts: dict[int, set[int]] = {delta: set() for delta in deltas}
        self._stores: dict[int, ImageStore] = {}
        for left, delta in zip(range(len(deltas) - 1, -1, -1), deltas, strict=True):
            path = folder / map_name(delta, format)
            options: dict[str, Any] = {"calibration": calibration, "overwrite": overwrite, "besides": left * size}
            if format == "tif":
                self._stores[delta] = open_tif_store(path, shape, np.float32, **options)
            else:
                known = {**(settings or {}), "delta": delta}
                self._stores[delta] = open_store(path, shape, np.float32, known, **options)

    def put(self, one: AttributionMap) -> None:
        """Write a map.

        Raises
        ------
        UserError
            If the disk is full.
        """
        self._stores[one.delta].write(one.frames[0], one.map[np.newaxis])
        self._firsts[one.delta].add(one.frames[0])

    def read(self, delta: int, first: int) -> Map | None:
        """Return the map of the sequence that begins with a frame of the movie; None where there is none."""
        if first not in self._firsts[delta]:
            return None
        store = self._stores[delta]
        map = np.empty(store.shape[2:], np.float32)
        for y, x, values in store.parts(first):
            map[y : y + values.shape[1], x : x + values.shape[2]] = values[0]
        return map

    def maps(self, delta: int, at_most: int | None = None) -> Iterator[Map]:
        """Yield the maps of a delta in the order of time; of many, an even choice of at most so many."""
        firsts = sorted(self._firsts[delta])
        if at_most is not None and at_most < len(firsts):
            firsts = [firsts[i] for i in np.linspace(0, len(firsts) - 1, at_most).astype(int)]
        for first in firsts:
            map = self.read(delta, first)
            assert map is not None
            yield map

    def normalise(self, signed: bool = False) -> dict[int, tuple[float, float]]:
        """Scale every stack so that its percentiles 0.1 and 99.99 become 0 and 1, and return these percentiles.

        Maps with signs keep their zero: they are divided by the percentile 99.99 of their sizes.
        """
        scales = {delta: self._scale(delta, signed) for delta in self._stores}
        for delta, (low, high) in scales.items():
            for first in self._firsts[delta]:
                values = self.read(delta, first)
                assert values is not None
                self._stores[delta].write(first, ((values - low) / ((high - low) or 1))[np.newaxis])
        return scales

    def close(self) -> None:
        """Fill the frames without a map and put the stacks in their place."""
        for store in self._stores.values():
            empty = np.zeros((1, *store.shape[2:]), np.float32)
            for frame in store.missing:
                store.write(frame, empty)
            store.close()

    def _scale(self, delta: int, signed: bool) -> tuple[float, float]:
        if signed:
            (high,) = stack_percentiles(lambda: map(np.abs, self.maps(delta)), _PERCENTILES[1:])
            return 0.0, high
        low, high = stack_percentiles(lambda: self.maps(delta), _PERCENTILES)
        return low, high


def map_name(delta: int | str, format: MapFormat) -> str:
    """Return the name of a delta's stack."""
    return f"maps_delta{delta}{_ENDINGS[format]}"
