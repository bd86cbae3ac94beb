"""The loss of a batch of clips, and the sums that its metrics are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..devices import widest_float
from ..models import FoldedHeads, decorrelation_loss
from .change import squared_change
from .sampling import evenly_spaced
from .updates import Metrics

if TYPE_CHECKING:
    import numpy as np

    from ..config import TrainConfig
    from ..models import TimeArrowNet

_NAMES = ("loss", "loss_decorr", "accuracy", "pred1_ratio", "pairs", "accuracy_change", "change")
PAIRS = _NAMES.index("pairs")


@dataclass(frozen=True)
class Objective:
    """Cross-entropy of time's direction over all evenly spaced sequences of a clip, plus decorrelation.

    Attributes
    ----------
    sequences : (P, T) int64 array
        Positions in the clip of each sequence's frames.
    decor_loss : float
        Weight of the decorrelation loss.
    autocast : bool
        Whether the backbone computes in bfloat16.
    """

    sequences: np.ndarray
    decor_loss: float
    autocast: bool

    def __call__(
        self, model: TimeArrowNet, clips: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the loss of a batch.

        Parameters
        ----------
        model : TimeArrowNet
        clips : (B, K, C, S, S) float32, frames in true order
        labels : (B, P) int64
            1 where a sequence is to be shown reversed, else 0.

        Returns
        -------
        loss : () float32
        sums : (7,) float32
            Sums over the B * P sequences, detached; `metrics` turns them into means.
        """
        return self.judge(model, self.features(model, clips), clips, labels)

    def features(self, model: TimeArrowNet, clips: torch.Tensor) -> torch.Tensor:
        """Return the backbone's maps (B * K, F, h, w) of the clips' frames."""
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.autocast):
            maps: torch.Tensor = model.backbone(clips.flatten(0, 1).contiguous(memory_format=torch.channels_last))
            return maps

    def judge(
        self, model: TimeArrowNet, features: torch.Tensor, clips: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return loss and sums, as a call does, from the backbone's maps of the clips' frames."""
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.autocast):
            logits, decorrelation = self._heads(model, features, clips.shape[:2], labels.flatten() == 1)
        target = labels.flatten()
        cross_entropy = functional.cross_entropy(logits.float(), target)
        with torch.no_grad():
            sums = self._sums(cross_entropy, decorrelation, logits, target, clips)
        return cross_entropy + self.decor_loss * decorrelation, sums

    def _heads(
        self, model: TimeArrowNet, features: torch.Tensor, shape: tuple[int, ...], turned: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of all sequences, those `turned` (B * P,) shown reversed, (B * P, T), and decorrelation."""
        if heads := FoldedHeads.of(model, features):
            logits, decorrelation = heads(features.unflatten(0, shape), self.sequences.tolist())
            return _reversed(logits, turned), decorrelation
        projections = model.projection_head(features)
        sequences = self._sequences(projections.unflatten(0, shape))
        if model.classification_head.symmetric:  # reversing the frames reverses the logits: no second pass, no copy
            logits = _reversed(model.classify(sequences), turned)
        else:
            logits = model.classify(_reversed(sequences, turned))
        return logits, decorrelation_loss(projections)

    def _sequences(self, projections: torch.Tensor) -> torch.Tensor:
        """Return the sequences of clips (B, K, F, h, w): (B * P, T, F, h, w), in the same memory format."""
        if len(self.sequences) == 1:
            return projections
        # slices with the features last: indexing would copy to another memory format and add up gradients one by one
        pixels = projections.movedim(2, -1)
        chosen = [pixels[:, s[0] : s[-1] + 1 : s[1] - s[0]] for s in self.sequences.tolist()]
        return torch.stack(chosen, 1).flatten(0, 1).movedim(-1, 2)

    def _sums(
        self,
        cross_entropy: torch.Tensor,
        decorrelation: torch.Tensor,
        logits: torch.Tensor,
        target: torch.Tensor,
        clips: torch.Tensor,
    ) -> torch.Tensor:
        predicted = logits.argmax(1)
        right = (predicted == target).float()
        ends = [(clips[:, s[0]], clips[:, s[-1]]) for s in self.sequences.tolist()]
        changes = [squared_change(first, last, clips.shape[-1]).mean((1, 2)) for first, last in ends]
        change = torch.stack(changes, 1).flatten()
        count = torch.full_like(cross_entropy, len(target), dtype=torch.float32)
        return torch.stack(
            [
                cross_entropy * count,
                decorrelation.float() * count,
                right.sum(),
                (predicted == 1).float().sum(),
                count,
                (right * change).sum(),
                change.sum(),
            ]
        )


def _reversed(sequences: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
    """Return `sequences`, (B * P, T, ...), with the order of time reversed where `turned`, (B * P,), says so."""
    return torch.where(turned.view(-1, *[1] * (sequences.ndim - 1)), sequences.flip(1), sequences)


def new_sums(device: torch.device) -> torch.Tensor:
    """Return sums of nothing yet; in double precision where the device has it."""
    return torch.zeros(len(_NAMES), dtype=widest_float(device), device=device)


def metrics(sums: torch.Tensor, lr: float, steps: int) -> Metrics:
    """Turn sums over sequences, as `Objective` returns them, into means."""
    total = dict(zip(_NAMES, sums.tolist(), strict=True))
    count = max(total["pairs"], 1.0)
    return Metrics(
        loss=total["loss"] / count,
        loss_decorr=total["loss_decorr"] / count,
        accuracy=total["accuracy"] / count,
        accuracy_change=total["accuracy_change"] / total["change"] if total["change"] > 0 else 0.5,
        pred1_ratio=total["pred1_ratio"] / count,
        lr=lr,
        steps=steps,
    )


def make_objective(config: TrainConfig, precision: str) -> Objective:
    """Return the loss of a run in this precision."""
    return Objective(evenly_spaced(config.clip_frames, config.frames), config.decor_loss, precision == "bf16")
