"""Projections in tiles equal those of whole frames, each frame is made once, and memory that runs out is survived."""

from __future__ import annotations

import contextlib
import copy
import errno
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.projections import cache as caching
from napari_tarrow.engine.inference.projections import memory, plan
from napari_tarrow.engine.inference.projections import projector as projecting
from napari_tarrow.engine.inference.projections.projector import ProjectionCache, Projector
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.models.tiles import split
from napari_tarrow.engine.movies import Movie, Preparation, PreparedMovie

NETWORKS = ["unet_16fmaps", "lnet", "resnet32", "resnet18", "simple", "id", "fpn_resnet"]
HEADS = ["minimal_batchnorm", "three_3x3convs", "id", "linear"]


def network(backbone="unet_16fmaps", head="minimal_batchnorm", channels=1):
    torch.manual_seed(0)
    model = TimeArrowNet(backbone, head, n_features=4, n_input_channels=channels)
    for norm in model.modules():  # so that folding them matters
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(norm.running_var, 0.7, 1.3)
            torch.nn.init.uniform_(norm.weight, 0.7, 1.3)
    return model.eval()


def noise(size, frames=4, channels=1, reads=None):
    def read(index):
        if reads is not None:
            reads.append(index)
        return np.random.default_rng(index).integers(0, 999, (channels, *size)).astype(np.uint16)

    movie = Movie("noise", "array", (frames, channels, *size), np.dtype(np.uint16), np.arange(frames), read)
    return PreparedMovie(movie, Preparation(channels=channels if channels > 1 else 0))


def fixed_tile(monkeypatch, *sides):
    monkeypatch.setattr(projecting, "best_tile", lambda tiles, cost, room: (sides, 0))


def whole(model, movie, index, layer=0):
    with torch.no_grad():
        return model.embedding(torch.from_numpy(movie.frame(index))[None, None], layer)[0, 0]


def joined(projector, blocks):
    result = torch.full(projector.shape, torch.nan)
    for window, block in blocks:
        part = result[:, window.y0 : window.y1, window.x0 : window.x1]
        assert part.isnan().all()
        part.copy_(block)
    return result


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    backbone=st.sampled_from(NETWORKS),
    head=st.sampled_from(HEADS),
    size=st.tuples(st.integers(33, 120), st.integers(33, 120)),
    tile=st.tuples(st.integers(30, 90), st.integers(30, 90)),
    channels=st.integers(1, 2),
    layer=st.integers(0, 5),
)
def test_tiles_give_what_the_whole_frame_gives(backbone, head, size, tile, channels, layer):
    model, movie = network(backbone, head, channels), noise(size, channels=channels)
    layer %= {"minimal_batchnorm": 2, "three_3x3convs": 6}.get(head, 1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        if model.backbone.local:
            fixed_tile(monkeypatch, *(max(1, side // model.downscale) for side in tile))
        projector = Projector(model, movie, layer=layer)
        blocks = [*projector.blocks(1)]

    assert [window for window, _ in blocks] == [*projector.windows]
    assert all(block.is_contiguous() or block.permute(1, 2, 0).is_contiguous() for _, block in blocks)
    close(joined(projector, blocks), whole(model, movie, 1, layer))


@pytest.mark.parametrize("layer", [None, 0])
def test_blocks_hold_their_window_and_nothing_around_it(monkeypatch, layer):
    fixed_tile(monkeypatch, 32, 48)  # rows of the whole width are dense in a larger block, too
    model, movie = network(), noise((120, 48))
    projector = Projector(model, movie, layer=layer)
    blocks = [*projector.blocks(0)]

    assert len(blocks) == 4
    assert all(block.untyped_storage().nbytes() == 4 * block.numel() for _, block in blocks)
    maps = model.backbone(torch.from_numpy(movie.frame(0))[None])[0].detach()
    close(joined(projector, blocks), maps if layer is None else whole(model, movie, 0))


def test_a_frame_that_fits_is_one_window_and_so_is_one_for_a_network_that_sees_all_of_it():
    assert Projector(network(), noise((90, 70))).windows == ((0, 90, 0, 70),)
    projector = Projector(network("fpn_resnet"), noise((90, 70)))
    assert projector.windows == ((0, 90, 0, 70),)
    with pytest.raises(UserError, match="does not suffice"):
        _ = Projector(network("fpn_resnet"), noise((4000, 4000)), memory=2**30).windows


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="2 feature layers"):
        Projector(network(), noise((40, 40)), layer=2)


def test_the_model_is_not_changed():
    model = network()
    before = copy.deepcopy(model.state_dict())

    [*Projector(model.train(), noise((50, 50))).blocks(0)]

    assert model.training
    assert all(parameter.requires_grad and parameter.is_contiguous() for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("spilled", [False, True])
def test_frames_are_read_and_made_once_while_they_are_held(monkeypatch, spilled):
    fixed_tile(monkeypatch, 64, 32)
    reads, made = [], []
    model, movie = network(), noise((70, 50), reads=reads)
    projector = Projector(model, movie)
    monkeypatch.setattr(projecting.Projector, "spare", 0 if spilled else 10**9)
    monkeypatch.setattr(
        projecting.Tiles,
        "project",
        lambda self, *part, real=projecting.Tiles.project: made.append(1) or real(self, *part),
    )
    cache = ProjectionCache(projector, 2)

    for first in range(3):
        cache.forget(first - 1)
        for window, index in itertools.product(projector.windows, (first, first + 1)):
            block = cache.block(index, window)
            close(block, whole(model, noise((70, 50)), index)[:, window.y0 : window.y1, window.x0 : window.x1])

    assert reads == [0, 1, 2, 3]
    assert len(made) == 4 * len(projector.windows)
    cache.block(0, projector.windows[0])
    assert reads[4:] == [0]
    cache.close()


def test_what_does_not_fit_into_memory_lies_in_a_file_without_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(projecting.Projector, "spare", 0)
    projector = Projector(network(), noise((50, 40)))
    cache = ProjectionCache(projector, 2)
    for index in range(4):
        cache.forget(index - 2)
        cache.block(index, projector.windows[0])

    store = cache._store
    assert not [*tmp_path.iterdir()]
    assert Path(f"/proc/self/fd/{store._file.fileno()}").stat().st_size == 2 * 4 * 50 * 40 * 4
    cache.close()
    assert store._file.closed


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(projecting.Projector, "spare", 0)
    projector = Projector(network(), noise((50, 40)))
    cache = ProjectionCache(projector, 2)
    with contextlib.closing(cache._store._file):
        cache._store._file = _Full()
    with pytest.raises(
        UserError, match=r"do not fit into .*the folder for temporary files.*No space left.*(TMPDIR|TEMP) to"
    ):
        cache.block(0, projector.windows[0])

    monkeypatch.setattr(caching.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match=r"Projections take 64 kB, more than .* and than the 10 bytes that are free"):
        ProjectionCache(projector, 2)


class _Full:
    def seek(self, place):
        pass

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def out_of_memory_above(monkeypatch, pixels, error=None):
    """Let larger regions run out of memory; returns the sizes that were tried."""
    tried = []

    def project(self, region, window, real=projecting.Tiles.project):
        tried.append(region.shape[-2] * region.shape[-1])
        if tried[-1] > pixels:
            raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, region, window)

    monkeypatch.setattr(projecting.Tiles, "project", project)
    return tried


def test_when_memory_runs_out_tiles_are_halved_and_work_goes_on(monkeypatch):
    model, movie = network(), noise((300, 310))
    tried = out_of_memory_above(monkeypatch, 200**2)
    projector = Projector(model, movie)

    first, second = (joined(projector, projector.blocks(index)) for index in (0, 1))

    for index, result in enumerate((first, second)):
        close(result, whole(model, movie, index))
    assert projector.windows == ((0, 300, 0, 310),)
    assert sum(pixels > 200**2 for pixels in tried) == 2
    notices = projector.take_notices()
    assert len(notices) == 2
    assert notices[0] == "Memory ran out: tiles are now 150 x 155 pixels."
    assert projector.take_notices() == ()


def test_memory_that_does_not_suffice_for_the_smallest_tiles_is_told(monkeypatch):
    tried = out_of_memory_above(monkeypatch, 0, MemoryError())
    with pytest.raises(UserError, match=r"Memory ran out with tiles of \d+ x \d+ pixels, the smallest"):
        [*Projector(network(), noise((300, 310))).blocks(0)]
    assert 1 < len(tried) < 9


def test_other_errors_are_not_taken_for_missing_memory(monkeypatch):
    out_of_memory_above(monkeypatch, 0, RuntimeError("cuDNN is not amused"))
    with pytest.raises(RuntimeError, match="not amused"):
        [*Projector(network(), noise((50, 60))).blocks(0)]


@pytest.fixture
def taken(monkeypatch):
    """The process seems to take 300 MB all the time."""
    monkeypatch.setattr(memory, "used_memory", lambda device: 300_000_000)


def test_less_memory_makes_smaller_tiles_down_to_a_least_that_is_named(taken):
    model, movie = network(), noise((3000, 4000))

    counts = [len(Projector(model, movie, memory=budget).windows) for budget in (10**11, 2 * 10**9, 10**9)]

    assert counts[0] == 1 < counts[1] < counts[2]
    with pytest.raises(
        UserError, match=r"A memory of 300 MB .* 3000 x 4000 pixels: at least \d+ MB are needed"
    ) as error:
        _ = Projector(model, movie, memory=3 * 10**8).windows
    named = float(str(error.value).split("at least ")[1].split()[0])
    assert len(Projector(model, movie, memory=int(named * 1e6)).windows) > counts[2]
    with pytest.raises(UserError):
        _ = Projector(model, movie, memory=int(0.95 * named * 1e6)).windows


def test_a_tiny_memory_is_called_what_it_is():
    with pytest.raises(UserError, match=r"A memory of 1 kB does not suffice .* at least [\d.]+ [MG]B are needed"):
        _ = Projector(network(), noise((60, 50)), memory=1000).windows


def test_memory_that_is_left_to_others_is_not_used(taken):
    model, movie = network(), noise((3000, 4000))
    plain, leaving, growing = (Projector(model, movie, memory=2 * 10**9) for _ in range(3))
    leaving.leave(10**9)
    growing.leave(0, per_pixel=1000)

    assert len(plain.windows) < len(leaving.windows)
    assert len(plain.windows) < len(growing.windows)
    with pytest.raises(RuntimeError, match="fixed already"):
        plain.leave(1)


@pytest.mark.parametrize("backbone", ["unet_16fmaps", "lnet", "resnet18"])
def test_the_tile_chosen_computes_least_of_all_that_fit(backbone):
    projector = Projector(network(backbone), noise((2111, 1530)))
    tiles, cost = projector._tiles, projector._cost()
    for room in (4e8, 6e8, 1e9):
        (height, width), needed = plan.best_tile(tiles, cost, room)
        windows = split(tiles.whole, (height, width))
        regions = [tiles.region(window).shape for window in windows]
        assert needed <= room
        assert max(cost.read * y * x + cost.made * height * width for y, x in regions) + cost.fixed <= needed * 1.0001
        computed = sum(y * x for y, x in regions)
        for other in ((height // 2, width), (height, width // 2)):
            assert computed < sum(y * x for y, x in (tiles.region(one).shape for one in split(tiles.whole, other)))
