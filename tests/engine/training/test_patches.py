"""Frames in the store, places and patches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.training.augment import Augmentation, Jitter, Warp
from napari_tarrow.engine.training.change import squared_change
from napari_tarrow.engine.training.cutting import patches
from napari_tarrow.engine.training.draws import Stream
from napari_tarrow.engine.training.frames import stored_frames
from napari_tarrow.engine.training.sampling import Places, Sampler, evenly_spaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tarrow.engine.training.frames import FrameStore

CPU = torch.device("cpu")


def prepared(frames: np.ndarray, **options: object) -> PreparedMovie:
    preparation = Preparation(channels=0 if frames.ndim == 3 else frames.shape[1], **options)
    return PreparedMovie(open_movie(frames, channels=preparation.channels), preparation)


@contextmanager
def stored(*movies: PreparedMovie, readers: int = 0) -> Iterator[FrameStore]:
    with stored_frames(movies, [range(m.shape[0]) for m in movies], CPU, readers) as (store, _):
        yield store


def noise(shape: tuple[int, ...], dtype: type = np.uint16) -> np.ndarray:
    return (np.random.default_rng(1).random(shape) * 60000).astype(dtype)


def still(count: int, **changes: np.ndarray) -> Warp:
    plain = {name: np.zeros(count, bool) for name in ("flip_y", "flip_x", "swap")}
    return Warp(**{**plain, **changes})


def identity(count: int, clip: int) -> np.ndarray:
    return np.tile(np.eye(2, 3, dtype=np.float32), (count, clip, 1, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, bool])
@pytest.mark.parametrize("subsample", [1, 2])
def test_a_stored_frame_is_the_prepared_frame(dtype: type, subsample: int) -> None:
    frames = (
        noise((3, 24, 31)) % 251
        if dtype is np.uint8
        else noise((3, 24, 31)) > 30000
        if dtype is bool
        else noise((3, 24, 31))
    )
    movie = prepared(frames.astype(dtype), subsample=subsample)
    with stored(movie) as store:
        for number in range(3):
            assert np.allclose(store.frame(number).numpy(), movie.frame(number), rtol=1e-5, atol=1e-6)


def test_large_unsigned_values_survive_their_signed_storage() -> None:
    frames = np.array([0, 1, 32767, 32768, 65535], np.uint16)[None, None].repeat(9, 1).repeat(2, 0)
    with stored(prepared(frames)) as store:
        index = torch.arange(5)
        assert store.read(index).tolist() == [0, 1, 32767, 32768, 65535]


def test_movies_of_different_types_and_sizes_share_a_store() -> None:
    first, second = prepared(noise((2, 20, 24))), prepared(noise((3, 30, 16)).astype(np.float32))
    with stored(first, second) as store:
        assert np.allclose(store.frame(1).numpy(), first.frame(1), atol=1e-6)
        assert np.allclose(store.frame(4).numpy(), second.frame(2), atol=1e-6)


def test_the_store_does_not_depend_on_the_number_of_readers() -> None:
    movie = prepared(noise((9, 20, 24)))
    with stored(movie, readers=0) as one, stored(movie, readers=5) as many:
        assert torch.equal(one.values, many.values)


def test_a_movie_larger_than_memory_is_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.frames.free_memory", lambda device: 100)
    movie = prepared(noise((3, 20, 24)))
    with stored(movie) as store:
        assert store.place == "disk"
        assert np.allclose(store.frame(2).numpy(), movie.frame(2), atol=1e-6)


@pytest.mark.parametrize("normalize", ["frame", "channel", "movie", "smooth"])
def test_a_plain_patch_is_a_crop_of_every_channel(normalize: str) -> None:
    movie = prepared(noise((4, 2, 20, 24)) * np.array([1, 50], np.float32)[:, None, None], normalize=normalize)
    with stored(movie) as store:
        places = Places(np.array([[0, 2], [1, 3]]), np.array([3, 4]), np.array([5, 8]))
        cut = patches(store, places, 16, still(2)).numpy()
    assert cut.shape == (2, 2, 2, 16, 16)
    assert np.allclose(cut[1, 0], movie.frame(1)[:, 4:20, 8:24], atol=1e-5)
    assert np.allclose(cut[0, 1], movie.frame(2)[:, 3:19, 5:21], atol=1e-5)


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("swap", [False, True])
def test_flips_agree_whether_sampled_or_indexed(flip_y: bool, flip_x: bool, swap: bool) -> None:
    movie = prepared(noise((2, 20, 24)))
    flips = {"flip_y": np.array([flip_y]), "flip_x": np.array([flip_x]), "swap": np.array([swap])}
    with stored(movie) as store:
        places = Places(np.array([[0]]), np.array([2]), np.array([7]))
        indexed = patches(store, places, 16, still(1, **flips))[0, 0, 0].numpy()
        sampled = patches(store, places, 16, still(1, **flips, affine=identity(1, 1)))[0, 0, 0].numpy()
    expected = movie.frame(0)[0, 2:18, 7:23]
    expected = expected[::-1] if flip_y else expected
    expected = expected[:, ::-1] if flip_x else expected
    if swap:
        expected = movie.frame(0)[0, 2:18, 7:23].T
        expected = expected[:, ::-1] if flip_y else expected
        expected = expected[::-1] if flip_x else expected
    assert np.allclose(indexed, expected, atol=1e-5)
    assert np.allclose(sampled, expected, atol=1e-4)


def test_rotation_by_a_right_angle_turns_the_patch_and_reaches_beyond_nothing() -> None:
    movie = prepared(noise((2, 20, 24)))
    turn = np.array([[0, 1, 0], [-1, 0, 0]], np.float32)[None, None]
    with stored(movie) as store:
        places = Places(np.array([[0]]), np.array([2]), np.array([7]))
        turned = patches(store, places, 16, still(1, affine=turn))[0, 0, 0].numpy()
    assert np.allclose(turned, np.rot90(movie.frame(0)[0, 2:18, 7:23], 1), atol=1e-4)


def test_a_warped_ramp_stays_a_ramp_in_pixels_also_beside_the_patch() -> None:
    # a sampled linear function is known everywhere: rotation must not shear, and must see real pixels beside the patch
    y, x = np.mgrid[:64, :80].astype(np.float32)
    movie = prepared(np.stack([y + 2 * x] * 2), normalize="movie")
    low, span = movie.normalization()[0]
    angle, zoom = 0.7, 1.2
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom
    affine = np.concatenate([rotation, np.zeros((2, 1))], 1).astype(np.float32)[None, None]
    with stored(movie) as store:
        places = Places(np.array([[0]]), np.array([24]), np.array([32]))
        cut = patches(store, places, 16, still(1, affine=affine))[0, 0, 0].numpy() * span + low
    v, u = np.mgrid[:16, :16] - 7.5
    at_y, at_x = np.einsum("ij,jhw->ihw", rotation, np.stack([v, u])) + np.array([24 + 7.5, 32 + 7.5])[:, None, None]
    assert np.allclose(cut, at_y + 2 * at_x, atol=1e-2)


def test_the_border_is_reflected() -> None:
    movie = prepared(noise((2, 20, 24)))
    shift = identity(1, 1)
    shift[0, 0, 0, 2] = -4 / 16  # four pixels up, as a share of the patch
    with stored(movie) as store:
        places = Places(np.array([[0]]), np.array([0]), np.array([0]))
        cut = patches(store, places, 16, still(1, affine=shift))[0, 0, 0].numpy()
    rows = np.abs(np.arange(16) - 4)
    assert np.allclose(cut, movie.frame(0)[0, rows, :16], atol=1e-4)


def test_jitter_is_what_it_says() -> None:
    movie = prepared(noise((3, 20, 24)))
    jitter = Jitter(
        gain=np.array([[1.5, 0.5]], np.float32),
        shift=np.array([[0.1, -0.2]], np.float32),
        noise=np.array([0.04], np.float32),
        seeds=np.array([12345], np.int32),
    )
    with stored(movie) as store:
        places = Places(np.array([[0, 2]]), np.array([1]), np.array([2]))
        plain = patches(store, places, 16, still(1))[0].numpy()
        changed = patches(store, places, 16, still(1), jitter)[0].numpy()
    for t, (gain, shift) in enumerate(((1.5, 0.1), (0.5, -0.2))):
        added = (changed[t] - shift) / gain - plain[t]
        assert added.min() >= -1e-5
        assert added.max() <= 0.04 + 1e-5
        assert added.mean() == pytest.approx(0.02, abs=0.003)
        assert np.unique(np.round(added, 5)).size > 100


def test_contrast_is_changed_about_the_median_of_the_frame() -> None:
    movie = prepared(1000 + noise((3, 20, 24)))
    with stored(movie) as store:
        places = Places(np.array([[0, 2], [1, 2]]), np.array([1, 3]), np.array([2, 4]))
        plain = patches(store, places, 16, still(2)).numpy()
        changed = patches(store, places, 16, still(2), None, np.array([3.0, 0.25], np.float32)).numpy()
    for b, factor in enumerate((3, 0.25)):
        for k, number in enumerate(places.frames[b]):
            median = np.median(movie.frame(number)[0, ::4, ::4])
            assert np.allclose(changed[b, k], median + factor * (plain[b, k] - median), atol=1e-4)


def test_contrast_is_drawn_evenly_in_its_logarithm_and_leaves_the_other_draws() -> None:
    samples = np.arange(4000)
    warp, jitter, factors = Augmentation(1, True, 4).draw(Stream(0, "t"), samples, 3)
    same, _, nothing = Augmentation(1, True).draw(Stream(0, "t"), samples, 3)
    assert jitter is nothing is None
    assert np.array_equal(warp.flip_y, same.flip_y)
    assert factors is not None
    places = np.log(factors) / np.log(4)
    assert np.abs(places).max() <= 1
    assert np.histogram(places, 4, (-1, 1))[0] == pytest.approx([1000] * 4, rel=0.1)


@pytest.mark.parametrize("level", range(6))
def test_every_level_draws_within_its_bounds(level: int) -> None:
    warp, jitter, _ = Augmentation(level, transpose=True).draw(Stream(0, "t"), np.arange(2000), 3)
    flipped = warp.flip_y.mean()
    assert flipped == (0 if level == 0 else pytest.approx(0.5, abs=0.05))
    assert (jitter is None) == (level < 2)
    assert (warp.affine is None) == (level < 3)
    assert (warp.elastic is None) == (level < 4)
    if jitter is not None:
        assert jitter.gain.max() <= 10 / 9 * 5 / 4 + 1e-6
        assert jitter.gain.min() >= 9 / 10 * 4 / 5 - 1e-6
        assert np.mean(jitter.gain[:, 0] == jitter.gain[:, 1]) == pytest.approx(0.5, abs=0.05)
        assert jitter.noise.max() <= 0.05
    if warp.affine is not None:
        matrix = warp.affine[..., :2]
        scale = np.sqrt(np.abs(np.linalg.det(matrix)))
        assert np.allclose(matrix[..., 0, 0], matrix[..., 1, 1], atol=1e-6)  # rotation and zoom, no shear
        largest = {3: 1, 4: 10 / 9, 5: 5 / 4 * 10 / 9}[level]
        assert scale.max() <= largest + 1e-5
        assert scale.min() >= 1 / largest - 1e-5
        assert np.mean(matrix[:, 0, 0, 1] == 0) == pytest.approx(0.5, abs=0.05)
        assert (np.abs(warp.affine[..., 2]).max() > 0) == (level == 5)
    if warp.elastic is not None:
        assert np.abs(warp.elastic).max() <= 5
        assert np.mean(np.abs(warp.elastic).max((1, 2, 3)) == 0) == pytest.approx(0.5, abs=0.05)


def test_more_and_more_samples_get_the_strongest_level() -> None:
    samples = np.arange(4000)
    rising = Augmentation(3, rising_to=5, rising_until=3000)
    (warp, jitter, _), (mild, same, _), (strong, _, _) = (
        one.draw(Stream(0, "t"), samples, 3) for one in (rising, Augmentation(3), Augmentation(5))
    )
    assert np.array_equal(jitter.gain, same.gain)
    is_mild, is_strong = ((warp.affine == one.affine).all((1, 2, 3)) for one in (mild, strong))
    assert (is_mild | is_strong).all()
    assert is_strong[3000:].all()
    assert np.array_equal(warp.elastic[3000:], strong.elastic[3000:])
    differs = (mild.affine != strong.affine).any((1, 2, 3))
    for begin, share in ((0, 1 / 6), (1000, 1 / 2), (2000, 5 / 6)):
        part = slice(begin, begin + 1000)
        assert is_strong[part][differs[part]].mean() == pytest.approx(share, abs=0.05)
    assert not warp.elastic[is_mild & differs].any()


def test_the_extent_counts_every_frame_once() -> None:
    movies = prepared(noise((4, 32, 48))), prepared(noise((3, 64, 16)))
    with stored(*movies) as store:
        assert Sampler(store, np.array([[0, 1], [1, 2]]), 16).extent == 3 * 2 * 3
        assert Sampler(store, np.array([[0, 1], [4, 5], [5, 6]]), 16).extent == 2 * 2 * 3 + 3 * 4


@pytest.mark.parametrize("augmentation", [Augmentation(5), Augmentation(3, rising_to=5, rising_until=40)])
def test_patches_of_a_batch_are_those_of_its_halves(augmentation: Augmentation) -> None:
    movie = prepared(noise((6, 40, 50)))
    clips = np.array([[0, 1], [2, 3], [4, 5]])

    def cut(samples: np.ndarray) -> torch.Tensor:
        places = Sampler(store, clips, 16).draw(Stream(1, "p"), samples)
        return patches(store, places, 16, *augmentation.draw(Stream(1, "a"), samples, 2))

    with stored(movie) as store:
        whole = cut(np.arange(10))
        assert torch.equal(whole[4:], cut(np.arange(4, 10)))


def test_places_cover_all_positions_and_clips_evenly() -> None:
    movie = prepared(noise((4, 18, 20)))
    clips = np.array([[0, 1], [1, 2], [2, 3]])
    with stored(movie) as store:
        places = Sampler(store, clips, 16).draw(Stream(0, "p"), np.arange(6000))
    cells = np.stack([places.frames[:, 0], places.y, places.x], 1)
    found, counts = np.unique(cells, axis=0, return_counts=True)
    assert len(found) == 3 * 3 * 5
    assert counts.min() > 0.6 * 6000 / 45
    assert places.y.max() == 2
    assert places.x.max() == 4


@pytest.mark.parametrize(
    ("power", "mix", "least", "most"), [(2, 0, 0.99, 1), (2, 1, 0.1, 0.4), (0, 0, 0.1, 0.4), (4, 0.5, 0.5, 0.75)]
)
def test_patches_by_change_are_drawn_where_the_movie_changes(
    power: float, mix: float, least: float, most: float
) -> None:
    frames = np.full((4, 64, 64), 100, np.uint16)
    frames[2, 40:48, 40:48] = 500  # the only change: between 1 and 2, and 2 and 3
    clips = np.array([[0, 1], [1, 2], [2, 3]])
    with stored(prepared(frames, normalize="movie")) as store:
        places = Sampler(store, clips, 16, change_power=power, change_mix=mix).draw(Stream(0, "p"), np.arange(4000))
    inside = (places.frames[:, 1] >= 2) & (abs(places.y + 8 - 44) < 14) & (abs(places.x + 8 - 44) < 14)
    assert least <= inside.mean() <= most
    assert places.y.min() >= 0
    assert places.y.max() <= 48


@pytest.mark.parametrize(("size", "side"), [(8, 1), (20, 2), (48, 6)])
def test_change_is_that_of_means_over_an_eighth_of_a_patch(size: int, side: int) -> None:
    first, second = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 2, 50, 49))).float()
    change = squared_change(first, second, size)
    assert change.shape == (3, 51 - side, 50 - side)
    corner = (second - first)[1, :, 4 : 4 + side, 7 : 7 + side].mean((1, 2))
    assert torch.allclose(change[1, 4, 7], corner.square().mean(), rtol=1e-5)


def test_noise_hides_no_change() -> None:
    frames = noise((4, 96, 96))
    blob = np.index_exp[2:, 32:64, 32:64]
    frames[blob] = frames[blob] // 2 + 32768  # brighter by half of the noise's range; drawn by pixels: 0.37
    clips = np.array([[0, 1], [1, 2], [2, 3]])
    with stored(prepared(frames, normalize="movie")) as store:
        places = Sampler(store, clips, 48, change_power=2).draw(Stream(0, "p"), np.arange(4000))
    assert (places.frames[:, 1] == 2).mean() > 0.6


def test_without_any_change_places_are_uniform() -> None:
    frames = np.repeat(noise((1, 40, 40)), 3, 0)
    with stored(prepared(frames)) as store:
        places = Sampler(store, np.array([[0, 1], [1, 2]]), 16, change_power=2).draw(Stream(0, "p"), np.arange(2000))
    assert places.y.mean() == pytest.approx(12, abs=1)
    assert places.frames[:, 0].mean() == pytest.approx(0.5, abs=0.05)


def test_all_evenly_spaced_sequences_of_a_clip() -> None:
    assert evenly_spaced(3, 2).tolist() == [[0, 1], [1, 2], [0, 2]]
    assert evenly_spaced(2, 2).tolist() == [[0, 1]]
    assert evenly_spaced(5, 3).tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 2, 4]]


@pytest.mark.parametrize("level", [0, 2, 5])
def test_a_blank_frame_stays_within_bounds(level: int) -> None:
    frames = noise((4, 40, 40))
    frames[1] = 1000  # a constant frame spans 1e-10
    with stored(prepared(frames)) as store:
        places = Sampler(store, np.array([[0, 1], [1, 2]]), 16).draw(Stream(0, "p"), np.arange(40))
        cut = patches(store, places, 16, *Augmentation(level).draw(Stream(0, "a"), np.arange(40), 2))
    assert cut.abs().max() < 10


def test_reflection_works_however_far_a_warp_reaches() -> None:
    movie = prepared(noise((2, 9, 9)))
    shift = identity(1, 1)
    shift[0, 0, 1, 2] = 2.5  # of a patch of 8: 20 pixels to the right of a frame of 9
    with stored(movie) as store:
        places = Places(np.array([[0]]), np.array([0]), np.array([0]))
        cut = patches(store, places, 8, still(1, affine=shift))[0, 0, 0].numpy()
    columns = np.pad(np.arange(9), (0, 40), mode="reflect")[20:28]
    assert np.allclose(cut, movie.frame(0)[0, :8][:, columns], atol=1e-4)
