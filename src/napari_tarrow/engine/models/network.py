"""The network that predicts the arrow of time: backbone, projection head, classification head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import nn

from .backbones import make_backbone
from .classification import ClassificationHead
from .projection import ProjectionHead
from .spans import Span

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class TimeArrowNet(nn.Module):
    """Time arrow prediction network (Gallusser, Stieber, Weigert 2023).

    Every frame is mapped by itself to its *projections*, the dense representation; the classification head compares
    the projections of a sequence and gives one logit per order of the frames.

    Parameters
    ----------
    backbone, projection_head, classification_head
        Names: see `BACKBONES`, `PROJECTION_HEADS`, `CLASSIFICATION_HEADS`.
    n_frames
        Frames of a sequence, T.
    n_features
        Maps of the dense representation, F.
    n_input_channels
        Channels of the movie, C.
    device
        Where the network is put.
    symmetric
        Whether the classification head is permutation-equivariant.
    outdir, commit
        Kept for provenance in `kwargs`; nothing is written.

    Raises
    ------
    UserError
        If there is no network of these names.
    """

    def __init__(
        self,
        backbone: str = "unet",
        projection_head: str = "minimal_batchnorm",
        classification_head: str = "minimal",
        n_frames: int = 2,
        n_features: int = 16,
        n_input_channels: int = 1,
        device: str | torch.device = "cpu",
        symmetric: bool = False,
        outdir: str | Path | None = None,
        commit: str | None = None,
    ) -> None:
        super().__init__()
        self.kwargs: dict[str, Any] = {
            "backbone": backbone,
            "projection_head": projection_head,
            "classification_head": classification_head,
            "n_frames": n_frames,
            "n_features": n_features,
            "n_input_channels": n_input_channels,
            "symmetric": symmetric,
            "outdir": None if outdir is None else str(outdir),
            "commit": commit,
        }
        self.n_frames = n_frames
        self.backbone = make_backbone(backbone, n_input_channels)
        self.projection_head = ProjectionHead(self.backbone.features, n_features, projection_head)
        self.n_features = self.projection_head.out_features
        self.classification_head = ClassificationHead(
            self.n_features, n_frames, n_features, classification_head, symmetric
        )
        self.to(device, torch.float32)

    @overload
    def forward(self, x: torch.Tensor, mode: Literal["classification", "projection"] = ...) -> torch.Tensor: ...
    @overload
    def forward(self, x: torch.Tensor, mode: Literal["both"]) -> tuple[torch.Tensor, torch.Tensor]: ...
    def forward(
        self, x: torch.Tensor, mode: str = "classification"
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits, projections, or both, of sequences.

        Parameters
        ----------
        x : (B, T, C, H, W) float
            Normalised sequences.
        mode
            `classification`: logits (B, T); `projection`: (B, T, F, h, w); `both`: first logits, then projections.

        Raises
        ------
        ValueError
            If there is no such mode.
        """
        if mode not in ("classification", "projection", "both"):
            raise ValueError(f"There is no mode {mode!r}. Use 'classification', 'projection' or 'both'.")
        projections = _unflattened(self.project(x.flatten(0, 1)), x)
        if mode == "projection":
            return projections
        logits = self.classify(projections)
        return (logits, projections) if mode == "both" else logits

    def project(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the projections (N, F, h, w) of single frames (N, C, H, W)."""
        projections: torch.Tensor = self.projection_head(self.backbone(frames))
        return projections

    def classify(self, projections: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T) of the projections (B, T, F, h, w) of sequences."""
        logits: torch.Tensor = self.classification_head(projections)
        return logits

    def evidence(self, projections: torch.Tensor) -> torch.Tensor:
        """Return the dense map (B, T, h, w) whose mean over space is the logits.

        It exists for every head, since what follows the pooling is affine; the head `resnet18` coarsens it by 32.
        """
        return self.classification_head.evidence(projections)

    def embedding(self, x: torch.Tensor, layer: int = 0) -> torch.Tensor:
        """Return the output of the n-th last layer of the projection head, (B, T, F, h, w).

        Parameters
        ----------
        x : (B, T, C, H, W) float
            Normalised frames; B and T may be anything.
        layer
            Counts convolutions, batch norms and identities from the last, which is 0.

        Raises
        ------
        UserError
            If the head has fewer layers.
        """
        maps = self.projection_head.layer(self.backbone(x.flatten(0, 1)), layer)
        return _unflattened(maps, x)

    def gradcam(
        self,
        x: torch.Tensor | NDArray[np.floating[Any]],
        class_id: int = 0,
        norm: bool = False,
        all_frames: bool = False,
        tile_size: tuple[int, int] | int | None = (512, 512),
    ) -> NDArray[np.float32]:
        """Return the attribution map (H, W) of one sequence `x`, (T, C, H, W); see `attribution.gradcam`."""
        from .attribution import gradcam

        return gradcam(self, x, class_id=class_id, norm=norm, all_frames=all_frames, tile_size=tile_size)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (without the device), as they are written to `model_kwargs.yaml`."""
        return dict(self.kwargs)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def downscale(self) -> int:
        """Input pixels per pixel of the projections."""
        return self.backbone.downscale

    @property
    def halo(self) -> tuple[int, int]:
        """How many pixels before and after its own block of `downscale` pixels a projection depends on, at most.

        Raises
        ------
        ValueError
            If the backbone sees the whole image at once.
        """
        if not self.backbone.local:
            raise ValueError("This backbone depends on the whole image: it has no halo.")
        before = after = 0
        period = self.backbone.grid // self.downscale
        for pixel in range(period):
            reach = self.needs(Span(pixel, pixel))
            before = max(before, pixel * self.downscale - reach.first)
            after = max(after, reach.last - (pixel + 1) * self.downscale + 1)
        return before, after

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels on which a projection depends, at most."""
        return sum(self.halo) + self.downscale

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the pixels `span` of the projections depend."""
        return self.backbone.needs(self.projection_head.needs(span))

    @classmethod
    def from_folder(
        cls,
        model_folder: str | Path,
        from_state_dict: bool = True,
        map_location: str | torch.device = "cpu",
        ignore_commit: bool = True,
        state_dict_path: str = "model_state.pt",
    ) -> TimeArrowNet:
        """Return the network of a model folder, ours or upstream's, in eval mode.

        Parameters
        ----------
        model_folder
            Holds `model_kwargs.yaml` and the state dict.
        from_state_dict, ignore_commit
            Upstream's; pickled modules are never read, and the commit is not compared.
        map_location
            The device, or ``auto``.
        state_dict_path
            Name of the state dict in the folder.

        Raises
        ------
        UserError
            If something is missing, damaged, or does not fit together.
        """
        from .folder import read_model

        return read_model(model_folder, map_location=map_location, state=state_dict_path)


def _unflattened(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return maps.view(*like.shape[:2], *maps.shape[1:])
