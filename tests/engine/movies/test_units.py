from __future__ import annotations

import pytest

from napari_tarrow.engine.movies.units import micrometres, seconds


@pytest.mark.parametrize("unit", ["um", "µm", "μm", "\\u00B5m", "micron", "microns", "Micrometer", " micrometers "])
def test_every_spelling_of_a_micrometre_is_one(unit):
    assert micrometres(0.65, unit) == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(1, "sec", 1), (2, "min", 120), (3, "hours", 10800), (50, "ms", 0.05), (1, "day", 86400), (4, "seconds", 4)],
)
def test_durations_become_seconds(value, unit, expected):
    assert seconds(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit"), [(None, "um"), (1, None), (1, "pixel"), (1, "inch"), (0, "um"), (float("nan"), "s")]
)
def test_what_is_not_known_is_none(value, unit):
    assert micrometres(value, unit) is None
    assert seconds(value, unit) is None
