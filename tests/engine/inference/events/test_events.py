from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.events.events import Event, find_events, search_events
from napari_tarrow.engine.inference.events.moments import Timed
from napari_tarrow.engine.inference.maps.attribution import AttributionMap
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.alignment import Alignment

SIZE, RADIUS = 160, 8.0


def spot(y: float, x: float, sigma: float = 5.0, height: float = 1.0) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return (height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))).astype(np.float32)


def movie_of(frames: list[np.ndarray], numbers: list[int] | None = None) -> PreparedMovie:
    return PreparedMovie(open_movie(np.stack(frames), frame_numbers=numbers), Preparation("movie"))


def maps_of(maps: list[np.ndarray]) -> list[AttributionMap]:
    return [AttributionMap((index, index + 1), map) for index, map in enumerate(maps)]


@pytest.fixture
def division() -> tuple[PreparedMovie, list[AttributionMap]]:
    """A nucleus at (80, 80) rounds up in frame 3, and has divided in frame 4; each step leaves its trace in the map."""
    parent, daughters = spot(80, 80, 6), spot(80, 62) + spot(80, 98)
    movie = movie_of([parent] * 3 + [2 * spot(80, 80, 4)] + [2 * daughters] + [daughters] * 4)
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty, empty, spot(80, 80), 1.5 * spot(80, 78), spot(80, 62) + 0.9 * spot(80, 98), empty, empty, empty]
    return movie, maps_of(maps)


def test_a_division_is_one_event_where_and_when_it_happens(division):
    movie, maps = division
    (event,) = find_events(maps, movie, radius=RADIUS)
    assert event.pair == (3, 4)
    assert event.frame == 3
    assert (event.y, event.x) == pytest.approx((80, 80), abs=3)
    assert event.score > 0.3


def test_the_search_says_how_far_it_is_and_may_be_ended_early(division):
    movie, maps = division
    steps = list(search_events(maps, movie, radius=RADIUS))
    assert [step for step in steps if isinstance(step, int)] == sorted(step for step in steps if isinstance(step, int))
    assert steps[7] == len(maps)
    assert [step.done for step in steps if isinstance(step, Timed)] == [*range(9)]
    assert [step for step in steps if isinstance(step, Event)] == find_events(maps, movie, radius=RADIUS)
    assert not [step for step in search_events(maps[:1], movie, radius=RADIUS) if isinstance(step, Event)]
    few = list(search_events(iter(maps[:3]), movie, radius=RADIUS))
    assert few[-1] == find_events(maps[:3], movie, radius=RADIUS)[0]
    assert find_events(maps, movie, radius=RADIUS, count=0) == []


def test_an_event_lies_where_things_change_though_the_map_lights_up_one_daughter():
    parent, daughters = spot(80, 80, 5), spot(80, 70, 4) + spot(80, 90, 4)
    maps = [np.zeros((SIZE, SIZE), np.float32)] * 7
    maps[3] = spot(80, 91, 3)
    (event,) = find_events(maps_of(maps), movie_of([parent] * 4 + [daughters] * 4), radius=RADIUS)
    assert event.frame == 3
    assert (event.y, event.x) == pytest.approx((80, 80), abs=3)


@pytest.mark.parametrize("delta", [1, 2, 4])
def test_an_event_happens_when_most_changes_whatever_the_time_step(delta):
    parent, daughters = spot(80, 80, 6), spot(80, 62) + spot(80, 98)
    rounding = [parent] * 6 + [1.2 * parent, 1.5 * spot(80, 80, 5)]
    movie = movie_of([*rounding, *[2 * daughters - 0.1 * i * spot(80, 62) for i in range(6)]])
    strongest = 1.0 + 0.2 * np.arange(delta + 3)[::-1]  # the map sees it coming
    maps = [np.zeros((SIZE, SIZE), np.float32)] * (len(movie.movie) - delta)
    maps[8 - delta - 1 : 8] = [strength * spot(80, 80) for strength in strongest[: delta + 1]]
    pairs = [AttributionMap((i, i + delta), map, delta=delta) for i, map in enumerate(maps)]
    (event,) = find_events(pairs, movie, radius=RADIUS)
    assert event.frame == 7
    assert event.pair[0] <= event.frame < event.pair[1] == event.pair[0] + delta


@pytest.mark.parametrize(("apart", "count"), [(14, 1), (26, 2)])
def test_what_happens_at_the_same_moment_within_two_radii_is_one_event(apart, count):
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty] * 9
    maps[1], maps[7] = spot(80, 60), 0.8 * spot(80, 60 + apart, 4)  # too long apart in time to be one process
    both = spot(80, 60) * 0.8 + spot(80, 60 + apart)
    movie = movie_of([empty] * 5 + [both] * 5)
    events = find_events(maps_of(maps), movie, radius=RADIUS)
    assert [event.frame for event in events] == [4] * count


@pytest.mark.parametrize(("strength", "count"), [(0.8, 2), (0.4, 1)])
def test_a_neighbour_about_as_strong_is_an_event_of_its_own_and_weak_light_nearby_is_not(strength, count):
    empty, nuclei = np.zeros((SIZE, SIZE), np.float32), spot(80, 60, 4) + spot(80, 84, 4)  # three radii apart
    maps = [empty] * 9
    maps[3], maps[4] = spot(80, 60, 4), strength * spot(80, 84, 4)
    movie = movie_of([nuclei] * 4 + [nuclei + spot(80, 60, 4)] + [2 * nuclei] * 5)
    events = find_events(maps_of(maps), movie, radius=RADIUS)
    assert [(event.frame, round(event.x / 24)) for event in events] == [(3, 2), (4, 4)][:count]


def test_frames_that_nobody_waits_for_leave_the_moment_of_the_strongest_map(division):
    movie, maps = division
    maps = [maps[0], maps[3], *maps[2:]]
    maps = [AttributionMap((i, i + 1), one.map) for i, one in enumerate(maps)]  # strongest two frames too early
    assert find_events(maps, movie, radius=RADIUS)[0].frame == 3
    stopping = threading.Event()
    stopping.set()
    (event,) = (one for one in search_events(maps, movie, radius=RADIUS, stopping=stopping) if isinstance(one, Event))
    assert event.pair == (event.frame, event.frame + 1) != (3, 4)


def test_two_processes_apart_in_space_or_in_time_are_two_events():
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty] * 12
    maps[1] = spot(40, 40) + 0.5 * spot(120, 110)
    maps[10] = 0.7 * spot(40, 40)
    frames = [(spot(40, 40) + spot(120, 110)) * (index > 1) + spot(40, 40) * (index > 10) for index in range(13)]
    events = find_events(maps_of(maps), movie_of(frames), radius=RADIUS)
    assert [event.frame for event in events[:3]] == [1, 10, 1]
    assert [(round(event.y), round(event.x)) for event in events[:3]] == [(40, 40), (40, 40), (120, 110)]
    assert [event.score for event in events] == sorted((event.score for event in events), reverse=True)


def test_a_process_that_moves_is_followed():
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty] + [(1 - 0.04 * index) * spot(60, 30 + 10 * index) for index in range(10)] + [empty]
    movie = movie_of([spot(60, 25 + 10 * index) for index in range(13)])
    assert len(find_events(maps_of(maps), movie, radius=RADIUS)) == 1


def test_a_division_that_pauses_between_prophase_and_daughters_is_one_event():
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty] * 12
    maps[3], maps[7] = spot(80, 80), 0.4 * spot(80, 80)  # smoothed over time, two maps between them hold nothing
    movie = movie_of([spot(80, 80) * (2 * (index > 3) + (index > 7)) for index in range(13)])
    (event,) = find_events(maps_of(maps), movie, radius=RADIUS)
    assert event.frame == 3


def test_a_daughter_that_shows_more_than_its_division_names_no_event_of_its_own():
    empty, apart = np.zeros((SIZE, SIZE), np.float32), [19, 24, 28, 32]  # of the daughters, frame by frame
    maps = [empty] * 12
    strengths = [(0.9, 80), (0.5, 99), (0.8, 104), (1.0, 108)]
    maps[3:7] = [strength * spot(80, x, 4) for strength, x in strengths]
    daughters = [spot(80, 80 - away, 4) + spot(80, 80 + away, 4) for away in apart]
    movie = movie_of([3 * spot(80, 80, 4)] * 4 + [2 * daughters[0], *daughters[1:]] + [daughters[-1]] * 5)
    (event,) = find_events(maps_of(maps), movie, radius=RADIUS)
    assert event.frame == 3
    assert (event.y, event.x) == pytest.approx((80, 80), abs=3)


def test_among_what_moves_an_event_lies_where_aligned_frames_change():
    draw = np.random.default_rng(0)
    sheet = [(y, x) for y, x in draw.uniform(-40, SIZE, (60, 2)) if np.hypot(y - 60, x - 80) > 22]

    def frame(index: int) -> np.ndarray:
        """Nuclei that move by 12 pixels down; one of them divides after frame 2."""
        moved = 12 * index
        parts = [spot(60 + moved, 80, 4)] if index < 3 else [spot(60 + moved, 80 + side, 3) for side in (-8, 8)]
        return sum((spot(y + moved, x, 4) for y, x in sheet), np.zeros((SIZE, SIZE))) + sum(parts)

    movie = movie_of([frame(index) for index in range(6)])
    alignment = Alignment(movie, RADIUS)
    maps = [np.zeros((SIZE, SIZE), np.float32)] * 5
    maps[2] = spot(90, 86, 4)  # beside it
    (event,) = find_events(maps_of(maps), movie, radius=RADIUS, alignment=alignment)
    assert event.frame == 2
    assert (event.y, event.x) == pytest.approx((60 + 24, 80), abs=3)
    (without,) = find_events(maps_of(maps), movie, radius=RADIUS)
    assert np.hypot(without.y - 84, without.x - 80) > np.hypot(event.y - 84, event.x - 80)


@pytest.mark.parametrize(("fast", "frames"), [(True, [2, 4]), (False, [2])])
def test_where_objects_move_far_the_same_place_in_the_next_map_is_another_object(fast, frames):
    empty, nucleus, other = np.zeros((SIZE, SIZE), np.float32), spot(80, 80), spot(80, 102)
    maps = [empty] * 7
    maps[2], maps[4] = nucleus, 0.5 * other
    movie = movie_of([empty] * 3 + [nucleus] * 2 + [nucleus + other] * 3)
    events = find_events(maps_of(maps), movie, radius=RADIUS, alignment=AsItIs(movie, RADIUS, fast=fast))
    assert [event.frame for event in events] == frames
    (alone,) = find_events(maps_of(maps[:4]), movie, radius=RADIUS)
    assert events[0].score == pytest.approx((2 if fast else 1) * alone.score)


class AsItIs(Alignment):
    """Frames in which nothing has moved."""

    def onto(self, first: int, other: int) -> np.ndarray:
        return self.movie.frame(other)


def test_an_event_at_the_border_counts_by_half():
    empty = np.zeros((SIZE, SIZE), np.float32)
    maps = [empty, spot(80, 80) + spot(0, 30), empty]
    inside, border = find_events(maps_of(maps), movie_of([spot(80, 80)] * 4), radius=RADIUS)
    assert inside.y == pytest.approx(80, abs=1)
    assert border.y == pytest.approx(0, abs=4)
    assert border.score == pytest.approx(inside.score / 2, rel=0.3)


def test_maps_of_several_time_steps_are_averaged():
    frames = [spot(80, 80) * (index % 2) for index in range(6)]
    one = [AttributionMap((i, i + 1), spot(80, 80)) for i in range(3)]
    other = [AttributionMap((i, i + 2), 3 * spot(80, 80), delta=2) for i in range(3)]
    both = list(itertools.chain.from_iterable(zip(one, other, strict=True)))
    (found,), (single,) = (find_events(maps, movie_of(frames), radius=RADIUS) for maps in (both, one))
    assert found.score == pytest.approx(2 * single.score)
    assert found.pair[1] - found.pair[0] == 1


def test_frames_are_named_by_their_numbers_and_a_gap_is_no_neighbour():
    empty = np.zeros((SIZE, SIZE), np.float32)
    numbers = [10, 11, 12, 20, 21, 22]
    frames = [spot(80, 80), empty] * 3
    maps = [AttributionMap((0, 1), empty), AttributionMap((1, 2), spot(80, 80)), AttributionMap((3, 4), spot(80, 80))]
    events = find_events(maps, movie_of(frames, numbers), radius=RADIUS)
    assert events[0].pair == (20, 21)  # nothing lies beside it: it is not averaged with an empty map, as the other is
    assert events[0].score > events[-1].score or len(events) == 1


def test_subsampled_movies_give_places_in_pixels_of_the_movie():
    frames = [spot(100, 60) * (index % 2) for index in range(4)]
    movie = PreparedMovie(open_movie(np.stack(frames)), Preparation("movie", subsample=2))
    (event,) = find_events(maps_of([0 * frames[0], spot(100, 60), 0 * frames[0]]), movie, radius=RADIUS)
    assert (event.y, event.x) == pytest.approx((100, 60), abs=0.6)


def test_maps_out_of_order_are_refused(division):
    movie, maps = division
    with pytest.raises(ValueError, match="in order"):
        find_events(maps[::-1], movie, radius=RADIUS)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(division, radius):
    movie, maps = division
    with pytest.raises(UserError, match="radius of the objects"):
        find_events(maps, movie, radius=radius)


def test_signed_maps_are_refused(division):
    movie, maps = division
    with pytest.raises(ValueError, match="frame 2 has signs"):
        find_events([*maps[:2], AttributionMap((2, 3), -maps[3].map)], movie, radius=RADIUS)


def test_flat_maps_hold_no_event():
    empty = np.zeros((SIZE, SIZE), np.float32)
    assert find_events(maps_of([empty] * 3), movie_of([spot(80, 80)] * 4)) == []


def test_no_more_events_are_given_than_asked_for():
    maps = [np.zeros((SIZE, SIZE), np.float32), spot(30, 30) + spot(120, 120)]
    assert len(find_events(maps_of(maps), movie_of([spot(80, 80)] * 3), radius=RADIUS, count=1)) == 1


def test_a_gap_in_time_parts_processes_at_the_same_place():
    empty = np.zeros((SIZE, SIZE), np.float32)
    numbers = [0, 1, 2, 40, 41, 42]
    movie = movie_of([empty, empty, spot(80, 80), empty, spot(80, 80), spot(80, 80)], numbers)
    pairs = [((0, 1), empty), ((1, 2), spot(80, 80)), ((3, 4), 0.9 * spot(80, 80)), ((4, 5), empty)]
    events = find_events([AttributionMap(frames, map) for frames, map in pairs], movie, radius=RADIUS)
    assert [event.frame for event in events] == [1, 40]


def test_an_event_lies_in_the_movie_where_its_last_block_reaches_beyond():
    empty, side = np.zeros((SIZE, SIZE), np.float32), 45  # in blocks of 6: the last holds 3 pixels
    radius = 6 * 2.5 / 0.8
    corner = spot(44, 44, 2)[:side, :side]
    movie = movie_of([empty[:side, :side], 9 * corner, empty[:side, :side]])
    events = find_events(maps_of([corner, corner]), movie, radius=radius)
    assert events
    assert all(event.y <= side - 1 and event.x <= side - 1 for event in events)
