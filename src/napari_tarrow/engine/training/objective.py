"""The loss of a batch of clips, and the sums that its metrics are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..models import decorrelation_loss
from .updates import Metrics

if TYPE_CHECKING:
    import numpy as np

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
        return self.judge(model, self.project(model, clips), clips, labels)

    def project(self, model: TimeArrowNet, clips: torch.Tensor) -> torch.Tensor:
        """Return the projections (B * K, F, h, w) of the clips' frames."""
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.autocast):
            return model.project(clips.flatten(0, 1).contiguous(memory_format=torch.channels_last))

    def judge(
        self, model: TimeArrowNet, projections: torch.Tensor, clips: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return loss and sums, as a call does, from the projections of the clips' frames."""
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.autocast):
            logits = self._logits(model, projections.unflatten(0, clips.shape[:2]), labels)
        target = labels.flatten()
        cross_entropy = functional.cross_entropy(logits.float(), target)
        decorrelation = decorrelation_loss(projections)
        with torch.no_grad():
            sums = self._sums(cross_entropy, decorrelation, logits, target, clips)
        return cross_entropy + self.decor_loss * decorrelation, sums

    def _logits(self, model: TimeArrowNet, projections: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits of all sequences, reversed where the label says so: (B * P, T)."""
        reversed_ = labels.flatten() == 1
        sequences = self._sequences(projections)
        if model.classification_head.symmetric:  # reversing the frames reverses the logits: no second pass, no copy
            logits = model.classify(sequences)
            return torch.where(reversed_[:, None], logits.flip(1), logits)
        return model.classify(torch.where(reversed_[:, None, None, None, None], sequences.flip(1), sequences))

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
        changes = [(clips[:, s[-1]] - clips[:, s[0]]).square().mean((1, 2, 3)) for s in self.sequences.tolist()]
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


def new_sums(device: torch.device) -> torch.Tensor:
    """Return sums of nothing yet; in double precision where the device has it."""
    return torch.zeros(len(_NAMES), dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)


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
