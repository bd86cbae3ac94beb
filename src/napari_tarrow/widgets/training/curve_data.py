"""The learning curve of a run as it grows."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

from ...engine.inference.descriptions.history import read_history

if TYPE_CHECKING:
    from pathlib import Path

    from ...engine.training import EpochEnded, Progress, Started

_MOST_POINTS = 2000  # of the faint ones; half of them go when there are more


@dataclass(frozen=True)
class Point:
    """One epoch."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass
class Curve:
    """Losses and accuracies of a run; the x axis counts epochs.

    Attributes
    ----------
    points : list of (x, loss, accuracy)
        Training, several times a second.
    epochs : list of Point
    best : int
        The best epoch so far; 0 before the first.
    """

    points: list[tuple[float, float, float]] = field(default_factory=list)
    epochs: list[Point] = field(default_factory=list)
    best: int = 0
    total: int = 0

    def start(self, started: Started) -> None:
        """Begin a run; of one that is gone on with, read the epochs that are there already."""
        self.total = started.epochs
        if started.first_epoch:
            self.epochs = _read(started.run_folder, started.first_epoch)
            self.best = min(self.epochs, key=lambda one: one.val_loss).epoch if self.epochs else 0

    def add_progress(self, progress: Progress) -> None:
        """Add the mean over the last steps of training."""
        if progress.phase != "train" or not progress.step:
            return
        x = progress.epochs_done
        if self.points and x <= self.points[-1][0]:
            return
        self.points.append((x, progress.loss, progress.accuracy))
        if len(self.points) > _MOST_POINTS:
            self.points = self.points[::2]

    def add_epoch(self, epoch: EpochEnded) -> None:
        """Add the means of an epoch."""
        train, val = epoch.train, epoch.val
        self.epochs.append(Point(epoch.epoch, train.loss, train.accuracy, val.loss, val.accuracy))
        self.best, self.total = epoch.best_epoch, epoch.epochs

    def nearest(self, x: float) -> str:
        """Say what is known of the epoch nearest to `x`."""
        if not self.epochs:
            return ""
        one = min(self.epochs, key=lambda epoch: abs(epoch.epoch - x))
        best = ", best" if one.epoch == self.best else ""
        return (
            f"Epoch {one.epoch}{best}: loss {one.train_loss:.4f} / {one.val_loss:.4f},"
            f" accuracy {one.train_accuracy:.3f} / {one.val_accuracy:.3f} (training / validation)"
        )


def _read(folder: Path, count: int) -> list[Point]:
    """Read the first epochs of a run from what it writes after each; nothing where that is missing or damaged."""
    history, _ = read_history(folder)
    epochs = [astuple(epoch) for epoch in (history.epochs if history else ())]
    return [Point(*epoch) for epoch in epochs if epoch[0] <= count and None not in epoch]
