"""A made-up run: the updates that monitors take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_tarrow.engine.training.updates import (
    EpochEnded,
    FeaturesShown,
    Finished,
    MapsShown,
    Metrics,
    Notice,
    PatchesShown,
    Progress,
    Started,
    Update,
)

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 2


def _metrics(epoch: int, offset: float) -> Metrics:
    loss = 0.7 / epoch + offset  # not round, so that a lost digit is seen
    return Metrics(
        loss=loss,
        loss_decorr=loss / 3,
        accuracy=1 - loss,
        accuracy_change=1 - loss / 2,
        pred1_ratio=0.5 + offset / 7,
        lr=1e-4 / epoch,
        steps=7 * epoch,
    )


def _epoch(epoch: int) -> EpochEnded:
    return EpochEnded(
        epoch=epoch,
        epochs=4,
        train=_metrics(epoch, 0.0),
        val=_metrics(epoch, 0.01),
        is_best=epoch != 3,
        best_epoch=2 if epoch == 3 else epoch,
        pairs_seen=448 * epoch,
        seconds=1.1 * epoch,
    )


@pytest.fixture
def epochs() -> list[EpochEnded]:
    return [_epoch(i) for i in (1, 2, 3, 4)]


@pytest.fixture
def patches() -> list[PatchesShown]:
    """Seventy patches of each kind, more than are shown; the second frame is the brighter."""
    values = np.random.default_rng(0).random((70, FRAMES, 1, 8, 8)).astype(np.float32)
    values[:, 1, :, :4] += 1
    return [PatchesShown("train", values), PatchesShown("val", values[:5])]


@pytest.fixture
def maps() -> list[MapsShown]:
    """The maps of two sequences of one movie: a blob each."""
    y, x = np.mgrid[:96, :120]
    images = np.random.default_rng(1).random((FRAMES, 1, 96, 120)).astype(np.float32)
    blob = np.exp(-((y - 40) ** 2 + (x - 60) ** 2) / 50).astype(np.float32)
    return [MapsShown(2, 0, place, 3 * place, images, blob) for place in (0, 1)]


@pytest.fixture
def updates(
    tmp_path: Path, epochs: list[EpochEnded], patches: list[PatchesShown], maps: list[MapsShown]
) -> list[Update]:
    features = np.random.default_rng(2).normal(size=(3, 16, 16)).astype(np.float32)
    return [
        Started(tmp_path, ("One movie.",), 4, 28, 0, None),
        Notice("Something to know."),
        *patches,
        epochs[0],
        Progress(8, 28, 1, 4, "train", 0.6, 0.5, 1e-4, 100.0, 1.0),
        epochs[1],
        *maps,
        *epochs[2:],
        FeaturesShown(features),
        Finished("done", tmp_path, 4, 4, 1792, 4.4),
    ]
