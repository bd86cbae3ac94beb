"""Principal components of an embedding, fitted over a whole movie in one pass, a part of a frame at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Array = NDArray[Any]

_AT_ONCE = 2**16  # pixels taken to another type at a time
_SAMPLE = 2**18  # pixels kept for the percentiles
_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True)
class Components:
    """Principal components of the features, and how their scores become grey values.

    Attributes
    ----------
    mean : (F,) float64
        Of the features over all pixels.
    vectors : (n, F) float64
        Unit vectors, that of the largest variance first; of each the entry of largest size is positive.
    variance : (n,) float64
        Of the scores; the eigenvalues of the covariance matrix.
    explained : (n,) float64
        Part of the features' whole variance.
    low, high : (n,) float64
        Scores that become black and white: percentiles 1 and 99 over the movie.
    """

    mean: NDArray[np.float64]
    vectors: NDArray[np.float64]
    variance: NDArray[np.float64]
    explained: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def scores(self, embedding: Array) -> NDArray[np.float32]:
        """Project features (F, ...) on the components: (n, ...) float32."""
        return self._by_parts(embedding, np.float32, lambda scores: scores)

    def apply(self, embedding: Array) -> NDArray[np.uint8]:
        """Turn features (F, ...) into grey values (n, ...) from 0 to 255; with three components, into colours."""
        span = np.where(self.high > self.low, self.high - self.low, np.inf)  # a constant feature stays black
        low, factor = self.low[:, None], (255 / span)[:, None]
        return self._by_parts(embedding, np.uint8, lambda scores: np.clip(np.rint((scores - low) * factor), 0, 255))

    def _by_parts(self, embedding: Array, dtype: Any, then: Callable[[Array], Array]) -> Array:
        features = embedding.reshape(len(self.mean), -1)
        vectors = self.vectors.astype(np.float32)
        offset = (self.vectors @ self.mean).astype(np.float32)[:, None]
        found = np.empty((len(vectors), features.shape[1]), dtype)
        for start in range(0, features.shape[1], _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[:, part] = then(_product(vectors, features[:, part].astype(np.float32, copy=False)) - offset)
        return found.reshape(len(vectors), *embedding.shape[1:])


class ComponentFit:
    """Collects what the components follow from: mean, covariance, and a sample for the percentiles.

    Sums are taken in float64 around the first part's mean, so that nothing cancels; the sample is drawn evenly from
    all pixels by a fixed seed. The same parts in the same order give the same components.

    Parameters
    ----------
    count : int
        How many components.
    """

    def __init__(self, count: int = 3) -> None:
        self._count = count
        self._pixels = 0
        self._around: Array = np.empty(0)
        self._sum: Array = np.empty(0)
        self._products: Array = np.empty(0)
        self._sample: list[Array] = []
        self._share = 1.0
        self._random = np.random.default_rng(0)

    def add(self, part: Array) -> None:
        """Take the features (F, ...) of some pixels.

        Raises
        ------
        UserError
            If there are fewer features than components.
        """
        features = part.reshape(len(part), -1)
        if not self._pixels:
            self._begin(features)
        for start in range(0, features.shape[1], _AT_ONCE):
            centred = features[:, start : start + _AT_ONCE].astype(np.float64) - self._around[:, None]
            self._sum += centred.sum(1)
            self._products += _product(centred, centred.T)
        self._pixels += features.shape[1]
        self._keep(features)

    def result(self) -> Components:
        """Return the components of all that was added.

        Raises
        ------
        ValueError
            If nothing was.
        """
        if not self._pixels:
            raise ValueError("components of nothing")
        shift = self._sum / self._pixels
        covariance = self._products / self._pixels - np.outer(shift, shift)
        values, columns = np.linalg.eigh(covariance)
        variance = np.clip(values[::-1], 0, None)
        vectors = columns.T[::-1][: self._count]
        largest = np.abs(vectors).argmax(1)
        vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
        mean = self._around + shift
        sampled = _product(vectors, np.concatenate(self._sample, axis=1) - mean[:, None])
        low, high = np.percentile(sampled, _PERCENTILES, axis=1)
        whole = max(float(variance.sum()), np.finfo(np.float64).tiny)
        return Components(mean, vectors, variance[: self._count], variance[: self._count] / whole, low, high)

    def _begin(self, features: Array) -> None:
        length = len(features)
        if length < self._count:
            raise UserError(f"{self._count} components are asked for, but the embedding has {length} features.")
        self._around = features[:, :_AT_ONCE].mean(1, dtype=np.float64)
        self._sum, self._products = np.zeros(length), np.zeros((length, length))

    def _keep(self, features: Array) -> None:
        """Add an even choice of the pixels to the sample; when it grows too large, drop half of all chosen so far."""
        chosen = self._random.random(features.shape[1]) < self._share if self._share < 1 else slice(None)
        self._sample.append(features[:, chosen].astype(np.float32))
        while sum(part.shape[1] for part in self._sample) > _SAMPLE:
            self._sample = [part[:, self._random.random(part.shape[1]) < 0.5] for part in self._sample]
            self._share /= 2


def _product(*matrices: Array) -> Array:
    """Multiply two matrices with torch's threads: NumPy takes all cores, and waits long where one of them is busy."""
    fit = (one if one.flags.writeable and min(one.strides) >= 0 else one.copy() for one in matrices)
    first, second = map(torch.from_numpy, fit)
    product: Array = (first @ second).numpy()
    return product


def fit_components(parts: Iterable[Array], count: int = 3) -> Components:
    """Fit principal components to an embedding, part by part.

    Parameters
    ----------
    parts : iterable of (F, ...) arrays
        Frames, or parts of frames; each is looked at once.
    count : int
        How many components, at most F.

    Raises
    ------
    UserError
        If there are fewer features than components.
    """
    fit = ComponentFit(count)
    for part in parts:
        fit.add(part)
    return fit.result()
