"""Every slip on the command line or in the file: one sentence, exit code 2, nothing written."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.commands.train import main

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import FakeEngine

A = "--input_train a.tif"

LINES = [
    ("", "No movie is given. Name yours with --input_train MOVIE, or take a bundled one with --sample"),
    ("--sample cancer_cell_migratoin", "Did you mean 'cancer_cell_migration'?"),
    ("--sample nothing_like_it_at_all", "Choose one of: cancer_cell_migration."),
    (f"--sample cancer_cell_migration {A}", "Give one of them"),
    ("movie.tif", "'movie.tif' belongs to no option"),
    (f"{A} --epochs 5 7", "'7' belongs to no option"),
    (f"{A} --sise 64", "Did you mean --size?"),
    (f"{A} --batch-size 64", "Did you mean --batchsize?"),
    (f"{A} --gpus 0", "Did you mean --gpu?"),
    (f"{A} --qqqqq", "See --help"),
    (f"{A} -q", "Unknown option -q"),
    (f"{A} -epochs 5", "Write --epochs"),
    (f"{A} --size", "--size needs a value"),
    ("--input_train", "--input_train needs a value"),
    (f"{A} -c", "--config needs a value"),
    ("--resume", "--resume needs a value"),
    (f"{A} --size big", "--size is 'big'; it should be a whole number."),
    (f"{A} --size 1.5", "--size is 1.5; it should be a whole number."),
    (f"{A} --size ''", "--size is empty. Write something there"),
    (f"{A} --size 4", "--size is 4; it should be at least 8."),
    (f"{A} --size -64", "--size is -64; it should be at least 8."),
    (f"{A} --epochs 0", "--epochs is 0; it should be at least 1."),
    (f"{A} --batchsize 1", "--batchsize is 1; it should be at least 2."),
    (f"{A} --frames 1", "--frames is 1; it should be at least 2."),
    (f"{A} --augment 6", "--augment is 6; it should be at most 5 or 'auto'."),
    (f"{A} --subsample 0", "--subsample is 0; it should be at least 1 or 'auto'."),
    (f"{A} --channels -1", "--channels is -1; it should be at least 0."),
    (f"{A} --n_images 1", "--n_images is 1; it should be at least 2."),
    (f"{A} --seed -1", "--seed is -1; it should be at least 0."),
    (f"{A} --seed 99999999999999999999", "it should be at most 9223372036854775807."),
    (f"{A} --ndim 3", "--ndim is 3; it should be 2."),
    (f"{A} --lr fast", "--lr is 'fast'; it should be a number."),
    (f"{A} --lr 0", "--lr is 0; it should be above 0."),
    (f"{A} --lr nan", "--lr is nan; it should be a finite number."),
    (f"{A} --lr inf", "--lr is inf; it should be a finite number."),
    (f"{A} --minutes 0", "--minutes is 0; it should be above 0."),
    (f"{A} --minutes 5 --epochs 5", "Give one of them"),
    (f"{A} --change_mix 2", "--change_mix is 2; it should be at most 1."),
    (f"{A} --decor_loss=-1", "--decor_loss is -1; it should be at least 0."),
    (f"{A} --binarize perhaps", "--binarize is 'perhaps'; it should be yes or no."),
    (f"{A} --timestamp b.tif", "--timestamp is 'b.tif'; it should be yes or no."),
    (f"{A} --preset quick", "--preset is 'quick'; it should be 'paper' or 'interactive'."),
    (f"{A} --lr_scheduler cylic", "Did you mean cyclic?"),
    (f"{A} --normalize movies", "Did you mean movie?"),
    (f"{A} --precision 16", "--precision is 16; it should be 'auto', '32' or 'bf16'."),
    (f"{A} --patches random", "it should be 'uniform' or 'change'."),
    (f"{A} --delta 0", "delta is 0; give whole numbers from 1 on."),
    (f"{A} --delta 2 2", "delta is 2 2; give every time step once."),
    (f"{A} --delta 1 x", "--delta holds 'x'; it should be a whole number."),
    (f"{A} --delta auto 2", "--delta holds 'auto' beside other values; give it alone."),
    (f"{A} --split_train 0 0.5 0.7", "--split_train: 3 numbers cannot be paired"),
    (f"{A} --split_train 0.5", "--split_train: one number cannot be paired"),
    (f"{A} --split_train 0.9 0.1", "split_train is 0.9 0.1; give a start below an end"),
    (f"{A} --split_train 0 1.5", "both between 0 and 1"),
    (f"{A} --split_train 0 80%", "--split_train holds '80%'; it should be a number."),
    (f"{A} --cam_size 4", "--cam_size is 4; it should be at least 16."),
    (f"{A} --device tpu", "device is 'tpu'; it should be auto, cpu, cuda"),
    (f"{A} --device cuda:77", "cuda:77 is not there: this machine offers"),
    (f"{A} -g 3-1", "gpu is '3-1'; it should be a number"),
    (f"{A} -g cpu --device mps", "contradict each other"),
    (f"{A} --features 1{'0' * 30}", "it should be at most 100000."),
    (f"{A} --clip 1{'0' * 30}", "it should be at most 1000."),
    (f"{A} --epochs 1{'0' * 400}", "it should be at most 1000000000."),
    (f"{A} --read_recursion_level 1000000", "it should be at most 32."),
    ("--resume runs/a --size 64", "--size cannot be given with --resume"),
    ("--resume runs/a --config b.yaml", "--config cannot be given with --resume"),
    ("--resume runs/a --sample cancer_cell_migration", "--sample cannot be given with --resume"),
    ("--resume runs/a --num_workers few", "--num_workers is 'few'; it should be a whole number."),
]

FILES = [
    ("just some words", "holds a single value, not options"),
    ("- a\n- b", "holds a list, not options"),
    ("size: [1", "is no valid YAML"),
    ("input_train: a.tif\nsize:\t64\n\tlr: 1", "line 2 is no valid YAML"),
    ("input_train: a.tif\nsise: 64", "Unknown option sise in FILE. Did you mean size?"),
    ("input_train: a.tif\nsplit-val: [0.9, 1]", "Did you mean split_val?"),
    ("input_train: a.tif\n7: 64", "Unknown option 7 in FILE."),
    ("input_train: a.tif\nsize: 64\nsize: 32", "FILE gives size twice"),
    ("input_train: a.tif\nsize: big", "size in FILE is 'big'; it should be a whole number."),
    ("input_train: a.tif\nsize:", "size in FILE is empty; it should be a whole number."),
    ("input_train: a.tif\nepochs: yes", "epochs in FILE is 'yes'; it should be a whole number."),
    ("input_train: a.tif\nepochs: [1, 2]", "epochs in FILE is [1, 2]; it should be a whole number."),
    ("input_train: a.tif\ndelta: [1, true]", "delta in FILE holds 'yes'; it should be a whole number."),
    ("input_train: a.tif\ndelta: []", "delta is empty; give whole numbers from 1 on."),
    ("input_train: a.tif\nlr: .nan", "lr in FILE is nan; it should be a finite number."),
    ("input_train: a.tif\nbinarize: perhaps", "binarize in FILE is 'perhaps'; it should be yes or no."),
    ("input_train: a.tif\nbinarize: 2", "binarize in FILE is 2; it should be yes or no."),
    ("input_train: a.tif\nname: [a, b]", "it should be a text (put it in quotes)."),
    ("input_train: a.tif\nname: {a: 1}", "it should be a text (put it in quotes)."),
    ("input_train: a.tif\npreset: [paper]", "it should be 'paper' or 'interactive'."),
    ("input_train: a.tif\nsplit_train: half", "split_train in FILE is 'half'; it should be a list."),
    ("input_train: a.tif\nsplit_train: [0, 0.1, 0.2]", "split_train in FILE: 3 numbers cannot be paired"),
    ("input_train: a.tif\nsplit_train: [[0, x]]", "split_train in FILE holds 'x'; it should be a number."),
    ("input_train: a.tif\nsplit_val: []", "split_val is empty; give a start and an end"),
    ("input_train: {a: b}", "input_train in FILE holds {'a': 'b'}; it should be a text"),
    ("input_train: []", "No movie is given"),
    ("# nothing but a comment", "No movie is given"),
    ("input_train: a.tif\nname: 2023-99-99", "is no valid YAML"),
    ("input_train: a.tif\nsize: !!int abc", "is no valid YAML"),
    (f"input_train: a.tif\nsize: {'9' * 5000}", "is no valid YAML"),
    (f"input_train: a.tif\nseed: 0x{'f' * 5000}", "seed in FILE is a number of thousands of digits"),
    ("!!python/object/apply:os.mkdir ['runs']", "is no valid YAML"),
]


def refused(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command line that must be refused, and return its sentence."""
    before = sorted(tmp_path.rglob("*"))
    code = main(shlex.split(line))
    printed = capsys.readouterr()
    assert code == 2
    assert printed.err.startswith("napari-tarrow-train: error: ")
    assert printed.err.count("\n") == 1
    assert printed.err.endswith("\n")
    assert "Traceback" not in printed.err
    assert sorted(tmp_path.rglob("*")) == before
    return printed.err


@pytest.mark.parametrize(("line", "phrase"), LINES)
def test_a_bad_command_line_is_refused(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, phrase: str
) -> None:
    assert phrase in refused(line, tmp_path, capsys)


@pytest.mark.parametrize(("text", "phrase"), FILES)
def test_a_bad_file_is_refused(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, phrase: str
) -> None:
    (tmp_path / "options.yaml").write_text(text)
    assert phrase.replace("FILE", "options.yaml") in refused("-c options.yaml", tmp_path, capsys)


@pytest.mark.parametrize(
    ("name", "content", "phrase"),
    [
        ("absent.yaml", None, "absent.yaml cannot be read (No such file or directory)"),
        ("folder.yaml", "folder", "folder.yaml cannot be read"),
        ("binary.yaml", b"\x89PNG\r\n\x1a\n\x00\xff", "binary.yaml is no valid YAML"),
        ("deep.yaml", b"a: " + b"[" * 500, "deep.yaml is no valid YAML"),
    ],
)
def test_a_file_that_holds_no_text_is_refused(
    engine: FakeEngine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | str | None,
    phrase: str,
) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    assert phrase in refused(f"-c {name}", tmp_path, capsys)


def test_the_stand_in_trains_what_is_not_refused(engine: FakeEngine, tmp_path: Path) -> None:
    """Otherwise the tests above would pass whatever the command does."""
    assert main(shlex.split(A)) == 0
    assert (tmp_path / "runs").is_dir()
