"""Agreement with the reference implementation: layouts, logits, projections, embeddings, losses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.models import BACKBONES, TimeArrowNet, decorrelation_loss
from napari_tarrow.engine.models.classification import ClassificationHead
from napari_tarrow.engine.models.projection import ProjectionHead

GOLDEN = Path(__file__).parents[2] / "golden"
DESCRIBED = json.loads((GOLDEN / "golden.json").read_text())
NETWORKS = [name for name in DESCRIBED["networks"] if "/" not in name]
PROJECTIONS = [name for name in DESCRIBED["layouts"] if name.startswith("projection/")]
CLASSIFICATIONS = [name for name in DESCRIBED["layouts"] if name.startswith("classification/")]
with np.load(GOLDEN / "golden.npz") as stored:
    CASES = [key.rsplit("/", 1)[0] for key in stored.files if key.endswith("/logits")]


def layout_of(module):
    return {name: list(tensor.shape) for name, tensor in module.state_dict().items()}


def projection_head(name):
    mode = name.split("/")[1]
    return ProjectionHead(6, 6 if mode == "id" else 5, mode)


def classification_head(name):
    mode, frames = name.split("/")[1].rsplit("_T", 1)
    plain = mode.removesuffix("_symmetric")
    return ClassificationHead(6, int(frames), 5, plain, symmetric=plain != mode)


def input_of(golden, case):
    name, size = case.split("/")
    height, width = map(int, size.split("x"))
    kwargs = golden.networks[name]
    shape = (2, kwargs["n_frames"], kwargs["n_input_channels"], height, width)
    return golden.image(f"{name}({height}, {width})", shape)


def test_every_backbone_is_compared_with_the_reference():
    assert {DESCRIBED["networks"][name]["backbone"] for name in NETWORKS} == set(BACKBONES)


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_has_the_names_shapes_and_order_of_the_file_format(golden, name):
    model = TimeArrowNet(**golden.networks[name])

    assert layout_of(model) == golden.layouts[name]
    assert list(model.state_dict()) == list(golden.layouts[name])


@pytest.mark.parametrize("name", PROJECTIONS + CLASSIFICATIONS)
def test_heads_have_the_names_and_shapes_of_the_file_format(golden, name):
    head = projection_head(name) if name in PROJECTIONS else classification_head(name)

    assert layout_of(head) == golden.layouts[name]


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_logits_projections_and_evidence_agree(golden, case):
    model = golden.network(case.split("/")[0])

    logits, projections = model(input_of(golden, case), mode="both")

    golden.compare(logits, f"{case}/logits")
    golden.compare(projections[:1], f"{case}/projections")
    golden.compare(model.evidence(projections).mean((-2, -1)), f"{case}/logits")


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith(("unet_16fmaps/", "lnet/", "resnet32/"))])
@torch.no_grad()
def test_channels_last_gives_the_same_and_stays_channels_last(golden, case):
    name = case.split("/")[0]
    model = golden.fill(TimeArrowNet(**golden.networks[name]), name).to(memory_format=torch.channels_last)

    logits, projections = model(input_of(golden, case), mode="both")

    golden.compare(logits, f"{case}/logits")
    golden.compare(projections[:1], f"{case}/projections")
    hidden = model.classification_head.layers(projections)
    for maps in (projections, hidden):
        assert maps.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_bfloat16_autocast_gives_float32_logits_near_the_exact_ones(golden):
    case = "unet_16fmaps/48x40"

    with torch.autocast("cpu", torch.bfloat16):
        logits, projections = golden.network("unet_16fmaps")(input_of(golden, case), mode="both")
        loss = decorrelation_loss(projections)

    assert (logits.dtype, projections.dtype, loss.dtype) == (torch.float32, torch.bfloat16, torch.float32)
    golden.compare(logits, f"{case}/logits", rtol=0.05)


@pytest.mark.parametrize("case", ["unet/48x40", "unet_16fmaps_three/48x40"])
@torch.no_grad()
def test_embeddings_of_every_layer_agree_and_one_more_is_refused(golden, case):
    model, x = golden.network(case.split("/")[0]), input_of(golden, case)
    layers = len([key for key in golden.arrays if key.startswith(f"{case}/embedding_layer")])

    golden.compare(model.embedding(x)[:1], f"{case}/projections")
    for key in (key for key in golden.arrays if key.startswith(f"{case}/embedding_layer")):
        golden.compare(model.embedding(x, layer=int(key[-1]))[:1], key)
    assert layers > 0
    with pytest.raises(UserError, match="feature layers"):
        model.embedding(x, layer=6 if "three" in case else 2)
    with pytest.raises(UserError, match="feature layers"):
        model.embedding(x, layer=-1)


@torch.no_grad()
def test_embedding_takes_any_number_of_samples_and_frames(golden):
    model = golden.network("unet_16fmaps")
    x = input_of(golden, "unet_16fmaps/48x40")

    single = model.embedding(x.reshape(1, 4, 1, 48, 40)[:, :3])

    torch.testing.assert_close(single.flatten(0, 1), model.embedding(x).flatten(0, 1)[:3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PROJECTIONS)
@torch.no_grad()
def test_projection_heads_agree(golden, name):
    head = golden.fill(projection_head(name), name)

    result = head(golden.image("heads", (2, 3, 6, 12, 10)).flatten(0, 1))

    golden.compare(result.unflatten(0, (2, 3)), name)


@pytest.mark.parametrize("name", CLASSIFICATIONS)
@torch.no_grad()
def test_classification_heads_agree_and_their_evidence_has_the_logits_as_mean(golden, name):
    head, frames = golden.fill(classification_head(name), name), int(name[-1])
    big = golden.image("heads_big", (2, frames, 6, 64, 64))
    x = big if "resnet18" in name else golden.image("heads", (2, 3, 6, 12, 10))[:, :frames]

    golden.compare(head(x), name)
    golden.compare(head.evidence(x).mean((-2, -1)), name)


@pytest.mark.parametrize(("key", "scale"), [("a", 0.05), ("b", 1.0)])
def test_decorrelation_loss_agrees(golden, key, scale):
    maps = scale * (golden.image("decor", (4, 8, 12, 10)) - 0.5)

    golden.compare(decorrelation_loss(maps), f"decorrelation/{key}")
    golden.compare(decorrelation_loss(maps.unflatten(0, (2, 2))), f"decorrelation/{key}")


@pytest.mark.parametrize(("backbone", "parameters"), [("unet", 1_955_682), ("unet_16fmaps", 493_698)])
def test_default_networks_have_the_published_number_of_parameters(backbone, parameters):
    model = TimeArrowNet(backbone, n_features=32, symmetric=True)

    assert sum(p.numel() for p in model.parameters()) == parameters
