"""The decorrelation loss: features of one image should not repeat each other."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .layout import features_last

TEMPERATURE = 0.2


def decorrelation_loss(projections: torch.Tensor) -> torch.Tensor:
    """Return `-mean log(diag(softmax_rows(Z Z^T / 0.2)) + 1e-10)`, Z (F, h*w) being the maps of one frame.

    Gallusser et al. 2023, in the form of its public implementation. One batched product, always in float32 at least:
    the products are large, and their softmax is what counts.

    Parameters
    ----------
    projections : (..., F, h, w) float
        Maps of any number of samples and frames.

    Returns
    -------
    scalar tensor
        The mean over features, frames and samples.
    """
    with torch.autocast(projections.device.type, enabled=False):
        maps = projections.flatten(0, -4) if projections.ndim > 4 else projections
        exact = torch.promote_types(projections.dtype, torch.float32)
        if features_last(maps):  # nothing is copied, and the gradient comes back in the same format
            pixels = maps.movedim(1, -1).flatten(1, 2).to(exact)
            products: torch.Tensor = _Gram.apply(pixels)  # type: ignore[no-untyped-call]
        else:
            rows = maps.flatten(2).to(exact)
            products = rows @ rows.transpose(1, 2)
        return decorrelation_of_products(products)


def decorrelation_of_products(products: torch.Tensor) -> torch.Tensor:
    """Return the decorrelation loss from `Z Z^T`, (..., F, F)."""
    own = torch.softmax(products / TEMPERATURE, dim=-1).diagonal(dim1=-2, dim2=-1)
    return -torch.log(own + 1e-10).mean()


class _Gram(torch.autograd.Function):
    """`X^T X` of matrices (N, pixels, F); its gradient is one product, where autograd would take two and a sum."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.transpose(1, 2) @ x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        result: torch.Tensor = x @ (gradient + gradient.transpose(1, 2))
        return result
