"""What is only found once the engine looks: one sentence, exit code 2, no run folder left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch

from napari_tarrow.commands.train import main
from napari_tarrow.engine.files import read_yaml, write_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = "--backbone unet_16fmaps --features 4 --size 16 --batchsize 4 --precision 32 --device cpu --epochs 1"
TINY += " --train_samples_per_epoch 8 --val_samples_per_epoch 8 --num_workers 0 --tensorboard no"
SPLITS: dict[str, list[str]] = {"--split_train": ["0", "0.6"], "--split_val": ["0.6", "1"]}


def tiny(options: str = "") -> list[str]:
    """Options of a tiny run, and those given; a repeated split would be added."""
    words = [*TINY.split(), *options.split()]
    for name, part in SPLITS.items():
        words += [name, *part] * (name not in words)
    return words


def write(path: Path, shape: tuple[int, ...] = (10, 24, 28), **options: Any) -> str:
    frames = np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)
    tifffile.imwrite(path, frames, metadata={"axes": "TCYX"[-len(shape) :] if len(shape) == 4 else "TYX"}, **options)
    return str(path)


@pytest.fixture
def movie(tmp_path: Path) -> str:
    return write(tmp_path / "movie.tif")


@pytest.fixture
def run(movie: str, tmp_path: Path) -> Path:
    """A finished run."""
    assert main(["--input_train", movie, *tiny(), "-o", str(tmp_path / "good"), "--name", "run"]) == 0
    return tmp_path / "good" / "run_backbone_unet_16fmaps"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command and return its one line of error."""
    capsys.readouterr()
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("napari-tarrow-train: error: ")
    assert error.count("\n") == 1
    assert error.rstrip().endswith((".", "?"))
    return error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--delta 20", "no clip for training at delta 20"),
        ("--delta 1 5", "no clip for validation at delta 5"),
        ("--clip 7", "no clip for training at delta 1: 7 frames"),
        ("--frames 7", "no clip for training"),
        ("--split_train 0 0.05", "leave 0 from 0 to 0.05"),
        ("--split_val 0.95 1", "no clip for validation"),
        ("--split_val 0.5 1", "split_train 0 0.6 and split_val 0.5 1 of movie overlap"),
        ("--split_train 0 0.8 --split_train 0.7 1", "overlap"),
        ("--name a/b", "which is a path"),
        ("--delta 100000000000000000000", "delta"),
        ("--n_images 3", "no clip"),
        ("--channels 2", "channels"),
        ("--subsample 4", "too small to learn from"),
        ("--subsample 30", "smaller than one block"),
        ("--backbone unett", "unet"),
        ("--projhead minimal", "minimal_batchnorm"),
        ("--classhead minimum", "minimal"),
        ("--classhead difference --frames 3 --clip 3", "takes 2 frames"),
        ("--perm_equiv no --classhead linear", "linear"),
        ("--device cuda:77", "cuda:77 is not there"),
        ("--device auto --gpu 55", "is not there"),
        ("--device quantum", "quantum"),
        ("--init nowhere", "nowhere is no folder"),
        ("--input_val nowhere.tif", "nowhere.tif"),
        ("--axes ZYX", "Z"),
        ("--axes XYT", "Give axes that end with Y and X"),
        (f"--name {'n' * 300}", "cannot be written"),
        (f"--init {'x' * 300}", "no path that can be used"),
        ("--init ~nobody_of_this_name", "no path that can be used"),
        (f"--input_val {'x' * 300}", "no path that can be used"),
        ("--input_val ~nobody_of_this_name/a.tif", "no path that can be used"),
        ("--frame_numbers nowhere.txt", "nowhere.txt"),
        ("--lr 1e30 --lr_scheduler constant --epochs 20", "no longer a number"),
    ],
)
def test_an_option_that_does_not_fit_the_movie(
    options: str, said: str, movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outdir = tmp_path / "out"
    words = tiny(options)
    assert said in refused(capsys, "--input_train", movie, "-o", str(outdir), *words)
    if "lr" not in options:  # there the run had begun
        assert not outdir.exists() or not list(outdir.iterdir())


def bad_movies(folder: Path) -> Iterator[tuple[str, str]]:
    """Movies that cannot be trained on, and what is said of each."""
    rng = np.random.default_rng(0)
    (folder / "empty.tif").touch()
    yield str(folder / "empty.tif"), "empty.tif"
    cut = folder / "cut.tif"
    cut.write_bytes((folder / "movie.tif").read_bytes()[:4000])
    yield str(cut), "cut.tif"
    tifffile.imwrite(folder / "one.tif", np.ones((1, 24, 28), np.uint16))
    yield str(folder / "one.tif"), "one picture"
    nan = rng.random((10, 24, 28)).astype(np.float32)
    nan[4, 3, 3] = np.nan
    tifffile.imwrite(folder / "nan.tif", nan, metadata={"axes": "TYX"})
    yield str(folder / "nan.tif"), "Frame 4"
    tifffile.imwrite(folder / "flat.tif", np.full((10, 24, 28), 7, np.uint16), metadata={"axes": "TYX"})
    yield str(folder / "flat.tif"), "shows nothing"
    tifffile.imwrite(folder / "complex.tif", rng.random((10, 24, 28)).astype(np.complex64), metadata={"axes": "TYX"})
    yield str(folder / "complex.tif"), "complex"
    mixed = folder / "mixed"
    mixed.mkdir()
    for t in range(6):
        tifffile.imwrite(mixed / f"t{t:03d}.tif", np.ones((24, 28 + (t == 4)), np.uint16) * t)
    yield str(mixed), "t004.tif is 24 x 29"
    (folder / "nothing").mkdir()
    yield str(folder / "nothing"), "nothing"
    (folder / "notes.txt").write_text("no movie")
    yield str(folder / "notes.txt"), "notes.txt"


@pytest.mark.parametrize("number", range(9))
def test_a_movie_that_cannot_be_trained_on(
    number: int, movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, said = list(bad_movies(tmp_path))[number]
    error = refused(capsys, "--input_train", path, "-o", str(tmp_path / "out"), *tiny())
    assert said in error
    assert not (tmp_path / "out").exists()


def test_movies_of_different_channels(movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = write(tmp_path / "two.tif", (10, 2, 24, 28))
    words = ["--input_train", two, "--input_val", movie, "--channels", "2", *tiny(), "-o", str(tmp_path / "out")]
    assert "channel" in refused(capsys, *words)


def test_the_same_movie_as_validation_under_another_name(
    movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "." / "sub" / ".." / "movie.tif")
    (tmp_path / "sub").mkdir()
    splits = ["--split_train", "0", "1", "--split_val", "0", "1"]
    words = ["--input_train", movie, "--input_val", other, *TINY.split(), *splits, "-o", str(tmp_path / "out")]
    assert "overlap" in refused(capsys, *words)


def test_an_outdir_that_is_a_file(movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert "file" in refused(capsys, "--input_train", movie, *tiny(), "-o", str(tmp_path / "file"))


@pytest.mark.parametrize("outdir", ["~nobody_of_this_name/runs", "o" * 300])
def test_an_outdir_that_cannot_be(outdir: str, movie: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no path that can be used" in refused(capsys, "--input_train", movie, *tiny(), "-o", outdir)


def test_a_name_that_no_folder_should_have(movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a\0b", "a\nb"):
        words = ["--input_train", movie, *tiny(), "-o", str(tmp_path / "out"), "--name", name]
        assert "Give a --name without such characters" in refused(capsys, *words)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_outdir_that_cannot_be_written(movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in refused(capsys, "--input_train", movie, *tiny(), "-o", str(tmp_path / "locked"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a small tmpfs")
@pytest.mark.parametrize("kilobytes", [40, 400, 2500])
def test_a_full_disk(kilobytes: int, movie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    try:
        error = refused(capsys, "--input_train", movie, *tiny(), "-o", str(disk))
        assert "disk is full" in error
        assert not list(disk.rglob(".*.part"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_cannot_be_resumed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = run / "checkpoints" / "last.pt"
    whole = last.read_bytes()
    assert "is no folder" in refused(capsys, "--resume", str(tmp_path / "nowhere"))
    assert "has no run.yaml" in refused(capsys, "--resume", str(tmp_path))

    last.write_bytes(whole[: len(whole) // 2])
    assert "last.pt is damaged" in refused(capsys, "--resume", str(run))

    torch.save({"step": Dangerous()}, last)
    assert "last.pt is damaged" in refused(capsys, "--resume", str(run))
    assert not Dangerous.ran

    saved = torch.load(_restored(last, whole), weights_only=True)
    saved["model"] = {name: value[:1] for name, value in saved["model"].items() if value.ndim}
    torch.save(saved, last)
    assert "another network" in refused(capsys, "--resume", str(run))

    _restored(last, whole)
    record = run / "run.yaml"
    text = record.read_text()
    record.write_text(text.replace("features: 4", "features: 5"))
    assert "another network" in refused(capsys, "--resume", str(run))
    record.write_text(text.replace("features:", "featurs:"))
    assert "featurs" in refused(capsys, "--resume", str(run))
    record.write_text("- no\n- mapping\n")
    assert "run.yaml" in refused(capsys, "--resume", str(run))
    record.write_text("plan: 3\n")
    assert "run.yaml is damaged" in refused(capsys, "--resume", str(run))
    record.write_text(text)

    movie = tmp_path / "movie.tif"
    tifffile.imwrite(
        movie, np.zeros((10, 24, 28), np.uint16) + np.arange(28, dtype=np.uint16), metadata={"axes": "TYX"}
    )
    assert "has changed" in refused(capsys, "--resume", str(run))
    movie.unlink()
    assert "movie.tif" in refused(capsys, "--resume", str(run))


@pytest.mark.parametrize(
    ("section", "entry", "value", "said"),
    [
        (None, "format", 2, "has format 2"),
        ("plan", "epochs", None, "epochs is None"),
        ("plan", "epochs", -3, "epochs is -3"),
        ("plan", "steps_per_epoch", "x", "steps_per_epoch is 'x'"),
        ("plan", "val_samples", 2.5, "val_samples is 2.5"),
        ("plan", "precision", "16", "precision is '16'"),
        ("plan", "seconds", "x", "seconds is 'x'"),
    ],
)
def test_a_record_that_was_changed(
    section: str | None, entry: str, value: Any, said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_yaml(run / "run.yaml")
    (record[section] if section else record)[entry] = value
    write_yaml(run / "run.yaml", record)
    assert said in refused(capsys, "--resume", str(run))


def test_a_checkpoint_that_was_changed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = run / "checkpoints" / "last.pt"
    whole = torch.load(last, weights_only=True)
    for change in (
        {"step": "x"},
        {"step": -5},
        {"step": 10**6},
        {"seconds": "x"},
        {"history": None},
        {"history": whole["history"] * 2},
        {"sums": [1]},
        {"sums": torch.zeros(2)},
        {"optimiser": None},
        {"optimiser": {}},
        {"optimiser": {**whole["optimiser"], "param_groups": []}},
        {"model": None},
        {"model": dict.fromkeys(whole["model"], 3)},
    ):
        torch.save({**whole, **change}, last)
        assert "last.pt is damaged" in refused(capsys, "--resume", str(run)), change
    last.write_bytes(b"")
    assert "last.pt is damaged" in refused(capsys, "--resume", str(run))


class Dangerous:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Dangerous, "ran", True)


def _restored(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
