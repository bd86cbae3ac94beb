"""In channels_last U-Nets take fewer passes over the memory, and do the same."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.models.backbones.border import leaky_border
from napari_tarrow.engine.models.backbones.enlarged import add_convolved_enlarged, kernels_of_blocks
from napari_tarrow.engine.models.equivariant import SLOPE


def maps(*shape):
    return torch.randn(*shape, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()


def results(function, *inputs):
    """Return the output, and the gradients of a sum of it with unequal weights."""
    output = function(*inputs)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    return output, torch.autograd.grad((output * weights).sum(), inputs)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (3, 2), (5, 4)])
def test_leaky_relu_with_a_border_is_both_one_after_the_other(size):
    torch.manual_seed(0)
    x = maps(2, 3, *size)

    found = results(lambda x: leaky_border(x, SLOPE), x)
    expected = results(lambda x: F.pad(F.leaky_relu(x, SLOPE), (1, 1, 1, 1), mode="replicate"), x)

    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 5)])
def test_maps_are_convolved_as_if_they_had_been_enlarged(size):
    torch.manual_seed(0)
    y, small, weight = maps(2, 4, 2 * size[0], 2 * size[1]), maps(2, 3, *size), maps(4, 3, 3, 3)

    def bordered(x):
        return F.pad(x, (1, 1, 1, 1), mode="replicate")

    def enlarging(y, small, weight):
        return y + F.conv2d(bordered(F.interpolate(small, scale_factor=2.0, mode="nearest")), weight)

    def without(y, small, weight):
        return add_convolved_enlarged(y.clone(), bordered(small), kernels_of_blocks(weight))

    expected, found = (results(function, y, small, weight) for function in (enlarging, without))

    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("channels", "size"), [(1, (40, 32)), (3, (16, 16)), (1, (5, 21))])  # down to one pixel
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["unet_16fmaps", "unet", "lnet"])
def test_the_layout_changes_neither_maps_nor_gradients_nor_running_statistics(name, training, channels, size):
    torch.manual_seed(0)
    plain = TimeArrowNet(name, n_input_channels=channels).backbone.double().train(training)
    last = deepcopy(plain).to(memory_format=torch.channels_last)
    x = torch.rand(8, channels, *size, dtype=torch.float64, requires_grad=True)

    def of(backbone):
        return results(lambda x, *_: backbone(x), x, *backbone.parameters()), list(backbone.buffers())

    torch.testing.assert_close(of(last), of(plain), rtol=1e-9, atol=1e-9)
