"""Grad-CAM at the projections: where a network looks to tell the order of the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from .pixel_folding import pixel_head
from .tiles import project_tiled
from .whole_head import WholeHead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import TimeArrowNet
    from .pixel_head import PixelHead


def gradcam(
    model: TimeArrowNet,
    x: torch.Tensor | NDArray[np.floating[Any]],
    class_id: int = 0,
    norm: bool = False,
    all_frames: bool = False,
    tile_size: int | tuple[int, int] | None = (512, 512),
) -> NDArray[np.float32]:
    """Return the attribution map of one sequence, `|sum_f alpha_tf A_tf|` (Selvaraju et al. 2017, without its ReLU).

    `A` are the projections and `alpha_tf` the sum over space of the gradient of the logit `class_id` with respect to
    them. Computed in eval mode; tiles give what the whole image gives. A coarse map is enlarged bilinearly, corners
    on corners. A leaky ReLU whose input is zero to rounding takes either slope: one such pixel changes a small map by
    about 1e-4 of its maximum, so maps of two machines agree to that.

    Parameters
    ----------
    model
        Left in the mode in which it was.
    x : (T, C, H, W) float
        A normalised sequence in true order.
    class_id
        The order to explain; 0 is the true one.
    norm
        Scale the map to 0..1.
    all_frames
        Sum the maps of all frames instead of taking that of the first.
    tile_size
        Sides of the tiles in pixels; None: the whole image at once.

    Returns
    -------
    (H, W) float32
        The map.

    Raises
    ------
    ValueError
        If `x` is no sequence for this network.
    """
    frames = _sequence(model, x)
    training = model.training
    model.eval()
    try:
        projections = torch.stack([project_tiled(model, frame, tile_size) for frame in frames])
        alpha = gradcam_weights(model, projections, class_id)
    finally:
        model.train(training)
    maps = torch.einsum("tf,tfyx->tyx", alpha, projections).abs()
    cam = maps.sum(0) if all_frames else maps[0]
    if norm:
        cam = (cam - cam.min()) / (cam.max() - cam.min()).clamp_min(torch.finfo(cam.dtype).tiny)
    if cam.shape != frames.shape[-2:]:
        size = list(frames.shape[-2:])
        cam = F.interpolate(cam[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]
    result: NDArray[np.float32] = cam.cpu().numpy()
    return result


@torch.no_grad()
def gradcam_weights(model: TimeArrowNet, projections: torch.Tensor, class_id: int = 0) -> torch.Tensor:
    """Return `alpha` (T, F): the sum over space of the gradient of a logit with respect to the projections.

    In eval mode most heads act at every pixel by itself until the mean over space, and affinely after it. There the
    gradient at a pixel is that of its evidence divided by the number of pixels.

    Parameters
    ----------
    model
        In eval mode.
    projections : (T, F, h, w) float
        Of one sequence.
    class_id
        Index of the logit.
    """
    height, width = projections.shape[-2:]
    return dense_head(model).summed_gradient([*projections], class_id) / (height * width)


def dense_head(model: TimeArrowNet, of_maps: bool = False) -> PixelHead | WholeHead:
    """Return the classification head of a network in eval mode as a function of space, with its gradient.

    Of the projections, or, with `of_maps`, of the backbone's maps, which `acts_on_pixels` has to allow.
    """
    return pixel_head(model, of_maps) if model.classification_head.per_pixel else WholeHead(model)


def against_the_others(n_frames: int, class_id: int = 0, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return what a map of evidence weighs the logits by, (T,) float32: 1 for the class, -1 / (T - 1) for every other.

    The mean over space of such a map, ``e_c - mean_(k != c) e_k``, is zero where the network cannot tell.
    """
    mix = torch.full((n_frames,), -1 / max(1, n_frames - 1), dtype=torch.float32, device=device)
    mix[class_id] = 1
    return mix


def _sequence(model: TimeArrowNet, x: torch.Tensor | NDArray[np.floating[Any]]) -> torch.Tensor:
    """Return `x` as (T, C, H, W) float32 where the model is."""
    expected = (model.n_frames, model.kwargs["n_input_channels"])
    if x.ndim != 4 or tuple(x.shape[:2]) != expected:
        raise ValueError(
            f"A sequence for this network is (T, C, H, W) = ({expected[0]}, {expected[1]}, H, W), not {tuple(x.shape)}."
        )
    tensor = x if isinstance(x, torch.Tensor) else torch.tensor(np.asarray(x, np.float32))
    return tensor.detach().to(model.device, torch.float32)
