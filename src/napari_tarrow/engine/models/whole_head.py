"""Heads that look beyond single pixels: whole frames at once, differentiated by autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .network import TimeArrowNet

_OVERHEAD = 1.9  # gradients and workspaces, measured on training steps
_TRIAL = 64  # pixels to a side


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

    def bytes_needed(self, height: int, width: int) -> float:
        """Estimate what a gradient takes for frames of this size, from what autograd keeps for small ones."""
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        frames = torch.zeros(self._model.n_frames, self._model.n_features, _TRIAL, _TRIAL, device=self._model.device)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self._gradient([*frames], 0)
        weights = sum(p.numel() * p.element_size() for p in self._model.classification_head.parameters())
        return _OVERHEAD * max(0, sum(kept.values()) - weights) * height * width / _TRIAL**2

    @torch.enable_grad()
    def _gradient(self, frames: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        leaf = torch.stack([frame.detach() for frame in frames])[None].requires_grad_()
        (gradient,) = torch.autograd.grad(self._model.classify(leaf)[0, class_id], leaf)
        return gradient[0] * leaf[0, 0, 0].numel()
