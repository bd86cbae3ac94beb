from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_tarrow.engine.inference.events import pictures
from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.pictures import draw_events, event_inset, inset_side
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.alignment import Alignment

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from napari_tarrow.engine.pictures import Inset


def test_an_inset_shows_both_frames_of_the_pair_around_the_event() -> None:
    frames = np.random.default_rng(0).integers(0, 1000, (4, 80, 90)).astype(np.uint16)
    movie = open_movie(frames, frame_numbers=[2, 3, 5, 9])
    map = frames[0].astype(np.float32)

    inset = event_inset(movie, Event(3, 40.4, 30.6, 7.0, (3, 5)), map, size=20)

    np.testing.assert_array_equal(inset.frames[:, 0], frames[1:3, 30:50, 21:41])
    np.testing.assert_array_equal(inset.map, map[30:50, 21:41])
    assert (inset.frame, inset.delta, inset.y, inset.x, inset.score) == (3, 2, 40, 31, 7.0)


def test_an_event_beyond_the_border_is_shown_at_it() -> None:
    movie = open_movie(np.zeros((2, 30, 30), np.uint8) + np.arange(30, dtype=np.uint8))
    inset = event_inset(movie, Event(0, 29.7, -0.4, 1.0, (0, 1)), None)
    assert (inset.y, inset.x) == (29, 0)
    assert np.nanmax(inset.map) == 0


def test_insets_grow_with_the_objects() -> None:
    assert inset_side(3.0) == 48
    assert inset_side(20.0) == 128


def test_a_page_without_events_says_so(tmp_path: Path) -> None:
    movie = open_movie(np.zeros((2, 30, 30), np.uint8) + np.arange(30, dtype=np.uint8))
    draw_events([], movie, lambda event: None, tmp_path / "page.png", threshold=float("inf"))
    with Image.open(tmp_path / "page.png") as page:
        assert np.ptp(np.asarray(page)) > 100


def test_a_pair_of_frames_is_read_once_and_events_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = open_movie(np.random.default_rng(0).integers(0, 99, (6, 30, 30)).astype(np.uint8))
    events = [Event(t, 10.0 + t, 9.0, 9.0 - i, (t, t + 1)) for i, t in enumerate((3, 0, 3, 4, 0))]
    drawn: list[Inset] = []
    monkeypatch.setattr(pictures, "contact_sheet", lambda insets, *words, **options: drawn.extend(insets))
    asked = []

    draw_events(events, movie, lambda event: asked.append(event.pair), tmp_path / "page.png")

    assert asked == [(0, 1), (3, 4), (4, 5)]
    assert [(inset.frame, inset.y, inset.score) for inset in drawn] == [(e.frame, e.y, e.score) for e in events]


def test_an_event_that_has_moved_is_shown_where_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((2, 60, 80), np.float32)
    frames[0, 30, 40], frames[1, 37, 31] = 5, 7
    prepared = PreparedMovie(open_movie(frames), Preparation("movie"))
    alignment = Alignment(prepared, 4.0)
    monkeypatch.setattr(alignment, "distance", lambda first, other, place: (7, -9))
    event = Event(0, 30.0, 40.0, 1.0, (0, 1))
    inset = event_inset(prepared.movie, event, None, 20, alignment)
    first, second = (np.unravel_index(np.argmax(one), one.shape) for one in inset.frames[:, 0])
    assert first == second
    far = event_inset(prepared.movie, Event(0, 2.0, 3.0, 1.0, (0, 1)), None, 20, alignment)
    assert far.frames.shape == inset.frames.shape
