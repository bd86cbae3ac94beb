"""Permuting the frames permutes the logits of symmetric networks, and of those only."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from napari_tarrow.engine.models import TimeArrowNet, decorrelation_loss
from napari_tarrow.engine.models.layout import features_last


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("head", "frames"), [("minimal", 2), ("minimal", 4), ("linear", 3), ("difference", 2)])
def test_permuting_the_frames_permutes_the_logits_and_the_evidence(head, frames, training):
    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", classification_head=head, n_frames=frames, n_features=6, symmetric=True)
    model = model.double().train(training)
    x = torch.rand((2, frames, 1, 16, 24), dtype=torch.float64)
    logits, projections = model(x, mode="both")
    evidence = model.evidence(projections)

    for order in list(permutations(range(frames)))[:8]:
        permuted, maps = model(x[:, order], mode="both")

        torch.testing.assert_close(permuted, logits[:, order])
        torch.testing.assert_close(model.evidence(maps), evidence[:, order])


def test_a_plain_head_is_not_equivariant():
    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_features=6).eval()
    x = torch.rand(2, 2, 1, 16, 24)

    assert not torch.allclose(model(x.flip(1)), model(x).flip(1), rtol=1e-3)


def test_frames_are_projected_by_themselves():
    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_frames=3).eval()
    x = torch.rand(1, 3, 1, 16, 24)

    together = model(x, mode="projection")

    torch.testing.assert_close(together[0], model.project(x[0]))
    torch.testing.assert_close(model.classify(together), model(x))


@pytest.mark.parametrize("training", [True, False])
def test_in_channels_last_the_equivariant_head_and_its_gradients_are_those_of_the_formula(training):
    torch.manual_seed(0)
    model = TimeArrowNet("id", "linear", n_features=6, symmetric=True).double().train(training)
    plain = torch.rand((3, 2, 6, 5, 7), dtype=torch.float64)
    pixels = plain.movedim(2, -1).contiguous().movedim(-1, 2)
    assert features_last(pixels)
    assert not features_last(plain)
    results = []

    for maps in (plain, pixels):
        maps.requires_grad_()
        model.zero_grad()
        logits, loss = model.classify(maps), decorrelation_loss(maps)
        (logits[:, 0].square().sum() + loss).backward()
        gradients = [p.grad.clone() for p in model.classification_head.parameters()]
        results.append([logits, loss, maps.grad, *gradients])

    torch.testing.assert_close(*results)
