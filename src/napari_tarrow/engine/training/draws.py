"""Random numbers that depend on a seed, a purpose and a sample's number alone.

A sample draws from a stream of its own, addressed by a counter, so that a batch is the same on every device, after
every resume and for every number of ranks. The generator is SplitMix64 (Steele, Lea, Flood: Fast splittable
pseudorandom number generators, OOPSLA 2014), used as a hash of (key, sample, draw).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Stream:
    """Uniform numbers for one purpose of one run.

    Attributes
    ----------
    seed : int
        The run's seed.
    purpose : str
        What the numbers are for; different purposes are independent.
    """

    seed: int
    purpose: str

    def uniform(self, samples: np.ndarray, count: int) -> np.ndarray:
        """Draw `count` numbers in [0, 1) for each sample.

        Parameters
        ----------
        samples : (B,) int64
            Numbers of the samples, counted over the whole run.

        Returns
        -------
        (B, count) float64
        """
        return (self._bits(samples, count) >> np.uint64(11)) * 2.0**-53

    def seeds(self, samples: np.ndarray) -> np.ndarray:
        """Draw one 31-bit number for each sample: (B,) int32."""
        return (self._bits(samples, 1)[:, 0] >> np.uint64(33)).astype(np.int32)

    def _bits(self, samples: np.ndarray, count: int) -> np.ndarray:
        key = _mix(np.array([self.seed], np.uint64)) ^ np.uint64(zlib.crc32(self.purpose.encode()))
        start = _mix(_mix(key) ^ _mix(samples.astype(np.uint64) + _GOLDEN))
        return _mix(start[:, None] + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed
