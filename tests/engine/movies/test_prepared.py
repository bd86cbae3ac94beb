from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, normalization, open_movie

GOLDEN = Path(__file__).parents[2] / "golden" / "golden.npz"


def textured(n=12, size=(64, 72), dtype=np.uint16, seed=0):
    """Frames whose brightness drifts, so that frames, movie and smooth all differ."""
    random = np.random.default_rng(seed)
    drift = np.linspace(1, 2, n)[:, None, None]
    return (random.gamma(2, 300, (n, *size)) * drift).astype(dtype)


def prepared(pixels, channels=0, **options):
    return PreparedMovie(open_movie(pixels, channels=channels), Preparation(channels=channels, **options))


@pytest.mark.parametrize("case", [1, 2])
def test_normalised_frames_agree_with_the_reference(case):
    with np.load(GOLDEN) as golden:
        stored, expected = golden[f"normalize/in_{case}"], golden[f"normalize/out_{case}"]
    frame = stored.reshape(-1, *stored.shape[-2:])

    ours = prepared(np.stack([frame, frame[:, ::-1]]), channels=len(frame)).frame(0)

    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, rtol=1e-6, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("mode", ["frame", "movie", "smooth"])
def test_a_prepared_frame_is_the_stored_one_minus_low_by_span(mode):
    movie = prepared(textured(), normalize=mode)
    rows = movie.normalization()

    assert rows.shape == (12, 2, 1)
    assert rows.dtype == np.float32
    assert movie.stored(3).dtype == movie.dtype == np.uint16
    expected = (movie.stored(3).astype(np.float32) - rows[3, 0]) / rows[3, 1]
    np.testing.assert_array_equal(movie.frame(3), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_where_all_frames_are_alike_smoothing_changes_nothing(dtype):
    pixels = np.repeat(textured(n=1, dtype=np.int16).astype(dtype), 20, axis=0)

    smooth, frame = (prepared(pixels, normalize=mode).normalization() for mode in ("smooth", "frame"))

    np.testing.assert_allclose(smooth, frame, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_movie_takes_the_percentiles_of_all_frames_together(dtype):
    pixels = textured(n=5, dtype=np.float64)[:, :24, :24] / (30 if np.dtype(dtype).itemsize == 1 else 1)
    pixels = (pixels - (500 if np.dtype(dtype).kind == "i" else 0)).astype(
        dtype
    )  # few values: neighbours in rank differ

    rows = prepared(pixels, normalize="movie").normalization()

    low, high = np.percentile(pixels[:, ::8, ::8].astype(np.float64), (1, 99.8))
    np.testing.assert_allclose(rows, np.tile([[low], [high - low]], (5, 1, 1)), rtol=1e-6, atol=1e-4)


def test_movie_keeps_a_bounded_sample_of_reals(monkeypatch):
    pixels = textured(n=10, size=(160, 160), dtype=np.float32)
    exact = prepared(pixels, normalize="movie").normalization()
    monkeypatch.setattr(normalization, "MOVIE_VALUES", 2000)

    sampled = prepared(pixels, normalize="movie").normalization()

    assert (sampled != exact).any()
    np.testing.assert_allclose(sampled, exact, rtol=0.25)


def test_smooth_ignores_one_bright_frame_where_frame_does_not():
    pixels = np.repeat(textured(n=1), 30, axis=0)
    pixels[14, :40] = 60000

    smooth, frame = (prepared(pixels, normalize=mode).normalization() for mode in ("smooth", "frame"))

    np.testing.assert_allclose(smooth, np.repeat(smooth[:1], 30, axis=0), rtol=1e-5)
    assert frame[14, 1] > 10 * frame[13, 1]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("mode", ["channel", "movie", "smooth"])
def test_each_channel_is_scaled_by_itself(mode, dtype):
    bright = textured(dtype=np.float64) * 10 + 20000
    both = np.stack([bright.astype(dtype), textured(seed=1, dtype=dtype)], 1)

    whole = prepared(both, channels=2, normalize=mode)
    rows = whole.normalization()

    for channel in range(2):
        alone = prepared(both[:, channel], normalize=mode)
        np.testing.assert_array_equal(rows[..., channel], alone.normalization()[..., 0])
        np.testing.assert_array_equal(whole.frame(3)[channel], alone.frame(3)[0])
        np.testing.assert_array_equal(whole.by_frame().frame(3)[channel], alone.by_frame().frame(3)[0])


@pytest.mark.parametrize("mode", ["channel", "movie", "smooth"])
def test_together_channels_have_the_widest_span_of_them(mode):
    green = textured()
    colours = np.stack([green // 50, green, 500 + green // 2], 1)

    rows = prepared(colours, channels=3, normalize=mode, scale_channels="together").normalization()

    for channel in range(3):
        alone = prepared(colours[:, channel], normalize=mode).normalization()
        np.testing.assert_array_equal(rows[:, 0, channel], alone[:, 0, 0])
    own = prepared(green, normalize=mode).normalization()
    np.testing.assert_array_equal(rows[:, 1], np.repeat(own[:, 1], 3, 1))


def test_one_channel_is_scaled_as_its_frame():
    rows = [prepared(textured(), normalize=mode).normalization() for mode in ("frame", "channel")]

    np.testing.assert_array_equal(*rows)


def test_frame_scales_all_channels_together_as_published():
    rows = prepared(np.stack([textured(), textured() + 20000], 1), channels=2).normalization()

    np.testing.assert_array_equal(rows[..., 0], rows[..., 1])


@pytest.mark.parametrize("every", [3, 10])
def test_a_channel_that_is_recorded_now_and_then_is_scaled_as_it_is_then(every):
    pixels = textured(n=40)
    rare = np.full_like(pixels, 100)
    rare[::every] = pixels[::every]

    movie = prepared(np.stack([pixels, rare], 1), channels=2, normalize="smooth")

    frames = np.stack([movie.frame(index) for index in range(40)])
    assert abs(frames).max() < 10
    lit = abs(frames[::every, 0] - frames[::every, 1])
    assert np.median(lit) < 0.1  # smoothed over other frames


def test_a_channel_that_shows_nothing_is_zero_however_its_grey_value_moves():
    dark = np.broadcast_to(np.arange(12, dtype=np.uint16)[:, None, None] ** 2, textured().shape)
    movie = prepared(np.stack([dark, textured()], 1), channels=2, normalize="smooth")

    assert all((movie.frame(index)[0] == 0).all() for index in range(12))
    assert movie.frame(5)[1].std() > 0.1


@pytest.mark.parametrize("mode", ["frame", "movie", "smooth"])
def test_the_number_of_threads_changes_nothing(mode, monkeypatch):
    pixels = textured(n=40, dtype=np.float32)
    rows = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(normalization, "THREADS", threads)
        monkeypatch.setattr(normalization.os, "cpu_count", lambda: 8)
        rows.append(prepared(pixels, normalize=mode).normalization())

    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


def counting(pixels, counts):
    movie = open_movie(pixels)
    read = movie.read
    object.__setattr__(movie, "read", lambda index: (counts.append(index), read(index))[1])
    return movie


@pytest.mark.parametrize("mode", ["frame", "movie", "smooth"])
def test_every_frame_is_looked_at_once_also_when_threads_ask_together(mode):
    counts = []
    movie = PreparedMovie(counting(textured(), counts), Preparation(mode))

    threads = [threading.Thread(target=movie.normalization) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    movie.normalization([3, 4])

    assert sorted(counts) == list(range(12))


def test_rows_of_some_frames_read_only_those():
    counts = []
    movie = PreparedMovie(counting(textured(), counts), Preparation())

    some = movie.normalization([7, 2])

    assert counts == [7, 2]
    np.testing.assert_array_equal(some, movie.normalization()[[7, 2]])


def test_subsampling_is_the_mean_over_blocks_of_the_normalised_frame():
    pixels = np.stack([textured(size=(67, 71)), textured(size=(67, 71), seed=1)], axis=1)
    whole, halved = prepared(pixels, channels=2), prepared(pixels, channels=2, subsample=3)

    assert halved.shape == (12, 2, 22, 23)
    assert halved.stored(0).dtype == halved.dtype == np.float32
    expected = whole.frame(4)[:, :66, :69].reshape(2, 22, 3, 23, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(halved.frame(4), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(halved.normalization(), whole.normalization())


def test_binarise_gives_zeros_and_ones_and_their_means_over_blocks():
    pixels = np.zeros((3, 8, 8), dtype=np.int16)
    pixels[:, :3], pixels[:, 5:] = 7, -7

    whole, halved = prepared(pixels, binarize=True), prepared(pixels, binarize=True, subsample=2)

    assert whole.dtype == whole.stored(0).dtype == np.uint8
    np.testing.assert_array_equal(whole.normalization(), [[[0], [1]]] * 3)
    np.testing.assert_array_equal(whole.frame(1)[0], pixels[1] > 0)
    np.testing.assert_array_equal(halved.frame(1)[0, :, 0], [1, 0.5, 0, 0])


@pytest.mark.parametrize(
    ("dtype", "stored"), [("?", "u1"), ("f2", "f4"), ("f8", "f4"), ("i8", "f4"), ("u4", "u4"), ("i1", "i1")]
)
def test_stored_frames_have_a_type_a_device_can_hold(dtype, stored):
    pixels = (np.arange(2 * 64).reshape(2, 8, 8) % 2).astype(dtype)
    movie = prepared(pixels)

    assert movie.dtype == movie.stored(0).dtype == np.dtype(stored)
    np.testing.assert_array_equal(movie.stored(0)[0], pixels[0])
    assert np.isfinite(movie.frame(1)).all()


def test_few_bright_spots_on_a_flat_background_do_not_explode():
    pixels = np.zeros((3, 64, 64), dtype=np.uint16)
    pixels[:, 1, 1] = 5000

    for mode in ("frame", "movie", "smooth"):
        assert prepared(pixels, normalize=mode).frame(0).max() == pytest.approx(1)


@pytest.mark.parametrize(("value", "dtype"), [(999.99, np.float32), (1000003, np.uint32), (65535, np.uint16)])
@pytest.mark.parametrize("subsample", [3, 5, 6, 17])
def test_a_constant_frame_is_zero_at_every_resolution(value, dtype, subsample):
    frames = np.random.default_rng(0).integers(900, 1100, (3, 51, 51)).astype(dtype)
    frames[1] = value
    prepared = PreparedMovie(open_movie(frames), Preparation(normalize="frame", subsample=subsample))
    assert not prepared.frame(1).any()


def test_some_constant_frames_are_fine_but_not_all():
    pixels = textured()
    pixels[4] = 17

    for mode in ("frame", "movie", "smooth"):
        assert np.isfinite(prepared(pixels, normalize=mode).frame(4)).all()
        with pytest.raises(UserError, match="every frame has one grey value"):
            prepared(np.full_like(pixels, 17), normalize=mode).normalization()
    with pytest.raises(UserError, match="after binarize"):
        prepared(textured() + 1, binarize=True).normalization()


def test_values_that_float32_cannot_hold_are_told_as_such():
    pixels = textured(dtype=np.float64)
    pixels[5, 3, 3] = 1e300
    with pytest.raises(UserError, match=r"Frame 5 of array holds values beyond 3e38.* Scale them down\."):
        prepared(pixels).stored(5)


@pytest.mark.parametrize("channels", [0, 1])
def test_more_channels_than_wanted_come_with_a_way_out(channels):
    movie = open_movie(np.stack([textured(), textured()], axis=1), channels=2)
    with pytest.raises(UserError, match=r"Open it with channels 1, or train with channels 2\.$"):
        PreparedMovie(movie, Preparation(channels=channels))
    assert PreparedMovie(open_movie(movie, channels=1), Preparation(channels=channels)).shape[1] == 1
    assert PreparedMovie(movie, Preparation(channels=2)).shape[1] == 2


def test_a_preparation_of_numpy_s_numbers_holds_python_s_own():
    given = Preparation(
        subsample=np.int64(2), binarize=np.True_, channels=np.uint8(1), z=np.int16(3), channel=np.int8(2)
    )
    assert [type(value) for value in asdict(given).values()] == [str, bool, int, int, int, int, str]
    assert given == Preparation(subsample=2, binarize=True, channels=1, z=3, channel=2)
    with pytest.raises(UserError, match=r"subsample is .*2\.0"):
        Preparation(subsample=np.float64(2))


@pytest.mark.parametrize("mode", ["frame", "movie", "smooth"])
@pytest.mark.parametrize("subsample", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "offset"), [(np.int32, 10**9), (np.int32, -(10**9)), (np.uint32, 4 * 10**9), (np.float64, 1e12)]
)
def test_a_large_offset_changes_nothing(dtype, offset, subsample, mode):
    pixels = textured().astype(np.int64) % 60
    near, far = (
        prepared(frames, normalize=mode, subsample=subsample)
        for frames in (pixels.astype(np.float32), (pixels + offset).astype(dtype))
    )
    low, span = far.normalization()[3]
    np.testing.assert_allclose(far.frame(3), near.frame(3), atol=1e-6)
    np.testing.assert_allclose((far.stored(3) - low) / span, near.frame(3), atol=1e-6)
    assert far.stored(3).dtype == far.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_values_that_float32_can_part_stay_as_they_are(dtype):
    pixels = (textured() % 60).astype(dtype) + 100_000
    np.testing.assert_array_equal(prepared(pixels).stored(3)[0], pixels[3])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_told_with_their_frame(bad):
    pixels = textured(dtype=np.float64)
    pixels[5, 3, 3] = bad

    for mode in ("frame", "movie", "smooth"):
        with pytest.raises(UserError, match=r"Frame 5 of array holds NaN or infinite values.*nan_to_num"):
            prepared(pixels, normalize=mode).normalization()
    with pytest.raises(UserError, match="Frame 5 of array"):
        prepared(pixels).stored(5)


@pytest.mark.parametrize(
    ("preparation", "message"),
    [
        (Preparation(subsample=65), "64 x 72, smaller than one block"),
        (Preparation(channels=2), "1 channel, but 2 are wanted. Open it with channels 2.$"),
    ],
)
def test_a_preparation_that_does_not_fit_the_movie_is_refused(preparation, message):
    with pytest.raises(UserError, match=message):
        PreparedMovie(open_movie(textured()), preparation)
