"""An embedding that is killed, for real and at any moment, becomes what it would have been."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_tarrow.engine.inference.stores.ledger import read_ledger
from napari_tarrow.engine.models import TimeArrowNet, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows can neither fork nor SIGKILL")

# Imports once, and does every command line it is given in a process of its own.
SERVER = """
import json, os, sys
import zarr, tifffile
import napari_tarrow.commands.progress
import napari_tarrow.engine.inference.stores
from napari_tarrow.commands.embed import main
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.dup2(2, 1)
        os._exit(main(json.loads(line)))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Commands:
    """Runs the command in processes that may be killed."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.seconds = 0.0  # that the last one took
        self._server = subprocess.Popen([sys.executable, "-c", SERVER], text=True, env=environment, **pipes)

    def run(self, words: list[str], kill_after: float | None = None) -> int:
        """Return the exit code; that of a kill, if it came before the end."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(words), file=self._server.stdin, flush=True)
        pid = int(self._server.stdout.readline())
        start = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it ended before
                os.kill(pid, signal.SIGKILL)
        code = int(self._server.stdout.readline())
        self.seconds = time.monotonic() - start
        return code

    def close(self) -> None:
        self._server.communicate()


@pytest.fixture
def commands() -> Iterator[Commands]:
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Model and movie, and what is asked for; of one window, so that nothing depends on the free memory."""
    torch.manual_seed(0)
    write_model(tmp_path / "model", TimeArrowNet("unet_16fmaps", n_features=4))
    frames = np.random.default_rng(0).integers(0, 1000, (30, 40, 36)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", frames, metadata={"axes": "TYX"})
    return [str(tmp_path / "model"), str(tmp_path / "movie.tif"), "--device", "cpu", "--pca", "3"]


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_embedding_goes_on_and_nothing_shows(
    kills: int, words: list[str], commands: Commands, tmp_path: Path
) -> None:
    assert commands.run([*words, "-o", str(tmp_path / "whole.zarr")]) == 0
    seconds = commands.seconds
    moments = random.Random(kills)
    met = 0  # kills that came before the end
    outs = [tmp_path / f"killed{number // 4}.zarr" for number in range(kills)]  # kills fall into every part of each
    for out in outs:
        met += commands.run([*words, "-o", str(out)], moments.uniform(0.1, 0.8) * seconds) == -signal.SIGKILL
    assert met
    for out in set(outs):  # on a busy machine nothing may have been there yet at any kill
        assert commands.run([*words, "-o", str(out)]) == 0
        assert_same(out, tmp_path / "whole.zarr")
        assert_same(out.with_name(f"{out.stem}_pca3.zarr"), tmp_path / "whole_pca3.zarr")
    assert not list(tmp_path.glob(".*"))


def assert_same(killed: Path, whole: Path) -> None:
    arrays = [np.asarray(zarr.open_array(path / "0", mode="r")[:]) for path in (killed, whole)]
    assert arrays[0].tobytes() == arrays[1].tobytes()
    ledger = read_ledger(killed / "0" / "frames_finished.txt")
    assert ledger is not None
    assert ledger.missing == ()
