"""How many frames apart the frames of a sequence are, chosen from the movies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..movies import sequences, spread
from ..movies.contrast import STRANGE, liveliest
from ..movies.prepared import middle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..movies import PreparedMovie

    Array = NDArray[np.float32]

# Measured (docs/experiments.md): what changes less than this from one frame to the other is not learnt within minutes.
_ENOUGH = 0.08
_SAID_OF_STRANGE = (
    "From one frame to the next the picture becomes nearly another: objects move by their own size or more, and what"
    " happens to one of them is hardly seen. Divisions may not be found; record more often if you can. If these are"
    " fluorescent nuclei, general_nuclei, the network that comes along, finds divisions without training."
)
_CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_PAIRS, _SIDE = 8, 1024  # looked at, of each movie: so many pairs, and of large frames their middle


class TimeStep(NamedTuple):
    """The step that was chosen, why, in a sentence, and notices of frames too far apart and of parts too short."""

    delta: int
    why: str
    notices: tuple[str, ...]


def choose_delta(movies: Sequence[PreparedMovie], usable: Callable[[int], bool]) -> TimeStep:
    """Choose the smallest time step over which enough changes for the order to be told.

    What changes is one minus the correlation of the two frames: their squared difference over the sum of their
    variances, within blocks, summed over blocks and pairs of frames, so that places with contrast decide.
    Of several channels the one counts that changes most.
    Frames are smoothed by one pixel, and what white noise adds is taken off; its size is the median absolute deviation
    of the diagonal details of the difference (Donoho and Johnstone 1994).

    Parameters
    ----------
    movies : sequence of PreparedMovie
    usable : callable
        Says whether there are clips with a step; 1 is taken where no other is.

    Returns
    -------
    TimeStep
        Where not even the longest usable step shows enough, that one.
    """
    delta, changed = 1, _changed(movies, 1)
    first = changed
    notices = [_SAID_OF_STRANGE] if first >= STRANGE else []
    for longer in _CANDIDATES:
        if changed >= _ENOUGH:
            break
        if not usable(longer):
            notices.append(
                f"Little changes at delta {delta}, and no clip of delta {longer} fits into each part of the movie."
                " A longer movie, or other parts (split_train, split_val) with room for it in both, may teach more."
            )
            break
        delta, changed = longer, _changed(movies, longer)
    why = f"Delta {delta}, chosen from the movie: from one frame to the next {first:.0%} of its contrast changes"
    if delta > 1:
        why += f", over {delta} frames {changed:.0%}"
    return TimeStep(delta, f"{why}.", tuple(notices))


def _changed(movies: Iterable[PreparedMovie], delta: int) -> float:
    """Return what changes over a step, from 0 (nothing) to about 1 (everything), in the channel that changes most."""
    return liveliest(_pairs(movies, delta))[1]


def _pairs(movies: Iterable[PreparedMovie], delta: int) -> Iterator[tuple[Array, Array]]:
    for movie in movies:
        numbers = movie.movie.frame_numbers
        rows = sequences(numbers, range(len(numbers)), 2, delta)
        for first, second in rows[spread(len(rows), _PAIRS)].tolist():
            yield middle(movie.frame(first), _SIDE), middle(movie.frame(second), _SIDE)
