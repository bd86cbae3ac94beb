"""Cards of events: as many in a row as there is room for, to click on and to tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.pictures import Inset
from napari_tarrow.widgets.attribution.gallery import SIDE, Gallery

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

EVENTS = [Event(t, 4.0, 5.0, 9.0 - t, (t, t + 1)) for t in range(6)]


@pytest.fixture
def gallery(qtbot: QtBot) -> Gallery:
    gallery = Gallery()
    qtbot.addWidget(gallery)
    gallery.resize(330, 400)
    gallery.fill(EVENTS, [None, True, False, None, None, None])
    gallery.show()
    return gallery


def places(gallery: Gallery) -> list[tuple[int, int]]:
    return [(card.y(), card.x()) for card in gallery.cards]


def test_the_strongest_comes_first_and_rows_are_as_wide_as_the_dock(gallery, qtbot):
    assert places(gallery) == sorted(places(gallery))
    assert len({x for _, x in places(gallery)}) == 2
    gallery.resize(600, 400)
    qtbot.waitUntil(lambda: len({x for _, x in places(gallery)}) == 4)
    gallery.resize(100, 400)
    qtbot.waitUntil(lambda: len({x for _, x in places(gallery)}) == 1)


def test_cards_say_number_and_frames_and_show_ticks(gallery):
    assert gallery.cards[2].caption.text() == "3 · 2→3"
    assert [(card.yes.isChecked(), card.no.isChecked()) for card in gallery.cards[:3]] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_a_click_anywhere_on_a_card_is_heard(gallery, qtbot):
    with qtbot.waitSignal(gallery.clicked) as heard:
        qtbot.mouseClick(gallery.cards[4], Qt.MouseButton.LeftButton)
    assert heard.args == [4]


def test_ticks_exclude_each_other_and_can_be_taken_back(gallery, qtbot):
    heard: list[tuple[int, bool | None]] = []
    gallery.ticked.connect(lambda place, tick: heard.append((place, tick)))
    card = gallery.cards[3]
    card.yes.click()
    card.no.click()
    assert (card.yes.isChecked(), card.no.isChecked()) == (False, True)
    card.no.click()
    qtbot.keyClick(card, Qt.Key.Key_Y)
    assert heard == [(3, True), (3, False), (3, None), (3, True)]


def test_the_keyboard_visits_events(gallery, qtbot):
    with qtbot.waitSignal(gallery.clicked) as heard:
        qtbot.keyClick(gallery.cards[1], Qt.Key.Key_Return)
    assert heard.args == [1]


def test_cards_below_the_threshold_are_hidden(gallery):
    gallery.show_first(2)
    assert [card.isVisible() for card in gallery.cards] == [True, True, False, False, False, False]
    gallery.show_first(99)
    assert all(card.isVisible() for card in gallery.cards)


def test_beyond_the_edge_of_the_movie_a_picture_is_transparent(gallery):
    frames = np.random.default_rng(0).random((2, 1, 48, 48)).astype(np.float32)
    frames[:, :, :24] = np.nan
    gallery.picture(0, Inset(frames, frames[0, 0], 0, 4, 5, 9.0))
    picture = gallery.cards[0].pictures[1].pixmap().toImage()
    assert (picture.width(), picture.height()) == (SIDE, SIDE)
    assert picture.pixelColor(30, 5).alpha() == 0
    assert picture.pixelColor(30, 60).alpha() == 255


def test_a_picture_that_comes_too_late_is_dropped(gallery):
    gallery.fill(EVENTS[:1], [None])
    frames = np.zeros((2, 1, 48, 48), np.float32)
    gallery.picture(5, Inset(frames, frames[0, 0], 0, 4, 5, 9.0))
    assert len(gallery.cards) == 1


def test_the_visited_event_is_marked(gallery):
    gallery.mark(2)
    gallery.mark(3)
    assert ["transparent" not in card.styleSheet() for card in gallery.cards] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]


def test_the_card_that_keys_go_to_has_a_border(gallery, qtbot):
    card = gallery.cards[1]
    before = card.grab().toImage()
    gallery.activateWindow()
    card.setFocus()
    qtbot.waitUntil(card.hasFocus)
    assert card.grab().toImage() != before
