from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import sequences, split_range


@pytest.mark.parametrize("n", [2, 7, 10, 48, 92, 105])
@pytest.mark.parametrize("split", [(0, 1), (0.0, 0.8), (0.8, 1.0), (0.1, 0.3), (0.29, 0.57)])
def test_a_split_truncates_as_upstream_does(n, split):
    assert list(split_range(n, split)) == list(range(n))[int(n * split[0]) : int(n * split[1])]


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.8, 0.2), (-0.1, 1), (0, 1.1), (float("nan"), 1)])
def test_a_split_that_is_no_part_of_a_movie_is_refused(split):
    with pytest.raises(UserError, match="increasing numbers from 0 to 1"):
        split_range(10, split)


def test_no_sequence_bridges_a_gap():
    numbers = np.array([0, 1, 2, 5, 6, 8])

    assert sequences(numbers, range(6), 2, 1).tolist() == [[0, 1], [1, 2], [3, 4]]
    assert sequences(numbers, range(6), 2, 3).tolist() == [[2, 3], [3, 5]]
    assert sequences(numbers, range(6), 3, 1).tolist() == [[0, 1, 2]]
    assert sequences(numbers, range(6), 4, 1).shape == (0, 4)


def test_no_sequence_leaves_its_split():
    assert sequences(np.arange(10), range(4, 8), 2, 2).tolist() == [[4, 6], [5, 7]]
    assert sequences(np.arange(10), range(4, 4), 2, 2).shape == (0, 2)


@given(
    numbers=st.sets(st.integers(0, 40), min_size=1).map(sorted),
    bounds=st.tuples(st.integers(0, 41), st.integers(0, 41)),
    n_frames=st.integers(1, 4),
    delta=st.integers(1, 9),
)
def test_sequences_are_exactly_those_that_counting_by_hand_finds(numbers, bounds, n_frames, delta):
    within = range(min(bounds[0], len(numbers)), min(bounds[1], len(numbers)))
    place = {numbers[index]: index for index in within}
    expected = [
        [place[first + step * delta] for step in range(n_frames)]
        for first in place
        if all(first + step * delta in place for step in range(n_frames))
    ]

    found = sequences(np.array(numbers), within, n_frames, delta)

    assert found.dtype == np.int64
    assert found.shape == (len(expected), n_frames)
    assert found.tolist() == expected
