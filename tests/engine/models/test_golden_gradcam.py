"""Attribution maps agree with the reference's of whole images, for any tile size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tarrow.engine.models.tiles import project_tiled

SMALL = ["unet/64x72", "unet_16fmaps/64x72", "unet_16fmaps_T3_C2/61x72", "unet_16fmaps_plain/61x72"]
SMALL += ["unet_16fmaps_three/61x72"]
KINDS = ["class0", "class0_all", "class1", "class1_all", "class0_norm"]


def sequence(golden, case):
    name, size = case.split("/")
    height, width = map(int, size.split("x"))
    kwargs = golden.networks[name]
    shape = (kwargs["n_frames"], kwargs["n_input_channels"], height, width)
    return golden.network(name), golden.image(f"cam{name}({height}, {width})", shape)


def check(golden, case, kind, tile_size):
    model, x = sequence(golden, case)
    cam = model.gradcam(
        x.numpy(), class_id=int(kind[5]), norm="norm" in kind, all_frames="all" in kind, tile_size=tile_size
    )
    assert cam.dtype == np.float32
    # One leaky ReLU that takes the other slope, its input being zero to rounding, makes 1e-4: see `gradcam`.
    golden.compare(cam, f"gradcam/{case}/{kind}", rtol=1e-4 if golden.same_arithmetic else 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", SMALL)
@pytest.mark.parametrize("tile_size", [None, 32])
def test_map_of_a_small_image_agrees(golden, case, kind, tile_size):
    check(golden, case, kind, tile_size)


@pytest.mark.parametrize("kind", KINDS)
def test_map_of_a_large_image_agrees(golden, kind):
    check(golden, "unet_16fmaps/200x227", kind, None)


@pytest.mark.parametrize(("kind", "tile"), [("class0", 64), ("class1_all", 96), ("class0_norm", 200)])
def test_tiled_map_of_a_large_image_agrees_with_that_of_the_whole(golden, kind, tile):
    check(golden, "unet_16fmaps/200x227", kind, tile)


def test_tiled_map_agrees_with_the_default_network(golden):
    check(golden, "unet/200x227", "class0", (96, 227))


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, 64, 96, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_all_maps_agree_with_the_default_network(golden, kind, tile):
    check(golden, "unet/200x227", kind, tile)


@pytest.mark.parametrize(("name", "tile"), [("unet", None), ("unet_16fmaps", None), ("unet_16fmaps", 64)])
def test_projections_of_a_large_image_agree(golden, name, tile):
    model, x = sequence(golden, f"{name}/200x227")

    golden.compare(project_tiled(model, x[0], tile), f"gradcam/{name}/200x227/embedding")


def test_what_is_no_sequence_is_refused_and_read_only_arrays_are_fine(golden):
    model, x = sequence(golden, "unet_16fmaps/64x72")
    frozen = x.numpy().copy()
    frozen.flags.writeable = False

    assert model.gradcam(frozen).shape == (64, 72)
    for wrong in (x[:1], x[0], x[None], torch.cat([x, x], 1)):
        with pytest.raises(ValueError, match=r"\(T, C, H, W\) = \(2, 1, H, W\)"):
            model.gradcam(wrong)


def test_mode_and_gradients_are_left_as_they_were(golden):
    model, x = sequence(golden, "unet_16fmaps/64x72")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    model.gradcam(x)

    assert model.training
    assert all(p.grad is None for p in model.parameters())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    model.eval()
