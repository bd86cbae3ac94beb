"""Kernels of our own give what torch gives; `test_fused.py` runs this, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import copy
import os

import pytest
import torch

from napari_tarrow.engine.models import FoldedHeads, TimeArrowNet, folded
from napari_tarrow.engine.models.backbones import unet
from napari_tarrow.engine.models.fused.trial import try_kernels

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda:0")
PAIRS = {2: [[0, 1]], 3: [[0, 1], [1, 2], [0, 2]]}


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Nothing is rounded to 10 bits; the interpreter shows heads in 32 bits, which a GPU computes otherwise."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    if INTERPRETED:
        monkeypatch.setattr(folded, "_FUSED_TYPES", (torch.float32,))


def results(model, clips, train, autocast=False, fused=True):
    """Everything that comes out of a network and is learnt of it; biases before a batch norm are learnt nothing of."""
    model = copy.deepcopy(model).train(train)
    with pytest.MonkeyPatch.context() as patch, torch.set_grad_enabled(train):
        patch.setattr(unet, "available", lambda device, training: fused)
        patch.setattr(folded, "available", lambda device, training: fused)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=autocast):
            maps = model.backbone(clips.flatten(0, 1).contiguous(memory_format=torch.channels_last))
            heads = FoldedHeads.of(model, maps)
            assert heads
            logits, decorrelation = heads(maps.unflatten(0, clips.shape[:2]), PAIRS[clips.shape[1]])
        if train:
            weights = torch.linspace(-1, 1, logits.numel(), device=DEVICE).view(logits.shape)
            ((logits.float() * weights).sum() + 0.1 * decorrelation.float()).backward()
    learnt = {name: p.grad for name, p in model.named_parameters() if p.grad is not None and not name.endswith("bias")}
    found = {"maps": maps, "logits": logits, "decorrelation": decorrelation, **learnt, **dict(model.named_buffers())}
    return {name: value.detach().double() for name, value in found.items()}


def apart(found, expected):
    """How far each result is from what is expected, as a share of the largest."""
    return {
        name: float((found[name] - value).abs().max() / value.abs().max().clamp(min=1e-6))
        for name, value in expected.items()
    }


def network(backbone, channels=1, features=32):
    torch.manual_seed(0)
    model = TimeArrowNet(backbone, n_features=features, n_input_channels=channels, symmetric=True, device=DEVICE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model.to(memory_format=torch.channels_last)


def check(model, clips, train, autocast):
    """Compare both with torch in 64 bits: some gradients are small differences of large sums."""
    expected = results(copy.deepcopy(model).double(), clips.double(), train, fused=False)
    ours, torchs = (apart(results(model, clips, train, autocast, fused), expected) for fused in (True, False))
    least = 1e-2 if autocast else 1e-4
    worse = {name: (ours[name], torchs[name]) for name in expected if ours[name] > 2 * torchs[name] + least}
    assert not worse


def test_the_trial_of_all_of_them():
    try_kernels(DEVICE)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("backbone", "channels", "features", "frames"),
    [("unet_16fmaps", 1, 8, 3), ("unet_16fmaps", 2, 32, 2), ("lnet", 5, 32, 2)],
)
def test_in_32_bits(backbone, channels, features, frames, train):
    model = network(backbone, channels, features)
    check(model, torch.rand(2, frames, channels, 32, 48, device=DEVICE), train, autocast=False)


@pytest.mark.skipif(INTERPRETED, reason="the interpreter multiplies no matrices of bfloat16")
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("frames", [2, 3])
@pytest.mark.parametrize("backbone", ["unet", "unet_16fmaps"])
def test_in_bfloat16(backbone, frames, train):
    check(network(backbone), torch.rand(4, frames, 1, 48, 48, device=DEVICE), train, autocast=True)
