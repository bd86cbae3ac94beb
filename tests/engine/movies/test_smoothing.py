from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.movies.smoothing import smoothed


def frames(*gaps, n=60):
    return np.array([number for number in range(n) if number not in gaps])


@pytest.mark.parametrize("gaps", [(), (3, 4, 20, 21, 22, 40)])
@pytest.mark.parametrize("slope", [0.0, 5.0, -12.0])
def test_a_straight_trend_is_followed_to_the_very_ends(slope, gaps):
    numbers = frames(*gaps)
    trend = 1000 + slope * numbers

    np.testing.assert_allclose(smoothed(trend, numbers), trend, rtol=1e-9)


@pytest.mark.parametrize("where", [0, 1, 10, 30, 56])
def test_a_few_bright_frames_do_not_show(where):
    numbers = frames()
    bleaching = 1000 - 4.0 * numbers
    seen = bleaching.copy()
    seen[where : where + 4] *= 3

    np.testing.assert_allclose(smoothed(seen, numbers), bleaching, rtol=0.03)


def test_slow_bleaching_is_followed():
    numbers = frames()
    bleaching = 1000 * np.exp(-numbers / 40)

    np.testing.assert_allclose(smoothed(bleaching, numbers), bleaching, rtol=0.02)


def test_a_gap_counts_as_the_time_it_is():
    numbers = np.array([*range(20), *range(1000, 1020)])
    steps = np.where(numbers < 500, 10.0, 20.0)

    result = smoothed(steps, numbers)

    np.testing.assert_allclose(result[:8], 10)
    np.testing.assert_allclose(result[-8:], 20)
    assert set(np.round(result, 6)) <= {10.0, 20.0}


@pytest.mark.parametrize("n", [2, 3, 14, 15, 16])
def test_short_movies_are_smoothed_too(n):
    np.testing.assert_allclose(smoothed(np.full(n, 7.0), np.arange(n)), 7.0)


def test_the_result_stays_within_what_was_seen():
    values = np.random.default_rng(0).random(80) ** 8

    result = smoothed(values, np.arange(80))

    assert result.min() >= values.min()
    assert result.max() <= values.max()
