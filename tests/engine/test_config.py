"""The options of training: the reference's names and defaults, and what does not go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tarrow.engine.config import INTERACTIVE, TrainConfig
from napari_tarrow.engine.errors import UserError

# As in the reference's train.py; the parts, which it demands, have defaults here.
REFERENCE: dict[str, Any] = {
    "name": None,
    "input_val": None,
    "read_recursion_level": 0,
    "epochs": 200,
    "seed": 42,
    "backbone": "unet",
    "projhead": "minimal_batchnorm",
    "classhead": "minimal",
    "perm_equiv": True,
    "features": 32,
    "n_images": None,
    "outdir": "runs",
    "size": 96,
    "cam_size": None,
    "batchsize": 128,
    "train_samples_per_epoch": 100_000,
    "val_samples_per_epoch": 10_000,
    "channels": 0,
    "reject_background": False,
    "cam_subsampling": 3,
    "write_final_cams": False,
    "augment": 5,
    "subsample": 1,
    "delta": (1,),
    "frames": 2,
    "lr": 1e-4,
    "lr_scheduler": "cyclic",
    "lr_patience": 50,
    "ndim": 2,
    "binarize": False,
    "decor_loss": 0.01,
    "save_checkpoint_every": 25,
    "num_workers": 8,
    "gpu": None,
    "tensorboard": True,
    "visual_dataset_frequency": 10,
    "timestamp": False,
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_s_options_keep_their_defaults(name: str) -> None:
    assert getattr(TrainConfig.from_values({}), name) == REFERENCE[name]
    assert TrainConfig.from_values({"preset": "paper"}) == TrainConfig.from_values({})


def test_the_reference_s_short_forms_are_there() -> None:
    extras: dict[str, Any] = {name: field.json_schema_extra for name, field in TrainConfig.model_fields.items()}
    assert {name: extra["flag"] for name, extra in extras.items() if extra["flag"]} == {
        "epochs": "-e",
        "gpu": "-g",
        "outdir": "-o",
    }


@pytest.mark.parametrize("name", TrainConfig.model_fields)
def test_every_option_is_described(name: str) -> None:
    field = TrainConfig.model_fields[name]
    extra: Any = field.json_schema_extra
    assert field.title
    assert field.title[0].isupper()
    assert field.description
    assert re.fullmatch(r"[A-Z].*\.", field.description)
    assert extra["group"] in {"Movie", "Network", "Patches", "Training", "Machine", "Output"}


def test_every_preset_is_valid_and_named_by_the_option() -> None:
    for name, values in TrainConfig.presets.items():
        config = TrainConfig.from_values({"preset": name})
        assert all(getattr(config, option) == value for option, value in values.items())
    with pytest.raises(UserError) as error:
        TrainConfig.from_values({"preset": "-"})
    assert [f"'{name}'" in str(error.value) for name in TrainConfig.presets] == [True, True]
    assert INTERACTIVE.keys() < TrainConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ([0, 0.1], ((0.0, 0.1),)),
        ([[0, 0.1]], ((0.0, 0.1),)),
        ([0, 0.1, 0.2, 0.5], ((0.0, 0.1), (0.2, 0.5))),
        ([[0, 0.1], [0.2, 0.5]], ((0.0, 0.1), (0.2, 0.5))),
        ([[0, 0.1, 0.2, 0.5]], ((0.0, 0.1), (0.2, 0.5))),
        ([[0, 0.1], 0.2, "0.5"], ((0.0, 0.1), (0.2, 0.5))),
    ],
)
def test_parts_may_be_written_flat_or_in_pairs(value: object, pairs: object) -> None:
    assert TrainConfig.from_values({"split_train": value}).split_train == pairs


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("input_train", "a.tif", ("a.tif",)),
        ("input_val", ["a.tif", "b"], ("a.tif", "b")),
        ("delta", 4, (4,)),
        ("delta", "4", (4,)),
        ("gpu", 0, "0"),
        ("name", 2023, "2023"),
        ("precision", 32, "32"),
        ("ndim", "2", 2),
        ("lr", "1e-4", 1e-4),
        ("minutes", None, None),
    ],
)
def test_what_a_file_may_hold_is_taken(name: str, value: object, taken: object) -> None:
    assert getattr(TrainConfig.from_values({name: value}), name) == taken


@pytest.mark.parametrize("word", [True, 1, "yes", "Yes", "TRUE", "true", "t", "y", "1"])
def test_a_yes_is_a_yes(word: object) -> None:
    assert TrainConfig.from_values({"binarize": word}).binarize is True


@pytest.mark.parametrize("word", [False, 0, "no", "No", "FALSE", "false", "f", "n", "0"])
def test_a_no_is_a_no(word: object) -> None:
    assert TrainConfig.from_values({"tensorboard": word}).tensorboard is False


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"split_train": [0, 0.5, 1]},
            "split_train: 3 numbers cannot be paired; give a start and an end for each part.",
        ),
        ({"split_val": 0.9}, "split_val is 0.9; it should be a list."),
        ({"split_train": [0.5, 0.5]}, "split_train is 0.5 0.5; give a start below an end, both between 0 and 1."),
        ({"split_val": [0.9, 1.1]}, "split_val is 0.9 1.1; give a start below an end, both between 0 and 1."),
        ({"split_train": []}, "split_train is empty; give a start and an end, such as 0 0.9."),
        ({"delta": []}, "delta is empty; give whole numbers from 1 on."),
        ({"delta": [1, 0]}, "delta is 1 0; give whole numbers from 1 on."),
        ({"delta": [3, 3]}, "delta is 3 3; give every time step once."),
        ({"ndim": 3}, "ndim is 3; it should be 2."),
        ({"precision": 64}, "precision is 64; it should be 'auto', '32' or 'bf16'."),
        ({"seed": 2**63}, "seed is 9223372036854775808; it should be at most 9223372036854775807."),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        TrainConfig.from_values(values)
    assert str(error.value) == sentence


def test_parts_and_time_steps_may_be_arrays() -> None:
    config = TrainConfig.from_values({"delta": np.array([1, 2]), "split_train": np.array([[0, 0.5]])})
    assert config == TrainConfig.from_values({"delta": [1, 2], "split_train": [0, 0.5]})


def test_paths_may_be_paths() -> None:
    config = TrainConfig.from_values({"input_train": [Path("a.tif"), "b.tif"], "outdir": Path("runs") / "x"})
    assert config.input_train == ("a.tif", "b.tif")
    assert config.outdir == str(Path("runs") / "x")


def test_a_clip_has_the_frames_of_a_sequence_unless_more_are_asked_for() -> None:
    assert TrainConfig.from_values({"frames": 3}).clip_frames == 3
    assert TrainConfig.from_values({"frames": 2, "clip": 5}).clip_frames == 5
    assert TrainConfig.from_values({"frames": 4, "preset": "interactive"}).clip_frames == 4


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(8, 10**6),
    lr=st.floats(1e-12, 1e3),
    delta=st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True),
    end=st.floats(0.001, 0.9),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20) | st.none(),
    binarize=st.booleans(),
)
def test_a_configuration_survives_yaml(**values: Any) -> None:
    end = values.pop("end")
    config = TrainConfig.from_values({"input_train": ["a.tif"], "split_train": [0, end], **values})
    written = yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True)
    assert TrainConfig.from_values(yaml.safe_load(written)) == config


def test_a_preset_counts_however_the_configuration_is_made() -> None:
    direct = TrainConfig(preset="interactive", size=64)
    assert direct == TrainConfig.from_values({"preset": "interactive", "size": 64})
    assert direct.backbone == "unet_16fmaps"
