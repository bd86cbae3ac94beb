"""Products of pixels with small matrices are what torch's matrix products are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_tarrow.engine.models import products

SHAPES = [(2, 3, 8, 16), (37, 5), (1, 7), (16, 1)]


@pytest.fixture(params=[True, False], ids=["convolved", "multiplied"])
def convolved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: request.param)


@pytest.mark.usefixtures("convolved")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_products_are_exact(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(size).to(dtype) for size in (shape, (4, shape[-1]), (4,)))
    gradient = torch.randn(*shape[:-1], 4).to(dtype)
    expected = F.linear(x.double(), weight.double(), bias.double())
    of_weight = gradient.double().flatten(0, -2).T @ x.double().flatten(0, -2)
    size = float(of_weight.abs().max())
    rounding = 8 * torch.finfo(dtype).eps

    y = products.pixelwise(x, weight, bias)
    assert y.shape == expected.shape
    assert y.is_contiguous()
    torch.testing.assert_close(y.double(), expected, rtol=rounding, atol=rounding)
    torch.testing.assert_close(
        products.pixelwise(x, weight).double(), expected - bias.double(), rtol=rounding, atol=4 * rounding
    )
    torch.testing.assert_close(
        products.weight_gradient(gradient, x).double(), of_weight, rtol=rounding, atol=rounding * size
    )
    torch.testing.assert_close(
        products.bias_gradient(gradient).double(), gradient.double().flatten(0, -2).sum(0), rtol=rounding, atol=rounding
    )


def test_features_that_are_not_dense_are_multiplied_as_they_lie() -> None:
    x = torch.randn(5, 64).T
    weight = torch.randn(3, 5)
    torch.testing.assert_close(products.pixelwise(x, weight), x @ weight.T)
    torch.testing.assert_close(products.weight_gradient(torch.ones(64, 3), x), torch.ones(64, 3).T @ x)
