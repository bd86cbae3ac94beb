from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_tarrow.engine.inference.maps.percentiles import stack_percentiles

WANTED = (0, 0.1, 37.5, 50, 99.99, 100)


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 30)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1e-45, -1e-45]),
    )
)
def test_percentiles_of_a_stack_are_those_of_all_its_values(values: np.ndarray) -> None:
    found = stack_percentiles(lambda: iter(values), WANTED)
    expected = np.percentile(values.astype(np.float64), WANTED)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_values_that_differ_in_their_last_bits_are_told_apart() -> None:
    values = np.float32(1) + np.arange(100_000, dtype=np.float32) * np.float32(2**-23)
    found = stack_percentiles(lambda: iter(np.split(values, 4)), (0.1, 99.99))
    np.testing.assert_array_equal(found, np.percentile(values.astype(np.float64), (0.1, 99.99)))


def test_of_nothing_there_are_no_percentiles() -> None:
    with pytest.raises(ValueError, match="no values"):
        stack_percentiles(lambda: iter([]), (50,))
