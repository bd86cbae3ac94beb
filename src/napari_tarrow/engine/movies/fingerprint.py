"""A digest of a movie that tells whether its data changed."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .movie import Movie

# What is read for the digest costs a second or so; of a larger movie, evenly spaced frames.
_MOST = 2**28  # bytes
_FEWEST = 5  # frames, however large


def fingerprint(movie: Movie) -> str:
    """Digest (16 hexadecimal digits) of shape, type, frame numbers and pixels.

    The pixels are those of all frames, or in movies of more than 256 MB of as many as that, evenly spaced, at least 5.
    """
    digest = hashlib.sha256(f"{movie.shape} {movie.dtype.str}".encode())
    digest.update(movie.frame_numbers.astype("<i8").tobytes())
    frame = math.prod(movie.shape[1:]) * movie.dtype.itemsize
    count = min(len(movie), max(_FEWEST, _MOST // frame))
    for index in np.unique(np.linspace(0, len(movie) - 1, count).astype(int)):
        digest.update(movie.frame(int(index)).tobytes())
    return digest.hexdigest()[:16]
