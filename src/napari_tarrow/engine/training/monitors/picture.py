"""`learning_curve.png`, redrawn as training goes on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ...chance import CHANCE
from ...pictures import learning_curve
from ..updates import EpochEnded, Finished

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..updates import Update


class CurvePicture:
    """Keep the learning curve's picture.

    Drawing takes a third of a second: with short epochs it is put off until `every` seconds have passed, but never
    beyond the end.
    """

    def __init__(self, path: Path, history: Sequence[EpochEnded] = (), *, every: float = 10.0) -> None:
        self._path = path
        self._epochs = list(history)
        self._every = every
        self._drawn_at = -math.inf
        self._behind = bool(self._epochs)

    def take(self, update: Update) -> None:
        """Draw after an epoch, unless it was done just now, and at the end."""
        if isinstance(update, EpochEnded):
            self._epochs.append(update)
            self._behind = True
            if time.monotonic() - self._drawn_at >= self._every:
                self._draw()
        elif isinstance(update, Finished):
            self._draw()

    def close(self) -> None:
        """Draw what has not been drawn."""
        if self._behind:
            self._draw()

    def _draw(self) -> None:
        if not self._epochs:
            return
        train, val = [e.train for e in self._epochs], [e.val for e in self._epochs]
        best = self._epochs[-1].best_epoch
        learning_curve(train, val, best, self._path, chance=CHANCE, title=self._path.resolve().parent.name)
        self._drawn_at = time.monotonic()
        self._behind = False
