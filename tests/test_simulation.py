"""Simulated movies are those of their seed, and chromosomes part where and when the list says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

SIMULATION = Path(__file__).parents[1] / "simulation"
QUIET = {
    "radius": 7, "interval": 12, "density": 0.3, "speed": 0.02, "turning": 0.02, "flow": 0, "room": 2, "cycle": 150,
    "deaths": 0, "remains": 0, "specks": 0, "variety": 0, "contrast": 0.1, "defocus": 0, "blur": 0.7, "haze": 0,
    "noise": 0.02, "flicker": 0, "shake": 0,
}  # fmt: skip


@pytest.fixture
def culture(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SIMULATION))
    import culture

    return culture


def test_a_movie_is_that_of_its_seed_and_number(tmp_path: Path) -> None:
    command = [sys.executable, str(SIMULATION / "simulate.py"), "--frames", "3", "--side", "64", "--movies"]
    for count, out in (("2", "a"), ("1", "b")):
        subprocess.run([*command, count, str(tmp_path / out)], check=True)
    first, second, again = (
        tifffile.imread(tmp_path / path) for path in ("a/nuclei_00.tif", "a/nuclei_01.tif", "b/nuclei_00.tif")
    )
    assert (first.shape, first.dtype) == ((3, 64, 64), np.uint16)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(first, second)
    header = (tmp_path / "a" / "nuclei_00_divisions.csv").read_text().splitlines()[0]
    assert header == "frame,y,x"


def test_chromosomes_leave_the_middle_where_and_when_the_list_says(culture: Any) -> None:
    movie, divisions = culture.film(np.random.default_rng(0), culture.Conditions(**QUIET), frames=16, side=160)
    early = [one for one in divisions if one.frame < 14]
    assert len(early) > 10
    dimmer = 0
    for one in early:
        before, after = (
            movie[frame, max(0, int(one.y) - 1) : int(one.y) + 2, max(0, int(one.x) - 1) : int(one.x) + 2].mean()
            for frame in (one.frame, one.frame + 2)  # plates may have begun to part just before the next
        )
        dimmer += before > 2 * after
    assert dimmer > 0.9 * len(early)


def test_nuclei_that_do_not_divide_or_die_stay_as_many(culture: Any) -> None:
    rng = np.random.default_rng(1)
    lasting = culture.Culture(rng, culture.Conditions(**QUIET | {"cycle": 1e9}), 96)
    count = len(lasting.nuclei)
    assert lasting.pass_minutes(60) == []
    assert len(lasting.nuclei) == count
    dying = culture.Culture(rng, culture.Conditions(**QUIET | {"cycle": 10, "deaths": 1}), 96)
    dying.pass_minutes(300)
    assert {nucleus.phase for nucleus in dying.nuclei} <= {"interphase", "dying", "dead"}
    assert any(nucleus.dead for nucleus in dying.nuclei)


def test_shapes_and_numbers_of_specks_have_no_direction_in_time(culture: Any) -> None:
    """What varies to and fro varies as much in the end as at the start."""
    rng = np.random.default_rng(2)
    lasting = culture.Culture(rng, culture.Conditions(**QUIET | {"cycle": 1e9, "specks": 40, "room": 0}), 256)

    def spreads() -> list[float]:
        nuclei = lasting.nuclei
        outlines, lengths = (np.array([getattr(one, name) for one in nuclei]) for name in ("outline", "elongation"))
        return [outlines.std(), lengths.std() / 0.25]

    start = spreads()
    specks = [len(lasting._specks)]
    lasting.pass_minutes(600)
    for _ in range(4):
        lasting.picture()
        specks.append(len(lasting._specks))
    np.testing.assert_allclose(start, 1, atol=0.15)
    np.testing.assert_allclose(spreads(), 1, atol=0.15)
    assert 20 < min(specks) <= max(specks) < 60


def test_eddies_neither_gather_nor_scatter(culture: Any) -> None:
    flow = culture._eddies(np.random.default_rng(3))
    along = [np.roll(part, -1, axis) - np.roll(part, 1, axis) for axis, part in enumerate(flow)]
    np.testing.assert_allclose(along[0] + along[1], 0, atol=1e-9)
    assert 0.9 < flow.std() < 1.1
