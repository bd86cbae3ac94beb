"""What a monitor is, and which ones a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .losses import LossFile
from .picture import CurvePicture
from .table import MetricsTable
from .tensorboard import TensorBoard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...config import TrainConfig
    from ..updates import EpochEnded, Update


class Monitor(Protocol):
    """A consumer of updates; what it does not care about it lets pass."""

    def take(self, update: Update) -> None:
        """Note one update."""

    def close(self) -> None:
        """Write what is left and let files go; more than once does no harm."""


def monitors_for(run_folder: Path, config: TrainConfig, history: Sequence[EpochEnded] = ()) -> list[Monitor]:
    """Return the monitors of a run, in the order they take updates.

    Parameters
    ----------
    run_folder : Path
        Where they write; it is there already.
    config : TrainConfig
        Says whether TensorBoard's files are wanted.
    history : sequence of EpochEnded
        What a resumed run had reached, every epoch from the first. Files are made anew from it, so that a killed and
        resumed run leaves those of an uninterrupted one.

    Raises
    ------
    UserError
        If the folder cannot be written, or TensorBoard's files are wanted and its package is missing.
    """
    monitors: list[Monitor] = [
        LossFile(run_folder / "losses.json", history),
        MetricsTable(run_folder / "metrics.csv", history),
        CurvePicture(run_folder / "learning_curve.png", history),
    ]
    if config.tensorboard:
        monitors.append(TensorBoard(run_folder / "tb", history))
    return monitors
