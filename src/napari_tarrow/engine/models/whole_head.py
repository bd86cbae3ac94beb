"""Heads that look beyond single pixels: whole frames at once, differentiated by autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .layout import weighted_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .network import TimeArrowNet


class WholeHead:
    """What `PixelHead` does, for a head whose evidence at a pixel depends on its surroundings.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode.
    """

    def __init__(self, model: TimeArrowNet) -> None:
        self._model = model

    @torch.no_grad()
    def values(self, frames: Sequence[torch.Tensor], mix: torch.Tensor) -> torch.Tensor:
        """Return `sum_k mix_k e_k`, (h, w) or coarser, for the projections (F, h, w) of T whole frames."""
        evidence = self._model.evidence(torch.stack([*frames])[None])[0]
        return (mix.to(evidence)[:, None, None] * evidence).sum(0)

    def summed_gradient(self, frames: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `h w sum_p d z_k / d A_tf(p)` over all pixels p, (T, F), for the logit of the class k."""
        return self._gradient(frames, class_id).sum((-2, -1))

    def contribution(self, frames: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `h w sum_tf A_tf d z_k / d A_tf` at every pixel, (h, w)."""
        gradients = self._gradient(frames, class_id)
        maps = [(gradient * frame).sum(0) for gradient, frame in zip(gradients, frames, strict=True)]
        return torch.stack(maps).sum(0)

    def weighted(self, frame: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return `sum_f weights_f A_f` at every pixel, (h, w), of one frame's projections; `weights` is (F,)."""
        return weighted_sum(frame, weights)

    @torch.enable_grad()
    def _gradient(self, frames: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        leaf = torch.stack([frame.detach() for frame in frames])[None].requires_grad_()
        (gradient,) = torch.autograd.grad(self._model.classify(leaf)[0, class_id], leaf)
        return gradient[0] * leaf[0, 0, 0].numel()
