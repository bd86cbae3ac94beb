"""`checkpoints/last.pt`: everything a run needs to go on as if nothing had happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..errors import UserError
from ..models.folder import LAST, fill, load, save
from .updates import EpochEnded, Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from ..models import TimeArrowNet


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands.

    `sums` are those of the epoch at hand; `seconds` counts the training time so far; `course` holds the values of a
    `Course`, None in checkpoints older than it.
    """

    step: int
    seconds: float
    history: list[EpochEnded]
    sums: torch.Tensor
    model: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    course: dict[str, Any] | None = None


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the run's last checkpoint: plain values and tensors, nothing that has to be executed."""
    values = dict(vars(checkpoint), history=[asdict(epoch) for epoch in checkpoint.history])
    save(folder / LAST, values)


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run has a checkpoint yet."""
    return (folder / LAST).exists()


def damaged(folder: Path) -> UserError:
    """Return what is said of a checkpoint that cannot be gone on from."""
    return UserError(
        f"{folder / LAST} is damaged and cannot be resumed. Start a new run from the best weights: --init {folder}."
    )


def read_checkpoint(folder: Path, model: TimeArrowNet) -> Checkpoint | None:
    """Read a run's last checkpoint and put its weights into the network.

    Returns
    -------
    Checkpoint, or None where the run has none yet

    Raises
    ------
    UserError
        If the file is damaged, or its weights belong to another network.
    """
    path = folder / LAST
    if not has_checkpoint(folder):
        return None
    try:
        values = load(path)
        history = [
            EpochEnded(**{**epoch, "train": Metrics(**epoch["train"]), "val": Metrics(**epoch["val"])})
            for epoch in values["history"]
        ]
        checkpoint = Checkpoint(**{**values, "history": history})
        _check(checkpoint)
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder) from error
    fill(model, checkpoint.model, path)
    return checkpoint


def _check(checkpoint: Checkpoint) -> None:
    plain = type(checkpoint.step) is int and type(checkpoint.seconds) in (int, float)
    tensors = isinstance(checkpoint.model, dict) and isinstance(checkpoint.sums, torch.Tensor)
    numbers = [epoch.epoch for epoch in checkpoint.history]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"epochs {numbers}")
    if not plain or not tensors or not all(isinstance(one, torch.Tensor) for one in checkpoint.model.values()):
        raise TypeError("a checkpoint of other types")
