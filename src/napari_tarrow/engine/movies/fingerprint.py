"""A digest of a movie that tells whether its data changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .movie import Movie

_FEW = 5  # frames: enough to notice another movie, few enough to cost nothing, even where they are computed when read
_MOST = 2**28  # bytes: read in a second or so


def fingerprint(movie: Movie, *, whole: bool = False) -> str:
    """Digest (16 hexadecimal digits) of shape, type, frame numbers and pixels.

    The pixels are those of 5 frames, evenly spaced. With `whole` those of all frames, or in movies of more than 256 MB
    of as many as that: for those who read the movie anyway.
    """
    digest = hashlib.sha256(f"{movie.shape} {movie.dtype.str}".encode())
    digest.update(movie.frame_numbers.astype("<i8").tobytes())
    count = _FEW
    if whole:
        count = max(_FEW, min(len(movie), _MOST // movie.frame_bytes))
    for index in np.unique(np.linspace(0, len(movie) - 1, count).astype(int)):
        digest.update(movie.frame(int(index)).tobytes())
    return digest.hexdigest()[:16]
