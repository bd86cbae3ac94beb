"""What a projection depends on, and tiles that give what the whole image gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.models import BACKBONES, TimeArrowNet, pixel_head
from napari_tarrow.engine.models.attribution import gradcam_weights
from napari_tarrow.engine.models.spans import Span
from napari_tarrow.engine.models.tiles import project_tiled

DOWNSCALES = {
    "lnet": 2,
    "resnet32": 8,
    "resnet32_32fmaps": 8,
    "resnet_bioimage_wider": 16,
    "resnet18": 32,
    "simple": 32,
}
CHEAP = ["unet_16fmaps", "lnet", "resnet32", "resnet18", "simple", "id"]


def blind_to_values(name):
    """A network without normalisation, biases or signs: an output is positive where it depends on a positive input."""
    backbone = TimeArrowNet(name).backbone.double().eval()
    for layer in backbone.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
    return backbone


@pytest.mark.parametrize("name", ["unet_16fmaps", "lnet", "resnet32", "simple", "resnet18"])
@torch.no_grad()
def test_outputs_need_exactly_the_inputs_that_change_them(name):
    backbone = blind_to_values(name)
    size = -(-2 * TimeArrowNet(name).receptive_field // 64) * 64
    columns = torch.tensor([size // 2 - 9, size // 2, size // 2 + 3])
    lines = torch.zeros((len(columns), 1, 32, size), dtype=torch.float64)
    lines[torch.arange(len(columns)), :, :, columns] = 1

    changed = (backbone.core(lines) > 0).any(1).any(1)

    for column, line in zip(columns.tolist(), changed, strict=True):
        for pixel, depends in enumerate(line.tolist()):
            span = backbone.needs(Span(pixel, pixel))
            assert depends == (span.first <= column <= span.last)


def test_halo_and_receptive_field_follow_from_the_layers():
    plain, three = (TimeArrowNet("unet", projection_head=head) for head in ("linear", "three_3x3convs"))

    assert plain.halo[0] > 8
    assert [b - a for a, b in zip(plain.halo, three.halo, strict=True)] == [3, 3]
    assert plain.receptive_field == sum(plain.halo) + 1
    assert TimeArrowNet("id").halo == (0, 0)
    with pytest.raises(ValueError, match="whole image"):
        _ = TimeArrowNet("fpn_resnet").halo


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_projections_have_the_resolution_that_the_network_says(name):
    model = TimeArrowNet(name, n_features=4).eval()

    assert model.downscale == DOWNSCALES.get(name, 1)
    maps = model.project(torch.rand(1, 1, 70, 97))
    assert maps.shape == (1, 4, -(-70 // model.downscale), -(-97 // model.downscale))


@pytest.mark.parametrize(
    ("name", "head"),
    [*((name, "linear") for name in CHEAP), ("unet_16fmaps", "three_3x3convs"), ("id", "three_3x3convs")],
)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(height=st.integers(33, 150), width=st.integers(33, 150), tile=st.integers(24, 100), seed=st.integers(0, 99))
def test_tiled_projections_equal_those_of_the_whole(name, head, height, width, tile, seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = TimeArrowNet(name, projection_head=head, n_features=4).eval()
    frame = torch.rand(1, height, width)

    tiled = project_tiled(model, frame, tile)

    whole = model.project(frame[None])[0].detach()
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5 * whole.abs().max().item())


@pytest.mark.parametrize(
    ("name", "size", "padding", "mode"),
    [
        ("unet_16fmaps", (70, 57), (3, 4, 1, 1), "replicate"),
        ("fpn_resnet", (70, 97), (7, 8, 5, 5), "reflect"),
        ("resnet18", (70, 81), (7, 8, 13, 13), "reflect"),
    ],
)
@torch.no_grad()
def test_images_are_padded_centred_the_smaller_half_before(name, size, padding, mode):
    backbone = TimeArrowNet(name).backbone.eval()
    x = torch.rand(1, 1, *size)
    left, right, top, bottom = padding

    whole = backbone.core(F.pad(x, padding, mode=mode))

    cut = whole[..., top : whole.shape[-2] - bottom, left : whole.shape[-1] - right]
    torch.testing.assert_close(backbone(x), whole if name == "resnet18" else cut)


@pytest.mark.parametrize(("name", "size"), [("fpn_resnet", (5, 16)), ("resnet18", (32, 10))])
def test_images_too_small_to_be_reflected_are_refused(name, size):
    backbone = TimeArrowNet(name).backbone.eval()
    with pytest.raises(UserError, match=rf"Images of {size[0]} x {size[1]} pixels are too small for this network"):
        backbone(torch.rand(1, 1, *size))


@settings(max_examples=4, deadline=None, derandomize=True)
@given(height=st.integers(17, 130), width=st.integers(17, 130), tile=st.integers(16, 64))
def test_oblong_tiles_of_several_channels_equal_the_whole(height, width, tile):
    torch.manual_seed(height)
    torch.set_num_threads(1)
    model = TimeArrowNet("unet_16fmaps", n_features=4, n_input_channels=2).eval()
    frame = torch.rand(2, height, width)

    tiled = project_tiled(model, frame, (tile, 3 * tile))

    whole = model.project(frame[None])[0].detach()
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5 * whole.abs().max().item())


def test_a_network_that_sees_the_whole_image_is_not_tiled():
    model = TimeArrowNet("fpn_resnet", n_features=4).eval()
    frame = torch.rand(1, 70, 90)

    torch.testing.assert_close(project_tiled(model, frame, 32), model.project(frame[None])[0].detach())


@pytest.mark.parametrize(
    ("head", "symmetric", "frames", "chunk"),
    [
        ("minimal", True, 3, 1),
        ("minimal", True, 3, 1000),
        ("minimal", True, 2, 10**9),
        ("linear", True, 2, 1000),
        ("difference", True, 2, 1000),
        ("minimal", False, 2, 1000),
        ("unet", False, 2, 1000),
        ("resnet18", False, 2, 1000),
    ],
)
def test_attribution_weights_are_the_gradient_of_the_logit_summed_over_space(
    monkeypatch, head, symmetric, frames, chunk
):
    monkeypatch.setattr(pixel_head, "_CHUNK", chunk)
    torch.manual_seed(1)
    model = TimeArrowNet("id", "linear", head, n_frames=frames, n_features=4, symmetric=symmetric).eval().double()
    projections = torch.rand((frames, 4, 64, 40), dtype=torch.float64)

    alpha = gradcam_weights(model, projections, class_id=1)

    leaf = projections[None].clone().requires_grad_()
    model.classify(leaf)[0, 1].backward()
    torch.testing.assert_close(alpha, leaf.grad[0].sum((-2, -1)))


@pytest.mark.parametrize(("backbone", "head"), [("lnet", "unet"), ("resnet32", "minimal"), ("unet_16fmaps", "unet")])
def test_maps_of_coarse_networks_and_of_heads_with_surroundings_are_as_large_as_the_image(backbone, head):
    torch.manual_seed(2)
    model = TimeArrowNet(backbone, classification_head=head, n_features=4).eval()
    x = torch.rand(2, 1, 100, 77)

    whole, tiled = (model.gradcam(x, tile_size=size) for size in (None, 48))

    assert whole.shape == (100, 77)
    torch.testing.assert_close(torch.from_numpy(tiled), torch.from_numpy(whole), rtol=1e-3, atol=1e-3 * whole.max())
