"""What networks take is found out, and the whole process stays within the memory that it is given."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys

import pytest
import torch

from napari_tarrow.engine.inference.projections.memory import Budget, bytes_per_pixel, peak_bytes, used_memory
from napari_tarrow.engine.inference.projections.network import projecting_copy
from napari_tarrow.engine.models import BACKBONES, TimeArrowNet

CPU = torch.device("cpu")


def test_the_peak_counts_what_lives_at_the_same_time():
    x = torch.zeros(1000)

    def in_turn(x):
        for _ in range(5):
            x = x + 1  # the one before is let go only when the next is there
        return x

    def held(x):
        parts = [x + 1, x + 2]
        view = parts[0][::2]
        del parts
        return view.view(2, -1), x * 2

    for backward in (False, True):
        assert peak_bytes(in_turn, x, backward) == 3 * 4000
        assert peak_bytes(held, x, backward) == 3 * 4000
        assert peak_bytes(lambda x: x[:10], x, backward) == 4000


@pytest.mark.parametrize("backward", [False, True])
def test_the_peak_counts_what_pooling_makes_and_drops(backward):
    image = torch.zeros((1, 1, 16, 16))
    assert peak_bytes(torch.nn.MaxPool2d(2), image, backward) == 4 * 256 + (4 + 8) * 64


def test_the_peak_counts_gradients():
    @torch.enable_grad()
    def squares(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad((x * x).sum(), x)

    assert peak_bytes(squares, torch.zeros(1000), backward=True) > peak_bytes(squares, torch.zeros(1000))


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_small_images_tell_what_a_large_one_takes(backbone):
    backbone, head = projecting_copy(TimeArrowNet(backbone, n_features=4), 0)

    def project(image):
        return head(backbone.core(image))

    measured = peak_bytes(project, torch.zeros((1, 1, 320, 384))) / (320 * 384)
    estimated = bytes_per_pixel(project, 1, backbone.grid, CPU)

    assert 0.99 * measured <= estimated <= 1.06 * measured


def test_used_memory_is_what_the_process_takes_now():
    before = used_memory(CPU)
    with mmap.mmap(-1, 2**26) as pages:
        pages.write(bytes(2**26))
        during = used_memory(CPU)

    assert 0.9 * 2**26 < during - before < 2.5 * 2**26


def test_without_a_budget_most_of_the_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr("napari_tarrow.engine.inference.projections.memory.free_memory", lambda device: 10**10)
    budget = Budget(CPU)

    assert budget.left == pytest.approx(8 * 10**9, rel=0.02)
    assert not budget.given
    assert Budget(CPU, 10**9).total == 10**9


WORK = """
import sys
import numpy as np, torch
from pathlib import Path
from napari_tarrow.engine.inference import attribute
from napari_tarrow.engine.inference.embeddings.embedding import embed, embed_blocks
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Movie, Preparation, PreparedMovie

kind, backbone, memory, frames, side = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def read(index):
    return np.random.default_rng(index).integers(0, 4000, (1, side, side), dtype=np.uint16)

movie = Movie("synthetic", "array", (frames, 1, side, side), np.dtype(np.uint16), np.arange(frames), read)
movie = PreparedMovie(movie, Preparation())
torch.manual_seed(0)
model = TimeArrowNet(backbone, symmetric=True).eval()
given = memory or None
if kind == "embed":
    results = embed_blocks(model, movie, dtype="float16", memory=given)
elif kind == "frames":
    results = embed(model, movie, memory=given)
else:
    results = attribute(model, movie, kind=kind, memory=given)
count = sum(1 for result in results)
assert count >= frames - 1
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
"""


def peak_of(kind, backbone, memory, frames, side, **variables):
    """Most resident memory of a process of its own; what `getrusage` tells is never below its parent's."""
    arguments = [kind, backbone, *(str(int(number)) for number in (memory, frames, side))]
    done = subprocess.run(
        [sys.executable, "-c", WORK, *arguments], check=True, stdout=subprocess.PIPE, env={**os.environ, **variables}
    )
    return int(done.stdout)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("memory", [2e9, 4e9])
@pytest.mark.parametrize("kind", ["embed", "evidence", "gradcam"])
def test_huge_frames_stay_within_the_memory_given(kind, memory):
    assert peak_of(kind, "unet_16fmaps", memory, 4, 8192) < memory


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embed", "evidence"])
@pytest.mark.parametrize(("backbone", "memory"), [("unet_16fmaps", 6e8), ("lnet", 6e8), ("resnet18", 1e9), ("id", 6e8)])
def test_frames_that_need_tiles_stay_within_the_memory_given(kind, backbone, memory):
    assert peak_of(kind, backbone, memory, 2, 2500) < memory


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frames", "evidence"])
def test_long_movies_need_no_more_memory_than_short_ones(kind):
    # one thread: where their number follows the machine, each that is new takes some memory
    short, long = (peak_of(kind, "simple", 6e8, frames, 512, OMP_NUM_THREADS="1") for frames in (20, 2000))
    assert long < 1.05 * short
