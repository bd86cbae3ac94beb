"""How finely frames are looked at, chosen from the movies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..movies.object_radius import object_radius

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..movies import PreparedMovie

# Measured (docs/performance.md): patches of 48 pixels hold nuclei of this size and what surrounds them; of larger ones
# fewer divisions are found, and every pixel more costs time.
_RADIUS = 8.0  # pixels


class Resolution(NamedTuple):
    """The side of the blocks to average, and why, in a sentence."""

    subsample: int
    why: str


def choose_subsample(movies: Sequence[PreparedMovie], most: int) -> Resolution:
    """Choose the largest blocks that leave the movies' objects a radius of 8 pixels.

    Parameters
    ----------
    movies : sequence of PreparedMovie
        At full resolution. Of several, the one with the smallest objects counts.
    most : int
        Side of the largest blocks that the frames are large enough for.
    """
    radius = min(object_radius(movie) for movie in movies)
    block = max(1, min(int(radius / _RADIUS), most))
    chosen = "Full resolution" if block == 1 else f"Blocks of {block} x {block} pixels averaged"
    left = "" if block == 1 else f", of which {radius / block:.0f} are left"
    return Resolution(
        block, f"{chosen}, chosen from the movie: its objects have a radius of {radius:.0f} pixels{left}."
    )
