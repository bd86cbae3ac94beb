"""Scores: one to one, nearest first, for every threshold; compared with the definition carried out word by word."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.scoring import Cut, Division, read_divisions, score
from napari_tarrow.samples import SAMPLES


def event(y: float, x: float, value: float, frame: int = 5) -> Event:
    return Event(frame, y, x, value, (frame, frame + 1))


def matched(events, divisions, distance, frames):
    """The definition: all pairs within the limits, nearest first, each event and division once."""
    pairs = sorted(
        (math.hypot(e.y - d.y, e.x - d.x), abs(e.frame - d.frame), i, j)
        for i, e in enumerate(events)
        for j, d in enumerate(divisions)
        if math.hypot(e.y - d.y, e.x - d.x) <= distance and abs(e.frame - d.frame) <= frames
    )
    finds = {}
    for _, _, i, j in pairs:
        if i not in finds and j not in finds.values():
            finds[i] = j
    return finds


coordinates = st.integers(0, 6).map(float)
some_events = st.lists(
    st.builds(event, coordinates, coordinates, st.integers(1, 6).map(float), st.integers(0, 4)), max_size=14
)
some_divisions = st.lists(st.builds(Division, st.integers(0, 4), coordinates, coordinates), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(some_events, some_divisions, st.integers(0, 2), st.sampled_from([1.0, 2.0, 2.5, 9.0]))
def test_every_threshold_gets_the_matching_of_its_own_events(events, divisions, frames, distance):
    ranked = sorted(events, key=lambda e: -e.score)
    n = len(divisions)
    counts = [len(matched(ranked[:size], divisions, distance, frames)) for size in range(len(events) + 1)]
    full = matched(ranked, divisions, distance, frames)

    result = score(events, divisions, distance=distance, frames=frames, threshold=3.0)

    assert result.recall_at_n == counts[min(n, len(events))] / n
    assert result.precision_at_n == counts[min(n, len(events))] / max(1, min(n, len(events)))
    assert result.recall_at_2n == counts[min(2 * n, len(events))] / n
    sizes = [0] + [sum(e.score >= value for e in events) for value in sorted({e.score for e in events}, reverse=True)]
    assert result.best.f1 == max(2 * counts[size] / (size + n) for size in sizes)
    assert result.chosen.found == counts[sum(e.score >= 3 for e in events)]
    assert sorted(find for find in result.matches if find is not None) == sorted(full.values())
    assert {id(e): find for e, find in zip(events, result.matches, strict=True)} == {
        id(e): full.get(i) for i, e in enumerate(ranked)
    }
    parts = [(counts[b] - counts[a]) / n * counts[b] / b for a, b in itertools.pairwise(sizes)]
    assert result.average_precision == pytest.approx(sum(parts))


def test_the_nearest_event_finds_the_division_not_the_strongest():
    far, near = event(0, 8, 9.0), event(0, 1, 1.0)

    result = score([far, near], [Division(5, 0, 0)], distance=10)

    assert result.matches == (None, 0)


def test_who_loses_a_division_goes_to_the_next():
    divisions = [Division(5, 0, 0), Division(5, 0, 10)]
    between, on = event(0, 4, 9.0), event(0, 0, 1.0)

    result = score([between, on], divisions, distance=10)

    assert result.matches == (1, 0)
    assert (result.recall_at_n, result.best.f1) == (1.0, 1.0)


def test_one_division_is_found_once_and_the_second_find_is_false():
    twice = [event(0, 0, 3.0), event(0, 1, 2.0)]

    result = score(twice, [Division(5, 0, 0), Division(5, 99, 99)])

    assert (result.recall_at_n, result.precision_at_n, result.recall_at_2n) == (0.5, 0.5, 0.5)
    assert result.best == Cut(threshold=3.0, events=1, found=1, precision=1.0, recall=0.5, f1=2 / 3)


def test_equal_distances_go_by_time_then_by_score():
    late, early, weak = event(0, 1, 9.0, frame=6), event(1, 0, 2.0, frame=5), event(0, 1, 1.0, frame=5)

    assert score([late, early], [Division(5, 0, 0)]).matches == (None, 0)
    assert score([weak, early], [Division(5, 0, 0)]).matches == (None, 0)


@pytest.mark.parametrize(("frame", "x", "found"), [(4, 15, 1), (6, 15, 1), (3, 0, 0), (7, 0, 0), (5, 15.01, 0)])
def test_the_limits_belong_to_what_is_near(frame, x, found):
    result = score([event(0, x, 1.0, frame=frame)], [Division(5, 0, 0)], distance=15, frames=1)

    assert result.best.found == found


def test_frames_zero_wants_the_same_pair():
    divisions = [Division(5, 0, 0)]

    assert score([event(0, 0, 1.0, frame=5)], divisions, frames=0).recall_at_n == 1
    assert score([event(0, 0, 1.0, frame=6)], divisions, frames=0).recall_at_n == 0


def test_a_worked_example():
    known = [Division(5, 100 * i, 0) for i in range(4)]
    hits, values = [1, 0, 1, 1, 0], [10, 8, 6, 4, 2]
    rows = zip(hits, values, (0, 500, 100, 200, 600), strict=True)
    events = [event(y, 0 if hit else 50, value) for hit, value, y in rows]

    result = score(events, known, threshold=5)

    assert (result.events, result.known, result.recall_at_n, result.precision_at_n) == (5, 4, 0.75, 0.75)
    assert result.recall_at_2n == 0.75
    assert result.average_precision == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 4)
    assert result.best == Cut(threshold=4.0, events=4, found=3, precision=0.75, recall=0.75, f1=0.75)
    assert result.chosen == Cut(threshold=6.0, events=3, found=2, precision=2 / 3, recall=0.5, f1=4 / 7)


def test_no_event_scores_nothing():
    result = score([], [Division(5, 0, 0)], threshold=1.0)

    assert result.best == result.chosen == Cut(None, 0, 0, 0.0, 0.0, 0.0)
    assert (result.recall_at_n, result.recall_at_2n, result.precision_at_n, result.average_precision) == (0, 0, 0, 0)


def test_an_infinite_threshold_chooses_nothing():
    assert score([event(0, 0, 1.0)], [Division(5, 0, 0)], threshold=math.inf).chosen.events == 0


def test_without_a_known_division_there_is_no_score():
    with pytest.raises(ValueError, match="nothing to compare with"):
        score([event(0, 0, 1.0)], [])


def test_thousands_of_events_in_a_crowd_take_no_time():
    rng = np.random.default_rng(0)
    events = [event(*rng.uniform(0, 100, 2), rng.random(), int(rng.integers(20))) for _ in range(3000)]
    divisions = [Division(int(rng.integers(20)), *rng.uniform(0, 100, 2)) for _ in range(1500)]

    assert score(events, divisions).best.f1 > 0.4


def test_the_bundled_list_of_divisions_is_read():
    divisions = read_divisions(SAMPLES["cancer_cell_migration"].divisions)

    assert divisions == [Division(6, 111, 58), Division(23, 53, 93), Division(24, 26, 81)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("t,y,x\n1,2,3\n", "has no column frame. If t is that, rename it to frame."),
        ("time,y,x\n1,2,3\n", "If time is that, rename it to frame."),
        ("frame,y\n1,2\n", "has no column x. It has: frame, y."),
        ("frame,y,x\n1,2,3\n1,2,?\n", "line 3: x is '?', but has to be a number."),
    ],
)
def test_a_list_that_cannot_be_read_is_a_sentence(tmp_path, text, sentence):
    path = tmp_path / "divisions.csv"
    path.write_text(text)

    with pytest.raises(UserError) as refused:
        read_divisions(path)

    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)
