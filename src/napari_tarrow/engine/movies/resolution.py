"""How finely frames are looked at, chosen from the movies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .object_radius import object_radii, radius_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .prepared import PreparedMovie

# Pixels that should be left of the radius of objects. Measured (docs/experiments.md, "Large objects"): with 14 less is
# learnt in the same time than with 7 and 9, and each pixel costs time; with 5 the embedding loses what is fine.
_RADIUS = 8.0
_DETAILS = 4.0  # the same of their details: of a bacterium in a colony, or of the halo of a large cell


class Resolution(NamedTuple):
    """The side of the blocks to average, and why, in a sentence."""

    subsample: int
    why: str


def choose_subsample(movies: Sequence[PreparedMovie], most: int) -> Resolution:
    """Choose blocks that leave the movies' objects a radius of about 8 pixels, and their details one of 4 or more.

    Both are estimated by `object_radii`. The radius that is left of objects is the nearest to 8 that whole pixels
    allow; that of details is never less than 4, where it is not less from the start.

    Parameters
    ----------
    movies : sequence of PreparedMovie
        At full resolution. Of several the median counts.
    most : int
        Side of the largest blocks that the frames are large enough for.
    """
    radius, details = np.median([object_radii(movie) for movie in movies], axis=0).tolist()
    for_objects, for_details = (max(1, int(size)) for size in (radius / _RADIUS + 0.5, details / _DETAILS))
    wanted = min(for_objects, for_details)
    block = max(1, min(wanted, most))
    chosen = "Full resolution" if block == 1 else f"Blocks of {block} x {block} pixels averaged"
    why = f"{chosen}, chosen from the movie: objects have a radius of {radius_in_words(radius)}"
    if block > 1:
        why += f", of which {radius / block:.1f} are left"
    if block == for_details < for_objects:
        why += f"; larger blocks would lose their details, whose radius is {radius_in_words(details)}"
    if block < wanted:
        why += "; larger blocks would leave frames smaller than a patch"
    return Resolution(block, f"{why}.")
