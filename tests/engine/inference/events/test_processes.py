from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.inference.events.peaks import Peaks, Scale
from napari_tarrow.engine.inference.events.processes import Process, processes

RADIUS = 8.0


def found(*layers: list[tuple[float, float]], fast: bool = False) -> list[Process]:
    """Processes of maxima on one line: their `x` and scores, map by map."""
    peaks = []
    for number, maxima in enumerate(layers):
        xs, scores = np.array(sorted(maxima, key=lambda one: -one[1])).reshape(-1, 2).T
        peaks.append(Peaks((number, number + 1), np.stack([np.full_like(xs, 80), xs], 1), scores))
    return list(processes(peaks, Scale.of(RADIUS, fast)))


def places(process: Process) -> list[float]:
    return [float(station.place[1]) for station in process.stations]


def test_a_process_that_leaps_while_it_is_strong_is_one_and_has_two_places():
    (one,) = found([], [(80, 0.7)], [(100, 1.0)], [(102, 0.9)], [])
    assert (one.layer, one.score) == (2, 1.0)
    assert places(one) == [100, 80]
    assert [(station.first, station.last) for station in one.stations] == [(0, 4), (0, 3)]


def test_it_leaps_forwards_in_time_as_well():
    (one,) = found([(80, 1.0)], [(100, 0.7)])
    assert places(one) == [80, 100]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(80, 0.7), (104, 0.3)], [(100, 1.0)]),  # something led there by itself
        ([(80, 0.7)], [(106, 1.0)]),  # more than three radii
    ],
)
def test_a_neighbour_is_not_leapt_to(before, after):
    assert [places(one) for one in found(before, after)] == [[after[0][0]], [80]]


def test_weak_light_that_is_left_behind_belongs_to_the_process_and_is_no_place_of_it():
    (one,) = found([(80, 0.5)], [(100, 1.0)])
    assert places(one) == [100]


def test_a_process_that_creeps_has_a_place_every_two_radii():
    (one,) = found(*([(80 + 10 * step, 1 - 0.01 * step)] for step in range(5)))
    assert places(one) == [80, 100, 120]


def test_what_is_another_object_is_not_leapt_to():
    assert [places(one) for one in found([(80, 0.8)], [(98, 1.0)], fast=True)] == [[98], [80]]
