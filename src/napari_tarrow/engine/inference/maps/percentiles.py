"""Exact percentiles of more values than fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

_HALF = 16  # bits


def stack_percentiles(read: Callable[[], Iterable[NDArray[np.float32]]], wanted: Sequence[float]) -> list[float]:
    """Return percentiles of all values of a stack, as `numpy.percentile` does (linear interpolation).

    Read as whole numbers, the bits of floats are in the floats' order. The first pass counts values by the upper half
    of these bits, the second, among the few halves that hold a wanted rank, by the lower half.

    Parameters
    ----------
    read : callable
        Gives the stack, array by array; called twice.
    wanted : sequence of float
        Percentages.

    Raises
    ------
    ValueError
        If the stack is empty.
    """
    upper = np.zeros(2**_HALF, np.int64)
    for values in read():
        upper += np.bincount((_ordered(values) >> _HALF).ravel(), minlength=2**_HALF)
    total = int(upper.sum())
    if not total:
        raise ValueError("There are no values to take percentiles of.")
    places = [percent / 100 * (total - 1) for percent in wanted]
    ranks = sorted({rank for place in places for rank in (int(place), min(int(place) + 1, total - 1))})
    found = _of_ranks(read, upper, ranks)
    return [
        found[int(place)] + (place % 1) * (found[min(int(place) + 1, total - 1)] - found[int(place)])
        for place in places
    ]


def _of_ranks(
    read: Callable[[], Iterable[NDArray[np.float32]]], upper: NDArray[np.int64], ranks: Sequence[int]
) -> dict[int, float]:
    ends = upper.cumsum()
    halves = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
    lower = {half: np.zeros(2**_HALF, np.int64) for half in halves.values()}
    for values in read():
        ordered = _ordered(values).ravel()
        for half, counts in lower.items():
            same = ordered[ordered >> _HALF == half]
            counts += np.bincount(same & (2**_HALF - 1), minlength=2**_HALF)
    found = {}
    for rank, half in halves.items():
        before = ends[half] - upper[half]
        low = int(np.searchsorted(lower[half].cumsum(), rank - before, side="right"))
        found[rank] = _value(half << _HALF | low)
    return found


def _ordered(values: NDArray[np.float32]) -> NDArray[Any]:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(2**31))


def _value(ordered: int) -> float:
    bits = ordered & (2**31 - 1) if ordered >> 31 else ~ordered & (2**32 - 1)
    return float(np.uint32(bits).view(np.float32))
