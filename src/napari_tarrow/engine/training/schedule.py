"""The learning rate as a function of how far the run is, so that a resumed run goes on exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_WARM_UP = 0.15  # share of a one-cycle run that rises
_FIRST, _LAST = 1 / 25, 1e-3  # its first and last rate, as shares of the highest
_PLATEAU_FACTOR, _PLATEAU_THRESHOLD = 0.2, 1e-4  # the reference's factor; torch's ReduceLROnPlateau threshold


@dataclass(frozen=True)
class Schedule:
    """The course of the learning rate.

    Attributes
    ----------
    kind : {"cyclic", "plateau", "onecycle", "constant"}
    lr : float
        Lowest rate of ``cyclic``, highest of the others.
    steps : int
        Steps of the whole run.
    steps_per_epoch : int
        Half a cycle of ``cyclic``.
    """

    kind: Literal["cyclic", "plateau", "onecycle", "constant"]
    lr: float
    steps: int
    steps_per_epoch: int

    def rate(self, step: float, drops: int = 0) -> float:
        """Return the learning rate of a step (from 0); `drops` counts how often a plateau has lowered it."""
        if self.kind == "cyclic":
            return self._cyclic(step)
        if self.kind == "onecycle":
            return self._onecycle(step)
        return self.lr * _PLATEAU_FACTOR**drops

    def _cyclic(self, step: float) -> float:
        """Triangular between lr and 10 lr, the rise scaled by 0.9^cycle (torch's CyclicLR, cycles counted from 1)."""
        cycle = math.floor(1 + step / (2 * self.steps_per_epoch))
        x = abs(step / self.steps_per_epoch - 2 * cycle + 1)
        return self.lr + 9 * self.lr * max(0.0, 1 - x) * 0.9**cycle

    def _onecycle(self, step: float) -> float:
        """Cosine from lr / 25 up to lr, then down to lr / 1000 (Smith and Topin 2018)."""
        rise = max(1.0, _WARM_UP * self.steps)
        if step < rise:
            return _cosine(_FIRST * self.lr, self.lr, step / rise)
        return _cosine(self.lr, _LAST * self.lr, (step - rise) / max(1.0, self.steps - rise))


def plateau_drops(losses: list[float], patience: int) -> int:
    """Count how often the rate was lowered after these validation losses (torch's ReduceLROnPlateau)."""
    best, bad, drops = math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - _PLATEAU_THRESHOLD):
            best, bad = loss, 0
        else:
            bad += 1
        if bad > patience:
            drops, bad = drops + 1, 0
    return drops


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2
