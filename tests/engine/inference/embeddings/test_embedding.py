"""Embeddings of movies agree with the reference's, whatever the tiles, and lie where the movie's pixels are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tarrow.engine import devices
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.embeddings import embedding
from napari_tarrow.engine.inference.embeddings.embedding import embed, embed_blocks
from napari_tarrow.engine.inference.projections import projector as projecting
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Movie, Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.trained import TrainedModel


@pytest.fixture
def model():
    torch.manual_seed(0)
    return TimeArrowNet("unet_16fmaps", n_features=4).eval()


def movie_of(frames, **preparation):
    return PreparedMovie(open_movie(frames, channels=preparation.get("channels", 0)), Preparation(**preparation))


def noise(size, frames=4):
    return np.random.default_rng(0).integers(0, 999, (frames, *size)).astype(np.uint16)


def as_it_is(frames):
    """A movie whose frames (T, C, H, W) are prepared already."""
    movie = PreparedMovie(open_movie(frames.numpy(), channels=frames.shape[1]), Preparation(channels=frames.shape[1]))
    movie.frame = lambda index: frames[index].numpy()
    return movie


def fixed_tile(monkeypatch, sides):
    if sides:
        monkeypatch.setattr(projecting, "best_tile", lambda tiles, cost, room: (sides, 0))


@pytest.mark.parametrize("name", ["unet_16fmaps", pytest.param("unet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("tile", [None, 64, 96, 200])
def test_embeddings_agree_with_the_reference_for_every_tile(golden, monkeypatch, name, tile):
    fixed_tile(monkeypatch, tile and (tile, tile))
    kwargs = golden.networks[name]
    x = golden.image(f"cam{name}(200, 227)", (kwargs["n_frames"], kwargs["n_input_channels"], 200, 227))

    first = next(embed(golden.network(name), as_it_is(x)))

    golden.compare(first.embedding, f"gradcam/{name}/200x227/embedding")


@pytest.mark.parametrize(("layer", "tile"), [(0, None), (1, 24), (2, 24), (4, None), (5, 24)])
def test_every_layer_agrees_with_the_reference(golden, monkeypatch, layer, tile):
    fixed_tile(monkeypatch, tile and (tile, tile))
    name = "unet_16fmaps_three"
    x = golden.image(f"{name}(48, 40)", (2, 2, 1, 48, 40))[0]

    frames = [one.embedding for one in embed(golden.network(name), as_it_is(x), layer=layer)]

    golden.compare(np.stack(frames)[None], f"{name}/48x40/embedding_layer{layer}")


def test_frames_come_in_the_order_asked_for_each_read_once(model, monkeypatch):
    movie = movie_of(noise((40, 50)))
    reads, real = [], Movie.frame
    monkeypatch.setattr(Movie, "frame", lambda self, index: reads.append(index) or real(self, index))

    everything = {one.index: one for one in embed(model, movie)}
    some = [*embed(model, movie, frames=[2, 0])]

    assert reads == [0, 1, 2, 3, 2, 0]
    assert [(one.index, one.done, one.total) for one in some] == [(2, 1, 2), (0, 2, 2)]
    for one in some:
        np.testing.assert_array_equal(one.embedding, everything[one.index].embedding)


@pytest.mark.parametrize("tile", [None, (16, 24)])
def test_half_precision_is_the_rounded_result(model, monkeypatch, tile):
    fixed_tile(monkeypatch, tile)
    movie = movie_of(noise((40, 50)))

    for full, half in zip(embed(model, movie), embed(model, movie, dtype="float16"), strict=True):
        assert full.embedding.dtype == np.float32
        assert half.embedding.dtype == np.float16
        assert all(one.embedding.flags.c_contiguous for one in (full, half))
        np.testing.assert_array_equal(half.embedding, full.embedding.astype(np.float16))


def test_what_half_precision_cannot_hold_is_cut_and_told_once(model):
    movie = as_it_is(1e7 * torch.rand((3, 1, 16, 16)))
    full = np.stack([one.embedding for one in embed(model, movie)])
    halves = list(embed(model, movie, dtype="float16"))

    assert np.abs(full).max() > 65504
    np.testing.assert_array_equal([one.embedding for one in halves], full.clip(-65504, 65504).astype(np.float16))
    assert [len(one.notices) for one in halves] == [1, 0, 0]
    assert "larger than float16 holds" in halves[0].notices[0]


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("subsample", [1, 3])
@pytest.mark.parametrize("backbone", ["unet_16fmaps", "lnet", "resnet32"])
def test_coarse_embeddings_are_repeated_onto_the_pixels_of_the_movie(monkeypatch, backbone, subsample, tile):
    model = TimeArrowNet(backbone, n_features=4).eval()
    fixed_tile(monkeypatch, tile and (tile // model.downscale, 2 * tile // model.downscale))
    movie = movie_of(noise((101, 119)), subsample=subsample)
    step = subsample * model.downscale

    coarse = next(embed(model, movie, grid="network", frames=[1])).embedding
    fine = next(embed(model, movie, frames=[1])).embedding

    with torch.no_grad():
        expected = model.embedding(torch.from_numpy(movie.frame(1))[None, None])[0, 0].numpy()
    np.testing.assert_allclose(coarse, expected, atol=1e-5 * abs(expected).max())
    assert fine.shape == (4, 101, 119)
    rows, columns = (
        np.minimum(np.arange(side) // step, small - 1) for side, small in zip((101, 119), coarse.shape[1:], strict=True)
    )
    np.testing.assert_allclose(fine, coarse[:, rows[:, None], columns], atol=1e-6)


def test_a_network_that_pads_its_images_is_placed_where_it_looked():
    model = TimeArrowNet("resnet18", n_features=4).eval()
    frames = noise((70, 81), 2)  # padded to 96 x 96: 13 rows and 7 columns before

    coarse = next(embed(model, movie_of(frames), grid="network")).embedding
    fine = next(embed(model, movie_of(frames))).embedding

    rows, columns = (np.arange(70) + 13) // 32, (np.arange(81) + 7) // 32
    np.testing.assert_array_equal(fine, coarse[:, rows[:, None], columns])


@pytest.mark.parametrize("grid", ["movie", "network"])
@pytest.mark.parametrize("subsample", [1, 2])
def test_blocks_cover_every_frame_once(model, monkeypatch, subsample, grid):
    movie = movie_of(noise((70, 85)), subsample=subsample)
    wholes = [one.embedding for one in embed(model, movie, frames=[3, 1], grid=grid)]
    fixed_tile(monkeypatch, (24, 32))

    blocks = [*embed_blocks(model, movie, frames=[3, 1], grid=grid)]

    parts = np.full((2, *wholes[0].shape), np.nan, np.float32)
    for block in blocks:
        (height, width), place = block.values.shape[1:], [3, 1].index(block.index)
        part = parts[place, :, block.y : block.y + height, block.x : block.x + width]
        assert np.isnan(part).all()
        part[:] = block.values
    np.testing.assert_allclose(parts, np.stack(wholes), atol=1e-5 * np.max(wholes))
    per_frame = len(blocks) // 2
    assert per_frame > 3
    assert [block.last for block in blocks] == ([False] * (per_frame - 1) + [True]) * 2
    assert [block.done for block in blocks] == [0] * (per_frame - 1) + [1] * per_frame + [2]
    assert {block.total for block in blocks} == {2}


def test_frames_that_were_given_stay_as_they_are(model):
    first, second = embed(model, movie_of(noise((40, 50), 2)))
    assert not np.shares_memory(first.embedding, second.embedding)
    assert not np.array_equal(first.embedding, second.embedding)


@pytest.mark.parametrize(
    ("tile", "frame", "now"), [(None, 2, "100 x 105"), ((104, 112), 0, "88 x 96")], ids=["whole", "tiles"]
)
def test_notices_come_with_the_frame_in_which_it_happened(model, monkeypatch, tile, frame, now):
    fixed_tile(monkeypatch, tile)
    real, tiles = projecting.Tiles.project, []

    def project(self, region, window):
        tiles.append(window)
        if len(tiles) == 3:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, region, window)

    monkeypatch.setattr(projecting.Tiles, "project", project)
    notices = [one.notices for one in embed(model, movie_of(noise((200, 210), 3)))]

    expected = [(), (), ()]
    expected[frame] = (f"Memory ran out: tiles are now {now} pixels.",)
    assert notices == expected


@pytest.mark.parametrize("work", [embed, embed_blocks])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": "netwrok"}, "grid is 'netwrok'. Did you mean network? Give one of: movie, network."),
        ({"dtype": "float64"}, "dtype is 'float64'"),
        ({"dtype": np.float64}, "dtype is 'float64'"),
        ({"layer": 5}, "2 feature layers (0 is the last), not layer 5. Give one of 0 to 1."),
        ({"layer": "last"}, "layer is 'last'. Give a whole number."),
        ({"frames": [-1]}, "frames holds -1, but the movie has 4 frames: give indices 0 to 3."),
        ({"frames": [4]}, "frames holds 4"),
        ({"frames": [1.0]}, "One of frames is 1.0"),
        ({"frames": np.array([True, False, True])}, "frames holds True or False"),
        ({"frames": 2}, "frames is 2. Give a list of indices"),
        (
            {"movie": open_movie(noise((40, 50)))},
            "A Movie is not prepared for a network. Give PreparedMovie(",
        ),
        ({"movie": "movie.tif"}, "A str is not prepared for a network"),
        ({"model": "runs/folder"}, "A str is no network. Give what read_trained(folder) returns."),
        ({"movie": movie_of(noise((2, 40, 50)), channels=2)}, "has 2 channels, but the network takes 1"),
    ],
)
def test_mistakes_are_told_before_the_work_starts(model, work, options, said):
    with pytest.raises(UserError) as error:
        work(**{"model": model, "movie": movie_of(noise((40, 50))), **options})
    assert said in str(error.value)


def test_a_trained_model_frames_one_by_one_and_numpy_s_types_are_taken(model, tmp_path):
    movie = movie_of(noise((40, 50)))
    trained = TrainedModel(model, movie.preparation, 1, None, tmp_path)
    for dtype in (np.float16, np.dtype("float16")):
        found = [*embed(trained, movie, frames=iter(np.array([3, 1])), dtype=dtype)]
        assert [(one.index, one.total, one.embedding.dtype) for one in found] == [(3, 2, dtype), (1, 2, dtype)]


def test_whole_frames_have_to_fit_into_the_memory(model):
    movie = movie_of(np.zeros((2, 3000, 3000), np.uint8))
    with pytest.raises(UserError, match=r"memory of 800 MB .* 3000 x 3000 pixels: at least"):
        next(embed(model, movie, memory=8 * 10**8))


def test_closing_gives_memory_back(model, monkeypatch):
    given = []
    monkeypatch.setattr(embedding, "give_memory_back", lambda: given.append(True))
    for work in (embed, embed_blocks):
        steps = work(model, movie_of(noise((40, 50))))
        next(steps)
        assert not given
        assert devices._keepers or devices._glibc() is None
        steps.close()
        assert given.pop()
        assert not devices._keepers
