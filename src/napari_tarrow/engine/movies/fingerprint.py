"""A digest of a movie that tells whether its data changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .movie import Movie

FRAMES = 5  # read for the digest: enough to notice another movie, few enough to cost nothing


def fingerprint(movie: Movie) -> str:
    """Digest (16 hexadecimal digits) of shape, type, frame numbers and the pixels of a few evenly spaced frames."""
    digest = hashlib.sha256(f"{movie.shape} {movie.dtype.str}".encode())
    digest.update(movie.frame_numbers.astype("<i8").tobytes())
    for index in np.unique(np.linspace(0, len(movie) - 1, FRAMES).astype(int)):
        digest.update(movie.frame(int(index)).tobytes())
    return digest.hexdigest()[:16]
