"""Folded heads say, learn and remember what the heads themselves do, layer by layer."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from napari_tarrow.engine.models import FoldedHeads, TimeArrowNet, decorrelation_loss

PAIRS = {2: [(0, 1)], 3: [(0, 1), (1, 2), (0, 2)]}


def network(projection="minimal_batchnorm", **options):
    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", projection, **{"n_features": 6, "symmetric": True, **options})
    with torch.no_grad():
        for parameter in model.parameters():  # biases, and scales of batch norms, that are not what they begin as
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def features(clips, frames, dtype=torch.float64):
    torch.manual_seed(1)
    maps = 0.7 + torch.randn(clips, frames, 5, 7, 16, dtype=dtype)
    return maps.movedim(-1, 2).requires_grad_()


def by_layers(model, maps, pairs):
    projections = model.projection_head(maps.flatten(0, 1))
    of_clips = projections.unflatten(0, maps.shape[:2])
    sequences = torch.stack([of_clips[:, [i, j]] for i, j in pairs], 1).flatten(0, 1)
    return model.classify(sequences), decorrelation_loss(projections)


def by_folding(model, maps, pairs):
    return FoldedHeads.of(model, maps.flatten(0, 1))(maps, pairs)


def results(run, model, maps, pairs):
    model = deepcopy(model)
    logits, decorrelation = run(model, maps, pairs)
    (logits[:, 0].square().sum() + 0.3 * decorrelation).backward()
    gradient, maps.grad = maps.grad, None
    heads = model.projection_head, model.classification_head
    learnt = [parameter.grad for head in heads for parameter in head.parameters()]
    kept = [buffer for head in heads for buffer in head.buffers()]
    return logits, decorrelation, gradient, learnt, kept


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frames", [2, 3])
@pytest.mark.parametrize("projection", ["minimal_batchnorm", "linear"])
def test_they_equal_the_heads_in_what_they_say_in_gradients_and_in_running_statistics(projection, frames, training):
    model = network(projection).double().train(training)
    maps = features(4, frames)

    expected = results(by_layers, model, maps, PAIRS[frames])
    found = results(by_folding, model, maps, PAIRS[frames])

    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_in_float32_they_are_as_exact_as_the_heads():
    model, maps = network().train(), features(4, 3)
    exact = results(by_layers, deepcopy(model).double(), maps, PAIRS[3])
    single = maps.detach().float().requires_grad_()

    found = results(by_folding, model, single, PAIRS[3])

    torch.testing.assert_close(found[0].double(), exact[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[2].double(), exact[2], rtol=1e-2, atol=1e-4)


def test_in_bfloat16_their_gradient_is_no_farther_off_than_that_of_the_heads():
    model, maps = network().train(), features(4, 3)
    half = maps.detach().bfloat16().requires_grad_()
    exact = results(by_layers, deepcopy(model).double(), half.detach().double().requires_grad_(), PAIRS[3])[2]
    with torch.autocast("cpu", torch.bfloat16):
        layers = results(by_layers, model, half, PAIRS[3])[2]
        found = results(by_folding, model, half, PAIRS[3])[2]

    def off(gradient):
        return float((gradient.double() - exact).norm())

    assert off(found) < 1.2 * off(layers)


def test_other_heads_and_other_layouts_are_left_alone():
    maps = features(2, 2).flatten(0, 1)

    assert FoldedHeads.of(network(), maps.contiguous()) is None
    assert FoldedHeads.of(network("three_3x3convs"), maps) is None
    assert FoldedHeads.of(network(classification_head="linear"), maps) is None
    assert FoldedHeads.of(network(classification_head="difference"), maps) is None
    assert FoldedHeads.of(network(symmetric=False), maps) is None
    assert FoldedHeads.of(network(n_frames=3), maps) is None
