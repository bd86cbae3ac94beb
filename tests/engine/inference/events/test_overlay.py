"""The overlay movie: every frame, its own map over it, rings where and when something happens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.overlay import _clock, draw_overlay
from napari_tarrow.engine.movies import Movie, open_movie
from napari_tarrow.engine.pictures.overlay import _RING

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def movie() -> Movie:
    frames = np.random.default_rng(0).integers(0, 1000, (4, 50, 60)).astype(np.uint16)
    return open_movie(frames, frame_numbers=[3, 4, 6, 7])


def pictures(path: Path) -> list[np.ndarray]:
    with Image.open(path) as gif:
        found = []
        for index in range(gif.n_frames):
            gif.seek(index)
            found.append(np.asarray(gif.convert("RGB")).astype(int))
    return found


def ringed(picture: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of rings."""
    return np.argwhere(np.abs(picture - _RING).max(-1) < 20)


def test_each_map_lies_over_its_own_frame(movie: Movie, tmp_path: Path) -> None:
    def map_of(index: int) -> np.ndarray | None:
        values = np.zeros((50, 60), np.float32)
        values[10:20, 10 * index : 10 * index + 8] = 2
        return None if index == 2 else values

    steps = list(draw_overlay(tmp_path / "o.gif", movie, map_of, 2.0))

    assert [(step.done, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for index, picture in enumerate(pictures(tmp_path / "o.gif")):
        assert picture.shape == (400, 480, 3)
        coloured = np.argwhere(picture[40:, :, 0] - picture[40:, :, 2] > 60)  # below the words
        if index == 2:
            assert len(coloured) == 0
        else:
            np.testing.assert_allclose(coloured.mean(0) / 8, (9.5, 10 * index + 3.5), atol=0.6)


def test_events_are_ringed_in_the_frames_of_their_pair(movie: Movie, tmp_path: Path) -> None:
    event = Event(frame=4, y=30.0, x=20.0, score=1.0, pair=(4, 6))
    list(draw_overlay(tmp_path / "o.gif", movie, lambda index: None, 1.0, [event], radius=5))

    found = [ringed(picture) for picture in pictures(tmp_path / "o.gif")]

    assert [len(pixels) > 50 for pixels in found] == [False, True, True, False]
    ring = np.linalg.norm(found[1] / 8 - (30.5, 20.5), axis=1)
    assert (np.abs(ring - 5) < 0.5).mean() > 0.7  # the others belong to the number


def test_large_movies_are_reduced_and_the_time_is_told(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 40, 1200)).astype(np.uint8)
    movie = replace(open_movie(frames), interval=90.0)
    list(draw_overlay(tmp_path / "o.gif", movie, lambda index: None, 1.0))
    assert pictures(tmp_path / "o.gif")[0].shape == (27, 800, 3)
    assert [_clock(seconds) for seconds in (0, 2.5, 90, 5400)] == ["0 s", "2.5 s", "1 min 30 s", "1 h 30 min"]


def test_an_overlay_that_is_broken_off_leaves_nothing(movie: Movie, tmp_path: Path) -> None:
    drawing = draw_overlay(tmp_path / "o.gif", movie, lambda index: None, 1.0)
    next(drawing)
    drawing.close()
    assert list(tmp_path.iterdir()) == []
