"""How often guessing would be right as often."""

from __future__ import annotations

import math

import numpy as np

CHANCE = 0.002  # nothing is claimed that guessing would do more often than that
LEAST = 9  # sequences: with fewer, even if all are right, guessing would


def tail(right: int, count: int, chance: float = 0.5) -> float:
    """Return the probability of at least so many right by guessing."""
    return sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(right, count + 1))


def surest(evidence: np.ndarray) -> tuple[int, int]:
    """Count right answers, of all pairs, or of the half with the strongest: a drift may come and go.

    Guesses are right as often among the strongest as among all, so the choice costs a factor of 2 in probability.
    """
    strongest = np.sort(np.abs(evidence))[::-1][: max(LEAST, len(evidence) // 2)]
    some = evidence[np.abs(evidence) >= strongest[-1]] if len(strongest) else evidence
    counts = [(int((values > 0).sum()), len(values)) for values in (evidence, some)]
    return min(counts, key=lambda found: tail(*found))
