"""A head with the projection in it says of the backbone's maps what the head says of projections."""

from __future__ import annotations

import pytest
import torch

from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.models.pixel_folding import acts_on_pixels, pixel_head

# name, frames, permutation-equivariant
HEADS = [(name, frames, True) for name in ("minimal", "linear") for frames in (2, 3)]
HEADS += [("difference", 2, True), ("minimal", 2, False), ("minimal", 3, False)]


def network(projection, head):
    torch.manual_seed(0)
    name, frames, symmetric = head
    model = TimeArrowNet("resnet32", projection, name, frames, n_features=6, symmetric=symmetric).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.rand_like(buffer)
    return model


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("projection", ["minimal_batchnorm", "linear", "id"])
def test_everything_is_the_same(projection, head):
    model, frames = network(projection, head), head[1]
    maps = torch.randn(frames, 16, 5, 7, dtype=torch.float64)
    projections = model.projection_head(maps).detach()
    mix = torch.arange(1.0, frames + 1)
    weights = torch.randn(projections.shape[1], dtype=torch.float64)

    plain, folded = pixel_head(model), pixel_head(model, of_maps=True)

    for of_plain, of_folded in (
        (plain.values([*projections], mix), folded.values([*maps], mix)),
        (plain.summed_gradient([*projections], 1), folded.summed_gradient([*maps], 1)),
        (plain.contribution([*projections], 1), folded.contribution([*maps], 1)),
        (plain.weighted(projections[0], weights), folded.weighted(maps[0], weights)),
    ):
        torch.testing.assert_close(of_folded, of_plain, rtol=1e-10, atol=1e-10)


def test_a_projection_that_sees_neighbours_is_not_folded():
    model = network("three_3x3convs", HEADS[0])

    assert not acts_on_pixels(model)
    with pytest.raises(ValueError, match="does not act at every pixel"):
        pixel_head(model, of_maps=True)
