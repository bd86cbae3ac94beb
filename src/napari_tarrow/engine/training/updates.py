"""What training yields: small frozen values that hold on to no device memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


@dataclass(frozen=True)
class Started:
    """The run is set up; the first step comes next.

    `summary` says in sentences what will be done: movies, sequences per delta, device, precision, memory. `memory` are
    the bytes that a step takes and those that the device had for it.
    """

    run_folder: Path
    summary: tuple[str, ...]
    epochs: int
    steps: int
    first_epoch: int  # above 0 for a resumed run
    seconds: float | None  # expected duration; None where it was not measured
    memory: tuple[int, int] | None = None


@dataclass(frozen=True)
class Notice:
    """Something the user should know, in one sentence."""

    text: str


@dataclass(frozen=True)
class Progress:
    """Where training stands, a few times a second; losses are means since the last of these.

    With minutes, `steps` and `epochs` follow the speed of the machine; `epochs_done` has a fraction.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    phase: Literal["train", "val"]
    loss: float
    accuracy: float
    lr: float
    pairs_per_second: float
    seconds_left: float
    epochs_done: float = 0.0


@dataclass(frozen=True)
class Metrics:
    """Means over one epoch of training or validation.

    `accuracy_change` weighs every pair by how much its patch, as the network sees it, changes: most windows hold
    nothing to learn. With strong augmentation, which moves frames against each other, it says little in training.
    `pred1_ratio` is the share of pairs said to be reversed (0.5 for a fair network). `steps` counts training steps
    since the beginning of the run.
    """

    loss: float
    loss_decorr: float
    accuracy: float
    accuracy_change: float
    pred1_ratio: float
    lr: float
    steps: int


@dataclass(frozen=True)
class EpochEnded:
    """One epoch is done, and its checkpoint is on the disk. `epoch` counts from 1."""

    epoch: int
    epochs: int
    train: Metrics
    val: Metrics
    is_best: bool
    best_epoch: int
    pairs_seen: int
    seconds: float


@dataclass(frozen=True)
class PatchesShown:
    """Example patches as the network sees them, at the start of a session; `split` is train or val.

    `patches` : (N, T, C, S, S) float32, at most 64.
    """

    split: Literal["train", "val"]
    patches: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class MapsShown:
    """The attribution map of one sequence of a validation movie, after an epoch (0: before training).

    `images` : (T, C, H, W) float32, prepared frames. `map` : (H, W) float32, at least 0.
    """

    epoch: int
    movie: int
    place: int  # which of the shown sequences of that movie, from 0
    frame: int  # index of the first frame in the movie
    images: np.ndarray = field(repr=False)
    map: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class FrameMapShown:
    """The evidence map of a frame that was asked for with `Control.ask_map`.

    `map` : (h, w) float32, at least 0: where the network tells the order from, in pixels of the prepared movie. Of
    large frames it is the central part, which begins at `corner` (y, x). `subsample` is the side of such a pixel in
    those of the movie. `frames` are the indices of the sequence; the last frames of a movie begin none, and the nearest
    that does is shown.
    """

    frames: tuple[int, ...]
    corner: tuple[int, int]
    subsample: int
    map: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class FeaturesShown:
    """The embedding of one frame at the end: `features` : (F, H, W) float32."""

    features: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class ShortcutsFound:
    """What the network could have used in place of biology, and did: the sentences of `shortcuts.json`."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """The last update. `reason` says why training ended, `remark` what to know of the network."""

    reason: Literal["done", "stopped", "early"]
    run_folder: Path
    epochs: int
    best_epoch: int
    pairs_seen: int
    seconds: float
    remark: str = ""


Update = (
    Started
    | Notice
    | Progress
    | EpochEnded
    | PatchesShown
    | MapsShown
    | FrameMapShown
    | FeaturesShown
    | ShortcutsFound
    | Finished
)
