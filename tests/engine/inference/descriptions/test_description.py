"""What a folder says of its model: ours, the reference's, and folders that are not quite whole."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import yaml

from napari_tarrow.engine.config import TrainConfig, UseConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.descriptions.description import describe_model
from napari_tarrow.engine.inference.descriptions.history import Epoch
from napari_tarrow.engine.inference.descriptions.rows import model_rows
from napari_tarrow.engine.inference.opening import open_for
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import open_prepared
from napari_tarrow.engine.trained import read_trained
from napari_tarrow.engine.training.monitors.losses import LossFile
from napari_tarrow.engine.training.monitors.table import MetricsTable
from napari_tarrow.engine.training.plan import Plan
from napari_tarrow.engine.training.run_folder import write_run
from napari_tarrow.engine.training.updates import EpochEnded, Metrics

VAL = [0.69, 0.625, 0.64]


def metrics(loss):
    return Metrics(
        loss=loss, loss_decorr=1.0, accuracy=1 - loss, accuracy_change=0.5, pred1_ratio=0.5, lr=1e-3, steps=10
    )


def epochs(val=VAL):
    best = int(np.argmin(val)) + 1
    return [
        EpochEnded(i, 4, metrics(loss - 0.125), metrics(loss), i == best, best, 320 * i, 40.0 * i)
        for i, loss in enumerate(val, 1)
    ]


def network(**arguments):
    torch.manual_seed(0)
    return TimeArrowNet(**{"backbone": "unet_16fmaps", "n_features": 6, "symmetric": True, **arguments})


def run_folder(folder, **options):
    """Write a run folder as training does, stopped after three of four epochs."""
    options = {"input_train": "a.tif", "subsample": 2, "delta": (4, 8), "init": "runs/old"} | options
    config = TrainConfig(preset="interactive", **options)
    movie = open_prepared(config, np.random.default_rng(0).integers(0, 99, (5, 40, 60)).astype(np.uint16))
    write_run(folder, config, Plan(4, 10, 64, "bf16", 100.0), network(), [(movie, "abc")])
    MetricsTable(folder / "metrics.csv", epochs())
    LossFile(folder / "losses.json", epochs())
    return folder


@pytest.fixture
def ours(tmp_path):
    return run_folder(tmp_path / "run")


def test_epochs_of_a_run_with_minutes_are_of_no_number(tmp_path):
    def effort(folder):
        return dict(model_rows(describe_model(folder)))["Training"]

    assert effort(run_folder(tmp_path / "epochs")).startswith("3 of 4 epochs, ")
    assert effort(run_folder(tmp_path / "minutes", minutes=5)).startswith("3 epochs, ")


NOTHING = (
    "The network has learnt next to nothing (loss of training 0.693, of guessing 0.693): its maps show"
    " little more than where much changes."
)
BY_HEART = (
    "On frames that it did not train on the network is no better than guessing (loss 0.700, accuracy 0.50): it may"
    " know its own frames by heart. Their events may be right all the same; look at the strongest first."
)


@pytest.mark.parametrize(
    ("accuracy", "val_loss", "sentence"), [(0.51, 0.7, NOTHING), (0.54, 0.7, BY_HEART), (0.54, 0.68, None)]
)
def test_a_network_that_has_learnt_nothing_says_so_wherever_it_is_used(accuracy, val_loss, sentence, tmp_path):
    folder = run_folder(tmp_path / "run", delta=1)
    (folder / "metrics.csv").unlink()
    losses = {"train": {"loss": [0.6931], "accuracy": [accuracy]}, "val": {"loss": [val_loss], "accuracy": [0.5]}}
    (folder / "losses.json").write_text(json.dumps(losses))
    noted = [("Note", sentence)] if sentence else []
    assert [row for row in model_rows(describe_model(folder)) if row[1] in (NOTHING, BY_HEART)] == noted
    movie = np.random.default_rng(0).integers(0, 99, (5, 40, 60)).astype(np.uint16)
    _, notices = open_for(read_trained(folder), UseConfig(model=str(folder), movie="array"), movie)
    assert [one for one in notices if one in (NOTHING, BY_HEART)] == ([sentence] if sentence else [])


@pytest.fixture
def reference(tmp_path):
    """A folder as the reference leaves it."""
    folder = tmp_path / "hela_backbone_unet"
    write_model(folder, network(backbone="unet", n_features=32))
    arguments = {
        "input_train": ["/data/hela/01", "/data/hela/02"],
        "split_train": ((0.1, 0.5), (0.6, 1.0)),  # tuples, which YAML of its own does not know
        "split_val": ([0.0, 0.1],),
        "delta": [4],
        "epochs": 200,
        "train_samples_per_epoch": 50000,
        "gpu": "0",
        "subsample": 1,
    }
    (folder / "train_args.yaml").write_text(yaml.dump(arguments))
    keys = "loss", "loss_decorr", "accuracy", "pred1_ratio", "lr"
    curves = {"train": {key: [0.5, 0.6] for key in keys}, "val": {key: [0.7, 0.65] for key in keys}}
    for part in curves.values():
        part["steps"] = [658, 987]
    (folder / "losses.json").write_text(json.dumps(curves))
    return folder


def test_a_run_of_ours_is_described(ours):
    model = describe_model(ours)

    assert model.ours
    assert model.network == {
        "backbone": "unet_16fmaps", "projection_head": "minimal_batchnorm", "classification_head": "minimal",
        "n_frames": 2, "n_features": 6, "n_input_channels": 1, "symmetric": True,
    }  # fmt: skip
    assert model.parameters == sum(p.numel() for p in network().parameters())
    assert model.receptive_field == network().receptive_field
    assert (model.downscale, model.deltas, model.preparation.subsample) == (1, (4, 8), 2)
    assert model.movies == ("array (5 frames of 40 x 60, uint16)",)
    assert (model.history.pairs, model.history.seconds) == (960, 120.0)
    assert model.history.best == Epoch(2, 0.5, 0.5, 0.625, 0.375)
    assert {"model_state.pt", "run.yaml", "checkpoints/ (0 files)"} <= set(model.files)
    assert model.notices == ()


def test_a_run_of_ours_in_words(ours):
    rows = dict(model_rows(describe_model(ours)))
    side = network().receptive_field

    assert rows["Network"] == f"unet_16fmaps, {sum(p.numel() for p in network().parameters()):,} parameters"
    assert rows["Heads"] == "projection minimal_batchnorm; classification minimal, permutation-equivariant"
    assert rows["Takes"] == "2 frames of 1 channel"
    assert rows["Embedding"] == "6 features for every pixel"
    assert rows["Receptive field"] == f"{side} x {side} pixels ({2 * side} x {2 * side} of the movie)"
    assert rows["Preparation"].endswith("smoothed over time; blocks of 2 x 2 pixels averaged")
    assert rows["Parts"] == "training 0 to 0.9; validation 0.9 to 1"
    assert rows["Started from"] == "runs/old"
    assert rows["Time steps"] == "4, 8 frames"
    effort = "3 of 4 epochs, 960 pairs, 2.0 min, on cpu, bfloat16 arithmetic, preset interactive"
    assert rows["Training"] == effort
    assert rows["Best epoch"] == "2: loss 0.625 in validation, 0.500 in training; accuracy 0.375 and 0.500"
    assert rows["Last epoch"].startswith("3: loss 0.640")
    assert rows["Made by"].startswith("napari-tarrow 0")


def test_a_folder_of_the_reference_is_described(reference):
    model = describe_model(reference)
    rows = dict(model_rows(model))

    assert not model.ours
    assert model.parameters == 1_955_682
    assert (model.history.pairs, model.history.seconds) == (100_000, None)
    assert rows["Made by"].startswith("the reference implementation")
    assert rows["Trained on"] == "/data/hela/01; /data/hela/02"
    assert rows["Parts"] == "training 0.1 to 0.5 and 0.6 to 1; validation 0 to 0.1"
    assert rows["Time steps"] == "4 frames"
    assert rows["Training"] == "2 of 200 epochs, 100,000 pairs"
    assert rows["Best epoch"] == "2: loss 0.650 in validation, 0.600 in training; accuracy 0.650 and 0.600"


def test_weights_and_arguments_alone_are_enough(tmp_path):
    write_model(tmp_path, network(n_input_channels=2, symmetric=False, classification_head="minimal"))

    rows = dict(model_rows(describe_model(tmp_path)))

    assert rows["Heads"] == "projection minimal_batchnorm; classification minimal"
    assert rows["Takes"] == "2 frames of 2 channels"
    assert (rows["Trained on"], rows["Training"]) == ("not known", "no epoch is recorded")
    assert rows["Time steps"] == "1 frame"
    assert rows["Files"] == "model_kwargs.yaml, model_state.pt"
    assert "Best epoch" not in rows


@pytest.mark.parametrize(
    ("backbone", "embedding", "field"),
    [("fpn_resnet", "every pixel", "the whole image"), ("resnet18", "every 32 x 32 pixels", None)],
)
def test_networks_that_see_the_whole_image_or_are_coarse_say_so(tmp_path, backbone, embedding, field):
    write_model(tmp_path, network(backbone=backbone))

    model = describe_model(tmp_path)

    rows = dict(model_rows(model))
    assert rows["Embedding"] == f"6 features for {embedding}"
    assert rows["Receptive field"] == (field or f"{model.receptive_field} x {model.receptive_field} pixels")


def test_all_values_can_be_written_as_json(ours):
    values = json.loads(json.dumps(describe_model(ours).values(), allow_nan=False))

    assert values["best_epoch"]["number"] == 2
    assert [epoch["val_loss"] for epoch in values["history"]["epochs"]] == VAL
    assert values["run"]["plan"]["epochs"] == 4


def test_a_loss_that_is_no_number_is_unknown_and_never_the_best(reference):
    values = json.loads((reference / "losses.json").read_text())
    values["val"]["loss"] = [math.nan, 0.9]
    (reference / "losses.json").write_text(json.dumps(values))

    history = describe_model(reference).history

    assert (history.epochs[0].val_loss, history.best.number) == (None, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        '{"train": {"loss": [1]}}',
        '{"train": 3, "val": {}}',
        '{"train": {"loss": ["a"]}}',
        "[" * 99999,
    ],
)
def test_damaged_losses_are_a_notice_and_the_rest_is_told(reference, text):
    (reference / "losses.json").write_text(text)

    model = describe_model(reference)

    assert model.history is None
    [notice] = model.notices
    assert notice == f"{reference / 'losses.json'} is damaged; without it the losses are not known."


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,2\n", "epoch,pairs_seen,seconds\n"])
def test_where_the_table_is_damaged_the_losses_are_taken(ours, text):
    (ours / "metrics.csv").write_text(text)

    model = describe_model(ours)

    assert [epoch.val_loss for epoch in model.history.epochs] == VAL
    assert len(model.notices) == 1
    assert "metrics.csv" in model.notices[0]


def test_a_run_that_has_not_ended_an_epoch_is_described(ours):
    header = (ours / "metrics.csv").read_text().splitlines()[0]
    (ours / "metrics.csv").write_text(header + "\n")

    assert dict(model_rows(describe_model(ours)))["Training"] == "no epoch is recorded"


@pytest.mark.parametrize("changes", [{"movies": 3}, {"movies": [{"name": "a"}]}, {"plan": None, "machine": [1]}])
def test_a_record_that_somebody_changed_says_what_it_still_says(ours, changes):
    values = yaml.safe_load((ours / "run.yaml").read_text()) | changes
    (ours / "run.yaml").write_text(yaml.safe_dump(values))

    rows = dict(model_rows(describe_model(ours)))

    assert rows["Trained on"] in ("array (5 frames of 40 x 60, uint16)", "a.tif")
    assert rows["Network"].startswith("unet_16fmaps")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model_state.pt", b"PK", "model_state.pt is damaged"),
        ("model_kwargs.yaml", b"backbone: [", "is no valid YAML"),
        ("run.yaml", b"format: 1\n", "has no section config: it is damaged"),
        ("run.yaml", b"format: 7\n", "has format 7"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_sentence(ours, name, content, sentence):
    (ours / name).write_bytes(content)

    with pytest.raises(UserError, match=sentence):
        describe_model(ours)
