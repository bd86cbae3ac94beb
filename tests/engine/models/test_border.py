"""The border convolution is torch's own with replicated padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_tarrow.engine.models.backbones.border import BorderConv2d, _Replicate, replicate_border


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (2, 7), (6, 5)])
def test_values_and_gradients_are_those_of_torch_s_padding(size, layout):
    x = torch.rand((2, 3, *size), dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weights = torch.rand((2, 3, size[0] + 2, size[1] + 2), dtype=torch.float64)

    ours, theirs = (
        _Replicate.apply(x) if min(size) > 1 else replicate_border(x),
        F.pad(x, (1, 1, 1, 1), mode="replicate"),
    )

    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_memory_format_and_precision_are_kept():
    x = torch.rand(2, 8, 6, 5).to(memory_format=torch.channels_last)

    with torch.autocast("cpu", torch.bfloat16):
        padded = replicate_border(x.bfloat16())

    assert padded.dtype is torch.bfloat16
    assert padded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_convolution_is_torch_s(stride):
    ours = BorderConv2d(2, 4, stride)
    theirs = torch.nn.Conv2d(2, 4, 3, stride, padding=1, padding_mode="replicate")
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 2, 9, 8)

    torch.testing.assert_close(ours(x), theirs(x))
    ours, theirs = (layer.to(memory_format=torch.channels_last) for layer in (ours, theirs))
    x = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x).is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_the_weights_decide_the_format_of_images_of_one_channel():
    """Such images are in both formats at once."""
    x, convolution = torch.rand(2, 1, 6, 5), BorderConv2d(1, 4)

    assert convolution(x).is_contiguous()
    assert convolution.to(memory_format=torch.channels_last)(x).is_contiguous(memory_format=torch.channels_last)
