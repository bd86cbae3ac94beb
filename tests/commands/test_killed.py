"""A run that is killed, for real and more than once, goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", "import sys; from napari_tarrow.commands.train import main; sys.exit(main())"]
OPTIONS = (
    "--backbone unet_16fmaps --features 4 --size 16 --batchsize 4 --precision 32 --device cpu --epochs 4 --augment 5"
)
OPTIONS += (
    " --train_samples_per_epoch 40 --val_samples_per_epoch 8 --split_train 0 0.6 --split_val 0.6 1 --tensorboard no"
)


def start(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=300)
    assert process.returncode == 0


def losses(folder: Path) -> dict[str, dict[str, list[float]]]:
    values: dict[str, dict[str, list[float]]] = json.loads((folder / "losses.json").read_text())
    return values


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "moment", [0.05, pytest.param(0.4, marks=pytest.mark.slow), pytest.param(1.1, marks=pytest.mark.slow)]
)
def test_a_killed_run_is_resumed_digit_for_digit(tmp_path: Path, moment: float) -> None:
    movie = tmp_path / "movie.tif"
    rng = np.random.default_rng(0)
    tifffile.imwrite(movie, rng.integers(0, 1000, (10, 24, 28)).astype(np.uint16), metadata={"axes": "TYX"})
    common = ["--input_train", str(movie), *OPTIONS.split(), "-o", str(tmp_path)]
    finish(start(*common, "--name", "whole"))
    whole = losses(tmp_path / "whole_backbone_unet_16fmaps")

    folder = tmp_path / "killed_backbone_unet_16fmaps"
    process = start(*common, "--name", "killed")
    for waiting in range(2):
        assert process.stdout is not None
        for line in process.stdout:  # the first epoch, so that there is something to go on from
            if line.split()[:1] in (["1/4"], ["2/4"], ["3/4"]):
                break
        time.sleep(moment * (1 + waiting))
        process.kill()
        process.wait(60)
        process.stdout.close()
        process = start("--resume", str(folder))
    finish(process)
    assert losses(folder) == whole
    assert not list(folder.rglob("*.part"))
