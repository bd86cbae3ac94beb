"""The dock "Show attribution", with a network with random weights on a tiny movie."""

from __future__ import annotations

import csv
import functools
import gc
import shutil
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import pytest
import torch

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.events import events, pictures
from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.table import read_events, write_events
from napari_tarrow.engine.inference.maps import attribution as engine
from napari_tarrow.engine.movies import PreparedMovie, open_movie
from napari_tarrow.engine.movies.alignment import Alignment
from napari_tarrow.engine.pictures import Inset
from napari_tarrow.engine.trained import read_trained
from napari_tarrow.widgets.attribution.event_list import EventList
from napari_tarrow.widgets.attribution.widget import AttributionWidget
from napari_tarrow.widgets.attribution.work import MapSearched, MapWritten, Pictured
from napari_tarrow.widgets.shared.models import remember_run
from napari_tarrow.widgets.shared.sections import Page
from napari_tarrow.widgets.shared.views import camera
from napari_tarrow.widgets.shared.work import outwards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import DockRun

    Docked = Callable[[Any, Path], DockRun]

TIMED: dict[str, Any] = {
    "scale": (10, 0.5, 0.5),
    "translate": (0, 3, 4),
    "units": ("min", "um", "um"),
    "axis_labels": ("t", "y", "x"),
}
SMALL = "Objects have a radius of 4 pixels or less."
DONE = f"Done: 11 maps are shown. {SMALL}"
EVENTS = [Event(t, 4.0 + t, 20.0 - t, 9.0 - t, (t, t + 1)) for t in range(8)]


@pytest.fixture
def docked(dock_run: Callable[..., DockRun]) -> Docked:
    return functools.partial(dock_run, AttributionWidget, MapWritten)


@pytest.fixture
def run(docked: Docked, growing: np.ndarray, model_folder: Path) -> DockRun:
    viewer = ViewerModel()
    viewer.add_image(growing, name="cells", **TIMED)
    return docked(viewer, model_folder)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let every map after the first wait until this is set, or half a minute."""
    free, attribute = threading.Event(), engine.attribute

    def patient(*arguments: Any, **options: Any) -> Iterator[Any]:
        for one in attribute(*arguments, **options):
            yield one
            for _ in range(3000):
                if free.wait(0.01) or threading.current_thread() is threading.main_thread():
                    break

    monkeypatch.setattr(engine, "attribute", patient)
    return free


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Have these events found, whatever the maps."""
    monkeypatch.setattr(
        "napari_tarrow.engine.inference.events.events.search_events", lambda maps, movie, **options: map_all(maps)
    )
    monkeypatch.setattr("napari_tarrow.engine.inference.events.threshold.suggest_threshold", lambda events: 5.0)
    return EVENTS


def map_all(maps: Any) -> list[Event]:
    list(maps)
    return EVENTS


@pytest.fixture
def slow_search(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the search for events wait after three steps and before each event, until this is set, or half a minute."""
    free, search = threading.Event(), events.search_events

    def patient(*arguments: Any, **options: Any) -> Iterator[Any]:
        for number, one in enumerate(search(*arguments, **options)):
            yield one
            if number >= 2:
                free.wait(30)

    monkeypatch.setattr(events, "search_events", patient)
    return free


def expected(model: Path, movie: np.ndarray, aligned: bool = False, **options: Any) -> np.ndarray:
    trained = read_trained(model)
    prepared = PreparedMovie(open_movie(movie), trained.preparation)
    maps = np.zeros(movie.shape, np.float32)
    alignment = Alignment(prepared) if aligned else None
    for one in engine.attribute(trained.network, prepared, alignment=alignment, **options):
        maps[one.frames[0]] = one.map
    return maps


def test_the_radius_of_objects_is_estimated_and_said_or_taken_as_it_was_typed(run):
    assert run.all() == DONE
    side = run.dock.events.insets[0].map.shape[0]
    QTest.keyClicks(run.dock.radius, "8")
    assert run.all() == "Done: 11 maps are shown."
    assert run.dock.events.insets[0].map.shape[0] > side
    assert run.viewer.layers["cells evidence [1]"].metadata["napari_tarrow"]["configuration"]["radius"] == 8


def test_a_radius_that_fits_no_object_is_said_before_any_map_is_made(run):
    QTest.keyClicks(run.dock.radius, "500")
    assert run.all().startswith("The radius of the objects is 500 pixels, and the frames are ")
    assert run.frames() == []
    assert [layer.name for layer in run.viewer.layers] == ["cells"]


@pytest.mark.parametrize("text", ["0", "-3", "nan", "inf", "wide"])
def test_a_radius_that_is_none_is_said_and_nothing_starts(run, text):
    QTest.keyClicks(run.dock.radius, text)
    assert run.dock.status.text() == f"Radius is {text}. Write pixels above 0, such as 9.5, or leave it empty."
    assert not run.dock.go.isEnabled()


def test_the_map_lies_over_the_movie_and_is_the_engines(run, growing, model_folder):
    run.viewer.dims.set_current_step(0, 6)
    assert run.all().startswith("Done: 11 maps")
    source, maps = run.viewer.layers["cells"], run.viewer.layers["cells evidence"]
    np.testing.assert_allclose(maps.data, expected(model_folder, growing), atol=1e-6)
    for place in ((0, 0, 0), (5, 20, 7)):
        np.testing.assert_allclose(maps.data_to_world(place), source.data_to_world(place))
    assert (maps.units, maps.axis_labels, maps.blending) == (source.units, source.axis_labels, "additive")
    assert 0 < maps.contrast_limits[1] <= maps.data.max()
    record = maps.metadata["napari_tarrow"]
    assert record["model"] == str(model_folder)
    assert record["configuration"] == {
        "delta": [1],
        "map": "evidence",
        "class_id": 0,
        "signed": False,
        "aligned": False,
        "radius": None,
    }
    assert len(record["data"]) == 16


def test_the_frame_in_view_comes_first_and_then_its_neighbours(run):
    run.viewer.dims.set_current_step(0, 6)
    run.all()
    assert run.frames()[:5] == [6, 7, 8, 9, 10]
    assert sorted(run.frames()) == list(range(11))


def test_one_session_makes_all_maps_and_projects_every_frame_once(run, monkeypatch):
    from napari_tarrow.engine.inference.projections.projector import Projector

    projected: list[int] = []
    begun: list[Any] = []
    blocks, begin = Projector.blocks, Projector.__init__
    monkeypatch.setattr(Projector, "blocks", lambda self, index: projected.append(index) or blocks(self, index))
    monkeypatch.setattr(Projector, "__init__", lambda *a, **o: begun.append(o["memory"]) or begin(*a, **o))
    run.viewer.dims.set_current_step(0, 6)
    run.dock.deltas.setText("1, 3")
    run.all()
    assert sorted(projected) == list(range(12))
    assert len(begun) == 1


@pytest.mark.parametrize(("current", "count"), [(0, 1), (0, 300), (299, 300), (120, 300), (999, 7), (3, 7)])
def test_stretches_hold_every_frame_once_the_current_one_first(current, count):
    frames = [frame for stretch in outwards(current, count) for frame in stretch]
    assert frames[0] == min(current, count - 1)
    assert sorted(frames) == list(range(count))


def test_several_deltas_get_a_layer_each(run, growing, model_folder):
    run.dock.deltas.setText("1, 3")
    assert "20 maps" in run.all()
    far = run.viewer.layers["cells evidence delta 3"].data
    np.testing.assert_allclose(far, expected(model_folder, growing, delta=3), atol=1e-6)
    assert "cells evidence delta 1" in run.viewer.layers


def test_kind_class_and_sign_reach_the_engine(run, growing, model_folder):
    run.dock.kind.setCurrentIndex(run.dock.kind.findData("change"))
    run.dock.direction.setCurrentIndex(1)
    run.dock.signed.setChecked(True)
    run.all()
    maps = run.viewer.layers["cells change"]
    wanted = expected(model_folder, growing, kind="change", class_id=1, signed=True)
    assert wanted.min() < 0
    np.testing.assert_allclose(maps.data, wanted, atol=1e-6)
    assert maps.contrast_limits[0] == -maps.contrast_limits[1]


def test_frames_are_aligned_where_that_is_wanted(run, growing, model_folder):
    run.dock.align.setCurrentIndex(run.dock.align.findData("yes"))
    run.all()
    assert "Note: Frames are aligned before they are compared." in run.dock.status.text()
    maps = run.viewer.layers["cells evidence"]
    wanted = expected(model_folder, growing, aligned=True)
    assert not np.allclose(wanted, expected(model_folder, growing), atol=1e-3)
    np.testing.assert_allclose(maps.data, wanted, atol=1e-6)
    assert maps.metadata["napari_tarrow"]["configuration"]["aligned"]


def test_events_are_points_with_score_and_pair(run, found):
    run.all()
    points = run.viewer.layers["cells events"]
    np.testing.assert_allclose(points.data, [(event.frame, event.y, event.x) for event in found])
    assert list(points.features["score"]) == [event.score for event in found]
    assert list(points.features["pair"][:2]) == ["0-1", "1-2"]
    assert points.units == run.viewer.layers["cells"].units
    assert "napari_tarrow" in points.metadata


def test_the_threshold_acts_at_once_on_points_and_gallery(run, found):
    run.all()
    panel, points = run.dock.events, run.viewer.layers["cells events"]

    def shown() -> tuple[int, int]:
        return int(points.shown.sum()), sum(not card.isHidden() for card in panel.gallery.cards)

    assert shown() == (5, 5)
    assert "5 of 8 events of cells score at least 5" in panel.count.text()
    panel.slider.setValue(0)
    assert shown() == (8, 8)
    panel.slider.setValue(panel.slider.maximum())
    assert shown() == (1, 1)


def test_the_gallery_shows_both_frames_of_each_event(run, found):
    run.all()
    insets = [value.inset for value in run.values if isinstance(value, Pictured)]
    assert len(insets) == len(found)
    assert insets[3].frames.shape == (2, 1, 48, 48)
    assert all(not label.pixmap().isNull() for card in run.dock.events.gallery.cards for label in card.pictures)


def test_a_click_moves_the_viewer_to_the_event(run, found):
    run.all()
    run.dock.events.gallery.cards[4].clicked.emit(4)
    event, source = found[4], run.viewer.layers["cells"]
    assert run.viewer.dims.current_step[0] == event.frame
    world = source.data_to_world((event.frame, event.y, event.x))
    np.testing.assert_allclose(camera(run.viewer).center[1:], world[1:])
    assert run.viewer.layers["cells events"].selected_data == {4}


def test_points_that_the_user_deletes_or_adds_disturb_nothing(run, found):
    run.all()
    panel, points = run.dock.events, run.viewer.layers["cells events"]
    points.selected_data = {0, 2}
    points.remove_selected()
    points.add([[3, 5, 5]])  # events 1, 3 to 7, and a point of the user's

    panel.slider.setValue(0)
    assert points.shown.all()
    panel.slider.setValue(panel.slider.maximum())
    assert points.shown.tolist() == [False] * 6 + [True]
    panel.gallery.cards[1].no.click()
    assert list(points.features["true"]) == ["no", *[""] * 6]
    assert [str(symbol) for symbol in points.symbol] == ["x", *["disc"] * 6]
    panel.visit(3)
    assert points.selected_data == {1}
    panel.visit(2)
    assert points.selected_data == set()


def test_ticks_are_shown_and_kept_in_the_csv(run, found, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    run.all()
    panel = run.dock.events
    panel.gallery.cards[0].yes.click()
    panel.save_button.click()
    panel.gallery.cards[1].no.click()
    panel.gallery.cards[2].yes.click()
    panel.gallery.cards[2].yes.click()
    table = read_events(path)
    assert table.true == (True, False, *[None] * 6)
    assert table.above == (*[True] * 5, *[False] * 3)
    assert list(run.viewer.layers["cells events"].features["true"][:3]) == ["yes", "no", ""]
    assert "1 ticked true, 1 false" in panel.count.text()
    assert "events.csv" in panel.count.text()


@pytest.mark.parametrize("close", [False, True])
def test_a_threshold_is_kept_in_the_csv_however_it_is_set(run, found, tmp_path, monkeypatch, until, close):
    path = tmp_path / "events.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    run.dock.show()
    run.all()
    panel = run.dock.events
    panel.save_csv()
    panel.slider.setFocus()
    QTest.keyClick(panel.slider, Qt.Key.Key_Home)
    assert read_events(path).above == (*[True] * 5, *[False] * 3)
    if close:
        run.dock.close()
    else:
        until(lambda: not panel._later.isActive())
    assert read_events(path).above == (True,) * 8


def test_the_dock_scrolls_where_the_screen_is_low_and_not_where_it_is_high(run, found):
    dock = run.dock
    dock.show()
    run.all()
    assert dock.minimumSizeHint().height() <= 200
    bar = dock.findChild(Page).verticalScrollBar()
    dock.resize(340, 250)
    QApplication.processEvents()
    assert bar.isVisible()
    dock.resize(340, 650)
    QApplication.processEvents()
    assert not bar.isVisible()
    assert dock.events.gallery.height() > 2 * dock.events.gallery.minimumHeight()


def test_the_wheel_changes_nothing_by_accident(run, found, turn_wheel, growing):
    run.viewer.add_image(growing, name="others")
    run.all()
    dock = run.dock

    def values() -> tuple[int, ...]:
        return (*(combo.currentIndex() for combo in (dock.kind, dock.movie.list)), dock.events.slider.value())

    before = values()
    for field in (dock.kind, dock.movie.list, dock.events.slider):
        turn_wheel(field)
    assert values() == before


def test_saving_over_a_table_takes_over_its_ticks_and_notes(run, found, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    path.write_text("frame,y,x,score,pair,true,note\n1,5,19,8,1-2,no,dust\n0,4,20,9,0-1,no,\n")
    run.all()
    run.dock.events.gallery.cards[0].yes.click()
    run.dock.events.save_button.click()
    assert read_events(path).true[:3] == (True, False, None)
    assert [row["note"] for row in csv.DictReader(path.read_text().splitlines())][:3] == ["", "dust", ""]
    assert run.dock.events.gallery.cards[1].no.isChecked()


@pytest.mark.parametrize("by_hand", [False, True])
def test_points_added_after_an_event_was_selected_are_no_copies_of_it(run, found, by_hand):
    run.all()
    panel, points = run.dock.events, run.viewer.layers["cells events"]
    if by_hand:
        points.selected_data = {2}
    else:
        panel.visit(2)
    points.add([[3, 5, 5]])
    assert points.features.iloc[-1].to_dict() == {"event": 0, "score": 0.0, "pair": "", "true": ""}
    panel.tick(2, False)
    assert list(points.features["true"]) == ["", "", "no", *[""] * 6]
    panel.slider.setValue(panel.slider.maximum())
    assert points.shown[-1]


def test_words_in_the_column_event_are_no_events(run, found):
    run.all()
    panel, points = run.dock.events, run.viewer.layers["cells events"]
    points.features = points.features.assign(event=["mitosis", "2", *[None] * 6])
    panel.tick(0, True)
    panel.tick(1, True)
    assert list(points.features["true"]) == ["", "yes", *[""] * 6]


def saved_and_ticked(run: DockRun, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Show, save, and tick the first event true, the third one false."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    run.all()
    panel = run.dock.events
    panel.save_csv()
    panel.tick(0, True)
    panel.tick(2, False)
    return panel


def test_shown_again_events_keep_their_ticks_and_their_csv(run, found, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    panel = saved_and_ticked(run, path, monkeypatch)
    run.all()
    assert panel.ticks[:4] == [True, None, False, None]
    assert panel.gallery.cards[2].no.isChecked()
    assert list(run.viewer.layers["cells events [1]"].features["true"][:3]) == ["yes", "", "no"]
    assert panel.count.text().endswith("1 ticked true, 1 false. Ticks are kept in events.csv.")
    panel.tick(1, False)
    assert read_events(path).true[:4] == (True, False, False, None)


def test_a_csv_with_ticks_of_events_that_are_not_found_again_is_left_alone(run, found, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    panel = saved_and_ticked(run, path, monkeypatch)
    monkeypatch.setattr("napari_tarrow.engine.inference.events.events.search_events", lambda *_, **__: EVENTS[1:])
    run.all()
    assert panel.ticks[:3] == [None, False, None]
    assert panel.count.text().endswith("1 ticked event was not found again; what you said of it stays in events.csv.")
    panel.tick(0, True)
    assert read_events(path).true[:4] == (True, None, False, None)


def test_a_csv_of_which_nothing_is_found_again_is_left_alone(run, found, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    run.all()
    run.dock.events.save_csv()
    other = [replace(event, y=1.0) for event in EVENTS]
    monkeypatch.setattr("napari_tarrow.engine.inference.events.events.search_events", lambda *_, **__: other)
    run.all()
    run.dock.events.tick(0, True)
    assert list(read_events(path).events) == EVENTS


def test_ticks_are_those_of_one_movie(run, found, growing):
    run.all()
    run.dock.events.tick(0, True)
    run.dock.movie.list.choose(run.viewer.add_image(growing, name="others"))
    run.all()
    assert run.dock.events.ticks == [None] * len(found)


def test_layers_made_before_of_the_same_movie_are_hidden(run, found, growing):
    run.all()
    run.dock.movie.list.choose(run.viewer.add_image(growing, name="others"))
    run.all()
    run.dock.movie.list.choose(run.viewer.layers["cells"])
    run.all()
    assert {layer.name for layer in run.viewer.layers if not layer.visible} == {"cells evidence", "cells events"}


def test_a_table_can_be_opened_again_with_its_ticks_and_pictures(run, found, tmp_path, monkeypatch, until):
    path = tmp_path / "events.csv"
    path.write_text("frame,y,x,score,pair,true\n1,5,19,3,1-2,no\n0,4,20,9,0-1,yes\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    panel = run.dock.events
    panel.open_button.click()
    assert panel.ticks == [True, False]
    assert list(run.viewer.layers["cells events"].features["score"]) == [9, 3]
    until(lambda: panel.sheet_button.isVisibleTo(panel) and len(panel.insets) == 2)
    panel.tick(1, None)
    assert path.read_text() == "frame,y,x,score,pair,true\n1,5,19,3,1-2,\n0,4,20,9,0-1,yes\n"


def test_ticks_change_nothing_else_in_a_table_of_the_user_s_own(run, tmp_path, monkeypatch, until):
    path = tmp_path / "mine.csv"
    path.write_text("who,frame,y,x,score\nme,1,5.1234,19,3\nyou,1,5.1234,19,3\nme,0,4,20,9\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    panel = run.dock.events
    panel.open_button.click()
    panel.tick(2, True)
    assert path.read_text() == ("who,frame,y,x,score,true\nme,1,5.1234,19,3\nyou,1,5.1234,19,3,yes\nme,0,4,20,9\n")
    panel.slider.setValue(500)
    until(lambda: read_events(path).above == (False, False, True))
    panel.slider.setValue(0)
    until(lambda: read_events(path).above == (True, True, True))


def test_rings_and_pictures_of_a_table_are_as_large_as_those_that_were_found(run, found, tmp_path, monkeypatch, until):
    run.all()
    panel = run.dock.events
    sizes, insets = run.viewer.layers["cells events"].size, dict(panel.insets)
    write_events(tmp_path / "events.csv", EVENTS)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(tmp_path / "events.csv"), ""))
    panel.open_csv()
    until(lambda: len(panel.insets) == len(EVENTS))
    np.testing.assert_array_equal(run.viewer.layers["cells events [1]"].size, sizes)
    assert [one.frames.shape for one in panel.insets.values()] == [one.frames.shape for one in insets.values()]


def test_a_table_of_another_movie_is_refused_in_words(run, tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    path.write_text("frame,y,x,score\n99,5,19,3\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    with heard() as notes:
        run.dock.events.open_button.click()
    assert "outside the chosen movie" in notes[0].message
    assert len(run.viewer.layers) == 1


def numbered(docked: Docked, movie: np.ndarray, model: Path) -> DockRun:
    """A dock on a movie whose frames are numbered from 1 on, with a gap: 1 to 6, 9 to 14."""
    viewer = ViewerModel()
    viewer.add_image(movie, name="cells", metadata={"frame_numbers": [*range(1, 7), *range(9, 15)]})
    return docked(viewer, model)


def test_events_of_a_table_are_shown_at_the_frames_of_their_numbers(
    docked, growing, model_folder, until, tmp_path, monkeypatch
):
    path = tmp_path / "events.csv"
    path.write_text("frame,y,x,score,pair\n1,5,19,9,1-2\n9,4,20,3,9-10\n14,4,20,1,14-15\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    run = numbered(docked, growing, model_folder)
    run.dock.events.open_button.click()
    assert run.viewer.layers["cells events"].data[:, 0].tolist() == [0, 6, 11]
    run.dock.events.visit(1)
    assert run.viewer.dims.current_step[0] == 6
    until(lambda: len(run.dock.events.insets) == 3)
    assert run.dock.events.insets[1].frames[0, 0, 24, 24] == growing[6, 4, 20]
    assert "9→10" in run.dock.events.gallery.cards[1].caption.text()


@pytest.mark.parametrize("number", [0, 7, 15])
def test_a_table_with_a_number_that_the_movie_lacks_is_refused(
    docked, growing, model_folder, tmp_path, monkeypatch, number
):
    path = tmp_path / "events.csv"
    path.write_text(f"frame,y,x,score\n{number},5,19,3\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    run = numbered(docked, growing, model_folder)
    with heard() as notes:
        run.dock.events.open_button.click()
    assert f"an event in frame {number} at y 5, x 19, outside the chosen movie" in notes[0].message


def test_events_found_in_a_movie_with_a_gap_have_numbers_and_lie_at_their_frames(
    docked, growing, model_folder, monkeypatch, tmp_path
):
    path = tmp_path / "events.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    run = numbered(docked, growing, model_folder)
    assert run.all().startswith("Done: 10 maps")
    assert sorted(run.frames()) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    run.dock.events.save_button.click()
    frames = [event.frame for event in read_events(path).events]
    assert frames
    assert not {6, 7, 8, 14} & set(frames)
    index = [*range(1, 7), *range(9, 15)].index
    points = run.viewer.layers["cells events"]
    assert points.data[:, 0].tolist() == [index(frame) for frame in frames]
    assert list(points.features["pair"]) == [f"{frame}-{frame + 1}" for frame in frames]


def test_the_contact_sheet_shows_the_events_above_the_threshold_that_are_not_false(
    run, found, tmp_path, monkeypatch, until
):
    path, drawn = tmp_path / "events.png", []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    monkeypatch.setattr(
        "napari_tarrow.engine.pictures.contact_sheet", lambda insets, path, title: drawn.append((insets, path, title))
    )
    run.all()
    run.dock.events.tick(1, False)
    run.dock.events.sheet_button.click()
    until(lambda: bool(drawn))
    insets, where, title = drawn[0]
    assert [inset.frame for inset in insets] == [0, 2, 3, 4]
    assert all(isinstance(inset, Inset) for inset in insets)
    assert (where, title) == (path, "The 4 strongest events of cells")


def test_a_contact_sheet_of_nothing_is_not_drawn(run, found, monkeypatch):
    run.all()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: pytest.fail("asked"))
    for place in range(len(found)):
        run.dock.events.tick(place, False)
    run.dock.events.save_sheet()
    assert run.dock.events.count.text().startswith("No event that is shown has a picture and is not ticked false.")


def test_pictures_go_on_while_a_contact_sheet_is_saved(run, tmp_path, monkeypatch, until):
    path, free, drawn = tmp_path / "events.csv", threading.Event(), []
    write_events(path, EVENTS)
    event_inset = pictures.event_inset

    def patient(movie: Any, event: Event, *rest: Any) -> Inset:
        if event != EVENTS[0]:
            free.wait(30)
        return event_inset(movie, event, *rest)

    monkeypatch.setattr(pictures, "event_inset", patient)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "sheet.png"), ""))
    monkeypatch.setattr("napari_tarrow.engine.pictures.contact_sheet", lambda insets, *rest: drawn.append(len(insets)))
    panel = run.dock.events
    panel.open_csv()
    until(lambda: len(panel.insets) == 1)
    panel.save_sheet()
    until(lambda: drawn == [1])
    free.set()
    until(lambda: len(panel.insets) == len(EVENTS))


def test_what_the_engine_notes_is_said(run, monkeypatch):
    attribute = engine.attribute

    def noting(*arguments: Any, **options: Any) -> Iterator[Any]:
        for one in attribute(*arguments, **options):
            yield replace(one, notices=("Tiles are now 256 pixels.",) if one.frames[0] > 3 else ())

    monkeypatch.setattr(engine, "attribute", noting)
    assert run.all() == f"{DONE} Note: Tiles are now 256 pixels."


def test_without_events_that_is_said(run, monkeypatch):
    monkeypatch.setattr("napari_tarrow.engine.inference.events.events.search_events", lambda *_, **__: [])
    run.all()
    assert run.dock.events.count.text() == "No event of cells stands out."
    assert "cells events" not in run.viewer.layers


def test_stop_keeps_what_is_done(run, slow):
    run.start().wait_for(1)
    run.dock.stop.click()
    assert not run.dock.stop.isEnabled()
    slow.set()
    assert run.wait().startswith("Stopped: ")
    done = run.frames()
    assert 1 <= len(done) < 11
    maps = run.viewer.layers["cells evidence"].data
    assert {t for t in range(12) if maps[t].any()} <= set(done)


def searched(run: DockRun) -> list[int]:
    return [value.done for value in run.values if isinstance(value, MapSearched)]


def test_the_bar_moves_while_events_are_looked_for(run, slow_search, until):
    run.start()
    until(lambda: len(searched(run)) == 3)
    assert run.dock.status.text().startswith("Looking for events ... 5 of 11 frames")
    assert (run.dock.progress.value(), run.dock.progress.maximum()) == (5, 11)
    slow_search.set()
    assert run.wait() == DONE
    assert searched(run) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11]


def test_stop_ends_the_search_for_events_and_keeps_those_that_are_found(run, slow_search, until):
    run.start()
    until(lambda: len(searched(run)) == 3)
    run.dock.stop.click()
    assert not run.dock.stop.isEnabled()
    slow_search.set()
    assert run.wait() == f"Stopped: 11 maps are shown, and the events are those in the first 5 of them. {SMALL}"
    assert searched(run)[-1] == 5
    frames = run.viewer.layers["cells events"].data[:, 0]
    assert len(frames)
    assert max(frames) <= 4
    assert not any(isinstance(value, Pictured) for value in run.values)


def test_after_stop_during_the_maps_the_search_can_be_stopped_as_well(run, monkeypatch, slow_search, until):
    free, attribute = threading.Event(), engine.attribute

    def patient(*arguments: Any, **options: Any) -> Iterator[Any]:
        for one in attribute(*arguments, **options):
            yield one
            if one.done == 7:
                free.wait(30)

    monkeypatch.setattr(engine, "attribute", patient)
    run.start().wait_for(7)
    run.dock.stop.click()
    assert not run.dock.stop.isEnabled()
    free.set()
    until(lambda: len(searched(run)) == 3)
    assert run.dock.stop.isEnabled()
    run.dock.stop.click()
    slow_search.set()
    assert "the events are those in the first 5 of them" in run.wait()


def test_pictures_end_when_nobody_waits_for_them_any_more(run, found, monkeypatch, until):
    from napari_tarrow.engine.inference.events import pictures

    draw = pictures.event_inset
    drawn: list[int] = []
    free = threading.Event()

    def patient(*arguments: Any) -> Inset:
        drawn.append(1)
        if len(drawn) == 3:
            free.wait(30)
        return draw(*arguments)

    monkeypatch.setattr(pictures, "event_inset", patient)
    run.start()
    until(lambda: len(drawn) == 3)
    run.dock.stop.click()
    free.set()
    run.wait()
    assert len(drawn) == 3


def test_a_removed_movie_ends_the_search_for_events_too(run, slow_search, until):
    run.start()
    until(lambda: len(searched(run)) == 3)
    run.viewer.layers.remove("cells")
    slow_search.set()
    assert run.wait() == "The layer cells was removed: the work has ended."
    assert searched(run)[-1] == 5


def test_a_movie_removed_during_the_maps_has_no_events_looked_for(run, slow):
    run.start().wait_for(1)
    run.viewer.layers.remove("cells")
    slow.set()
    run.wait()
    assert searched(run) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Memory ran out"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "mat1 and mat2"),
        (StopIteration(), "StopIteration"),
    ],
)
def test_what_goes_wrong_in_the_engine_reaches_the_user_and_a_second_run_works(run, monkeypatch, error, words):
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patch, heard() as notes:
        patch.setattr(engine, "attribute", broken)
        said = run.all()
    assert words in said
    assert len(notes) == 1
    assert run.dock.go.isEnabled()
    assert run.all().startswith("Done")


@pytest.mark.parametrize("made", [0, 3])
def test_after_an_error_the_maps_that_were_made_are_counted_and_an_empty_layer_goes(run, growing, monkeypatch, made):
    run.all()
    attribute = engine.attribute

    def broken(*arguments: Any, **options: Any) -> Iterator[Any]:
        for one in attribute(*arguments, **options):
            if one.done > made:
                raise UserError("Frame 8 has pixels that are no numbers.")
            yield one

    monkeypatch.setattr(engine, "attribute", broken)
    said = run.all()
    shown = {layer.name for layer in run.viewer.layers if layer.visible}
    if made:
        assert said == "Frame 8 has pixels that are no numbers. 3 maps are shown."
        assert "cells evidence [1]" in shown
        assert "cells evidence" not in shown
    else:
        assert said == "Frame 8 has pixels that are no numbers."
        assert "cells evidence [1]" not in run.viewer.layers
        assert "cells evidence" in shown


def test_a_delta_that_the_user_typed_stays_when_a_training_ends_and_not_when_another_model_is_chosen(
    run, qtbot, model_folder, tmp_path
):
    dock = AttributionWidget(run.viewer)
    qtbot.addWidget(dock)
    assert not dock.model._chosen_by_hand
    dock.deltas.setText("3")
    dock.deltas.textEdited.emit("3")
    remember_run(model_folder)
    assert (dock.model.folder, dock.deltas.text()) == (model_folder, "3")
    assert "pairs at delta 3" in dock.movie.sentence.text()
    dock.model.choose(shutil.copytree(model_folder, tmp_path / "other"))
    assert dock.deltas.text() == "1"


def test_a_removed_movie_ends_the_work_with_a_sentence(run, slow):
    run.start().wait_for(1)
    run.viewer.layers.remove("cells")
    slow.set()
    assert run.wait() == "The layer cells was removed: the work has ended."
    assert not run.dock.go.isEnabled()
    assert "Open a movie first" in run.dock.movie.sentence.text()


def test_a_movie_removed_while_it_is_opened_ends_the_work_with_a_sentence(run):
    run.start()
    run.viewer.layers.remove("cells")
    assert run.wait() == "The layer cells was removed: the work has ended."
    assert len(run.viewer.layers) == 0


def test_a_removed_map_disturbs_nothing(run, slow):
    run.start().wait_for(1)
    run.viewer.layers.remove("cells evidence")
    slow.set()
    assert run.wait().startswith("Done")


def test_contrast_that_the_user_set_stays(run, slow):
    run.start().wait_for(1)
    run.viewer.layers["cells evidence"].contrast_limits = (0, 123)
    slow.set()
    run.wait()
    assert tuple(run.viewer.layers["cells evidence"].contrast_limits) == (0, 123)


def test_a_lazy_movie_is_never_computed_whole(docked, model_folder, growing, slow):
    read: set[int] = set()

    def frame(block_info: Any = None) -> np.ndarray:
        index = block_info[None]["chunk-location"][0] if block_info else 0
        read.add(index)
        return growing[None, index % 12]

    lazy = dask.array.map_blocks(frame, chunks=((1,) * 60, (24,), (28,)), dtype="uint16", meta=np.empty((0, 0, 0)))
    viewer = ViewerModel()
    viewer.add_image(lazy, name="cells", contrast_limits=(0, 1))
    run = docked(viewer, model_folder)
    read.clear()
    run.start().wait_for(1)
    run.dock.stop.click()
    slow.set()
    run.wait()
    assert len(read) < 20


def test_a_movie_with_channels_gets_map_and_events_in_every_channel(docked, tmp_path, growing, found):
    from napari_tarrow.engine.files import write_yaml
    from napari_tarrow.engine.models import TimeArrowNet, write_model

    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_features=2, n_input_channels=2, symmetric=True)
    write_model(tmp_path / "two", model)
    write_yaml(tmp_path / "two" / "train_args.yaml", {"channels": 2})
    viewer = ViewerModel()
    viewer.add_image(np.stack([growing, growing[::-1]], 1), name="cells")
    run = docked(viewer, tmp_path / "two")
    assert run.all().startswith("Done")
    maps, points = viewer.layers["cells evidence"], viewer.layers["cells events"]
    assert maps.data.shape == (12, 2, 24, 28)
    assert (maps.data[:, 0] == maps.data[:, 1]).all()
    assert len(points.data) == 2 * len(found)
    run.dock.events.visit(3)
    assert viewer.dims.current_step[0] == 3


def test_maps_and_events_of_colours_lie_over_them(docked, model_folder, growing, found):
    from napari_tarrow.engine.files import write_yaml

    write_yaml(model_folder / "train_args.yaml", {"channel": 1})
    viewer = ViewerModel()
    colours = np.stack([growing[::-1], growing, growing[::-1]], -1)
    viewer.add_image(colours, rgb=True, name="cells", scale=(1, 0.5, 0.5))
    run = docked(viewer, model_folder)
    assert run.all().startswith("Done")
    maps, points = viewer.layers["cells evidence"], viewer.layers["cells events"]
    assert maps.data.shape == growing.shape
    assert tuple(maps.scale) == tuple(viewer.layers["cells"].scale)
    assert len(points.data) == len(found)
    viewer.add_image(growing, name="green")
    run.dock.movie.list.choose(viewer.layers["green"])
    assert run.all().startswith("Done")
    np.testing.assert_array_equal(maps.data, viewer.layers["green evidence"].data)


def test_a_model_of_one_channel_takes_it_from_a_movie_with_more(docked, model_folder, growing, found):
    from napari_tarrow.engine.files import write_yaml

    write_yaml(model_folder / "train_args.yaml", {"channel": 1})
    viewer = ViewerModel()
    viewer.add_image(np.stack([growing[::-1], growing], 1), name="two")
    run = docked(viewer, model_folder)
    assert "channel 1 alone" in run.dock.model.facts.sentence
    assert run.all().startswith("Done")
    both = viewer.layers["two evidence"].data
    viewer.add_image(growing, name="alone")
    run.dock.movie.list.choose(viewer.layers["alone"])
    assert run.all().startswith("Done")
    np.testing.assert_array_equal(both[:, 1], viewer.layers["alone evidence"].data)
    viewer.add_image(growing[:, None][:, [0, 0, 0]], name="three")
    assert run.dock.model.facts.misfit(3) is None
    assert "takes 1 channel" in replace(run.dock.model.facts, channel=3).misfit(3)


def test_what_hinders_is_said_and_show_is_disabled(docked, model_folder, growing):
    viewer = ViewerModel()
    run = docked(viewer, model_folder)
    assert not run.dock.go.isEnabled()
    viewer.add_image(np.zeros((5, 2, 24, 28)), name="two")
    assert "takes 1 channel and the movie has 2" in run.dock.status.text()
    assert not run.dock.go.isEnabled()
    viewer.layers.clear()
    viewer.add_image(growing, name="cells")
    assert run.dock.go.isEnabled()
    run.dock.deltas.setText("0")
    run.dock.deltas.textEdited.emit("0")
    assert "Delta is 0" in run.dock.status.text()
    assert not run.dock.go.isEnabled()


def type_deltas(run: DockRun, text: str) -> None:
    run.dock.deltas.setText(text)
    run.dock.deltas.textEdited.emit(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Delta is empty"),
        ("a", "Delta is a."),
        ("1.5", "Delta is 1.5"),
        ("-1", "Delta is -1"),
        ("1, 0", "Delta is 1, 0"),
        ("1, 50", "Delta is 50, and the movie has no 2 frames that far apart"),
    ],
)
def test_a_wrong_delta_is_said_at_once_whatever_else_hinders(run, text, words):
    type_deltas(run, text)
    assert words in run.dock.status.text()
    assert not run.dock.go.isEnabled()
    run.dock.begin()
    assert run.dock.job is None
    type_deltas(run, "1")
    assert run.dock.status.text() == ""
    assert run.dock.go.isEnabled()
    if "50" not in text:
        run.viewer.layers.clear()
        type_deltas(run, text)
        assert words in run.dock.status.text()


def test_the_pairs_of_the_movie_are_counted_at_the_deltas_that_are_asked_for(run):
    assert "11 pairs at delta 1" in run.dock.movie.sentence.text()
    type_deltas(run, "2, 9")
    assert "10 pairs at delta 2, 3 pairs at delta 9" in run.dock.movie.sentence.text()
    type_deltas(run, "2, 9,,x")
    assert "10 pairs at delta 2, 3 pairs at delta 9" in run.dock.movie.sentence.text()


def test_wrong_axes_and_a_model_that_is_gone_are_said_beside_them(run, tmp_path):
    run.dock.movie.axes.setText("TX")
    run.dock.movie.axes.textEdited.emit("TX")
    assert "3 axes, not TX" in run.dock.movie.sentence.text()
    assert not run.dock.go.isEnabled()
    run.dock.movie.axes.setText("TYX")
    run.dock.movie.axes.textEdited.emit("TYX")
    assert run.dock.go.isEnabled()
    run.dock.model.choose(tmp_path / "nothing")
    assert "is not there" in run.dock.model.sentence.text()
    assert not run.dock.go.isEnabled()


def test_a_layer_made_here_is_not_offered_as_a_movie_and_another_keeps_the_choice(run):
    run.all()
    names = [run.dock.movie.list.itemText(i) for i in range(run.dock.movie.list.count())]
    assert names == ["cells"]
    run.viewer.add_image(np.zeros((5, 24, 28)), name="other")
    assert run.dock.movie.layer.name == "cells"
    run.viewer.layers["cells"].name = "renamed"
    assert "renamed" in [run.dock.movie.list.itemText(i) for i in range(run.dock.movie.list.count())]


def test_a_labels_layer_is_taken_for_the_movie_only_where_the_user_says_so(docked, model_folder, growing):
    viewer = ViewerModel()
    viewer.add_image(growing, name="cells")
    viewer.add_labels((growing > 300).astype(int), name="nuclei")
    assert viewer.layers.selection.active.name == "nuclei"
    run = docked(viewer, model_folder)
    assert run.dock.movie.layer.name == "cells"
    run.dock.movie.list.choose(viewer.layers["nuclei"])
    assert run.dock.go.isEnabled()
    viewer.layers.remove("cells")
    assert run.dock.movie.layer.name == "nuclei"


def test_nothing_holds_on_to_a_movie_that_was_removed(docked, model_folder, until):
    viewer = ViewerModel()
    data = np.random.default_rng(0).integers(0, 99, (4, 24, 28)).astype(np.uint16)
    known = weakref.ref(data)
    viewer.add_image(data, name="cells")
    run = docked(viewer, model_folder)
    run.all()
    del data
    run.values.clear()
    viewer.layers.clear()
    until(lambda: gc.collect() >= 0 and known() is None)


def test_in_a_real_viewer_layers_are_added_in_the_main_thread_and_two_docks_work_at_once(
    docked, make_napari_viewer_proxy, growing, model_folder
):
    viewer = make_napari_viewer_proxy()
    viewer.add_image(growing, name="cells", **TIMED)
    threads: set[int] = set()
    viewer.layers.events.inserted.connect(lambda event: threads.add(threading.get_ident()))
    runs = []
    for name in ("one", "two"):
        run = docked(viewer, model_folder)
        viewer.window.add_dock_widget(run.dock, name=name)
        runs.append(run.start())
    for run in runs:
        assert run.wait().startswith("Done")
    assert threads == {threading.get_ident()}
    assert sum("evidence" in layer.name for layer in viewer.layers) == 2


def test_a_dock_closed_during_the_work_ends_it(docked, make_napari_viewer_proxy, growing, model_folder, until, slow):
    viewer = make_napari_viewer_proxy()
    viewer.add_image(growing, name="cells")
    run = docked(viewer, model_folder)
    dock = viewer.window.add_dock_widget(run.dock, name="attribution")
    run.start().wait_for(1)
    viewer.window.remove_dock_widget(dock)
    slow.set()
    until(lambda: run.dock.job is None)
    assert len(run.frames()) < 11


class heard:
    """Notifications that were shown inside the block."""

    def __enter__(self) -> list[Any]:
        self.notes: list[Any] = []
        notification_manager.notification_ready.connect(self.notes.append)
        return self.notes

    def __exit__(self, *_: object) -> None:
        notification_manager.notification_ready.disconnect(self.notes.append)


def test_pictures_of_a_job_do_not_get_onto_events_that_were_opened_meanwhile(run, found):
    run.all()
    begun = run.dock._found
    assert run.dock.events.shows(begun)
    layer, facts = run.dock._chosen_movie()
    run.dock.events.show_events(layer, facts, EventList(EVENTS[3:5]), 0.0, "others", {})
    run.dock._take(Pictured(0, Inset(np.zeros((2, 1, 4, 4)), np.zeros((4, 4)), 0, 0, 0, 1.0)))
    assert not run.dock.events.insets


def test_the_threshold_is_exact_until_the_slider_is_moved(run, found, monkeypatch):
    monkeypatch.setattr("napari_tarrow.engine.inference.events.threshold.suggest_threshold", lambda events: 5.0004)
    run.all()
    panel = run.dock.events
    assert panel.threshold == 5.0004
    panel.slider.setValue(0)
    assert panel.threshold == min(event.score for event in EVENTS)


@pytest.mark.parametrize(("threshold", "shown"), [(12.5, 0), (0.5, 8), (5.0, 5)])
def test_what_a_table_says_is_above_its_threshold_is_shown_and_kept(run, tmp_path, monkeypatch, threshold, shown):
    path = tmp_path / "events.csv"
    write_events(path, EVENTS, threshold=threshold)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    panel = run.dock.events
    panel.open_button.click()
    assert panel.count.text().startswith(f"{shown or 'None'} of ")
    assert int(run.viewer.layers["cells events"].shown.sum()) == shown
    assert sum(not card.isHidden() for card in panel.gallery.cards) == shown
    assert panel.slider.value() == {0: 1000, 8: 0, 5: 429}[shown]
    panel.tick(0, True)
    assert sum(read_events(path).above) == shown


def test_rings_fit_the_objects_of_the_movie(run, found, monkeypatch, until):
    monkeypatch.setattr("napari_tarrow.engine.movies.object_radius.object_radius", lambda movie: 7.5)
    run.all()
    np.testing.assert_allclose(run.viewer.layers["cells events"].size, 30)
    monkeypatch.setattr("napari_tarrow.engine.movies.object_radius.object_radius", lambda movie: 0.01)
    run.viewer.layers.remove("cells events")
    run.all()
    np.testing.assert_allclose(run.viewer.layers["cells events"].size, 24 / 64)
