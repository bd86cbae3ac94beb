"""Movies from disk or memory, lazily, and what a network is fed of them."""

from __future__ import annotations

from .configured import open_prepared, preparation_of
from .fingerprint import fingerprint
from .inputs import expand_inputs
from .movie import Movie
from .opening import open_movie
from .prepared import Preparation, PreparedMovie
from .sequences import sequences, split_range, spread
from .slices import said_of_slices

__all__ = [
    "Movie",
    "Preparation",
    "PreparedMovie",
    "expand_inputs",
    "fingerprint",
    "open_movie",
    "open_prepared",
    "preparation_of",
    "said_of_slices",
    "sequences",
    "split_range",
    "spread",
]
