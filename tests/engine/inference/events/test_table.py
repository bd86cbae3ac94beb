"""Tables of events: written whole, read back, and kept where a user wrote something into them."""

from __future__ import annotations

import csv
import math
import re

import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.table import EventTable, lost_remarks, mark_events, read_events, write_events

EVENTS = [
    Event(12, 30.25, 7.5, 2.5, (12, 13)),
    Event(3, 0.0, 101.0, 0.75, (3, 7)),
    Event(12, 90.0, 7.5, 0.125, (12, 13)),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.csv"


def read_raw(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_written_is_read_again(path):
    write_events(path, EVENTS, threshold=0.75, true=[True, None, False])

    assert read_events(path) == EventTable(tuple(EVENTS), (True, True, False), (True, None, False), {})


def test_the_file_is_as_documented(path):
    write_events(path, EVENTS, threshold=1.0, true=[True, None, False])

    assert path.read_text() == (
        "frame,y,x,score,pair,above,true\n"
        "12,30.25,7.50,2.5,12-13,yes,yes\n"
        "3,0.00,101.00,0.75,3-7,no,\n"
        "12,90.00,7.50,0.125,12-13,no,no\n"
    )


def test_without_threshold_and_ticks_the_cells_are_empty(path):
    write_events(path, EVENTS)

    table = read_events(path)
    assert (table.above, table.true, table.threshold) == ((None,) * 3, (None,) * 3, None)


def test_no_event_is_a_table_without_rows(path):
    write_events(path, [], threshold=1.0)

    assert read_events(path) == EventTable()


def test_events_may_come_one_by_one(path):
    for _ in range(2):  # the second time over a table
        write_events(path, iter(EVENTS), threshold=1.0, true=iter([True, None, False]))
        assert read_events(path) == EventTable(tuple(EVENTS), (True, False, False), (True, None, False), {})


@pytest.mark.parametrize(("threshold", "read"), [(0.7, 0.75), (2.5, 2.5), (3.0, math.inf)])
def test_the_threshold_that_is_read_parts_the_events_as_before(path, threshold, read):
    write_events(path, EVENTS, threshold=threshold)

    assert read_events(path).threshold == read


def test_a_user_s_column_and_ticks_survive_a_rewrite_in_another_order_and_with_other_scores(path):
    write_events(path, EVENTS, threshold=1.0)
    rows = read_raw(path)
    for row, note, tick in zip(rows, ("mitosis, sure", "", "a speck"), ("yes", "", "no"), strict=True):
        row |= {"note": note, "true": tick}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    new = Event(40, 1.0, 1.0, 9.0, (40, 41))

    write_events(path, [new, Event(12, 90.0, 7.5, 5.0, (12, 13)), EVENTS[0]], threshold=3.0)

    table = read_events(path)
    assert table.other == {"note": ("", "a speck", "mitosis, sure")}
    assert (table.true, table.above) == ((None, False, True), (True, True, False))


def test_remarks_beside_the_table_survive_without_a_heading(path):
    write_events(path, EVENTS)
    head, first, *others = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},,", f"{first},,debris!", *(f"{line},," for line in others)]) + "\n")

    assert lost_remarks(path, EVENTS[1:]) == 1
    write_events(path, EVENTS[::-1])
    assert read_events(path).other == {"column 9": ("",) * (len(EVENTS) - 1) + ("debris!",)}


@pytest.mark.parametrize("frame", [-7, 1690000000, 10**18 - 2])
def test_large_and_negative_frame_numbers_are_kept(path, frame):
    events = (Event(frame, 1.0, 2.0, 3.0, (frame, frame + 1)),)
    write_events(path, events)

    assert read_events(path).events == events


def test_new_ticks_replace_old_ones_and_leave_the_threshold(path):
    write_events(path, EVENTS, threshold=1.0, true=[True, True, True])

    write_events(path, EVENTS, true=[None, False, None])

    table = read_events(path)
    assert (table.true, table.above) == ((None, False, None), (True, False, False))


def test_positions_that_are_rounded_in_the_file_still_find_their_row(path):
    event = Event(1, 10.123456, 2.0 / 3.0, 1.0 / 3.0, (1, 2))
    write_events(path, [event], true=[True])

    write_events(path, [event], threshold=0.0)

    table = read_events(path)
    assert (table.true, table.above) == ((True,), (True,))
    assert table.events == (Event(1, 10.12, 0.67, 0.333333, (1, 2)),)


def test_equal_events_keep_their_own_columns(path):
    path.write_text("frame,y,x,score,true,note\n1,5,6,3,yes,first\n1,5,6,2,no,second\n")

    write_events(path, read_events(path).events)

    table = read_events(path)
    assert (table.true, table.other) == ((True, False), {"note": ("first", "second")})


USERS_OWN = [
    "note,Frame,x,y,SCORE\nsplit,12,7.123456,30.25,0.5\n,3,1,2,9\n\n,3,1,2,9\n",
    "\ufeffframe;y;x;score;pair;true;note\r\n12;30,25;7,5;2,50;;TRUE;größer\r\n3;1;2;9;;;\r\n3;1;2;9\r\n",
    "score\ty\tx\tframe\t\n1\t30.25\t7\t12\tdust\n9\t 1.000\t2\t3\t\n9\t1\t2\t3\t\n",
]


@pytest.mark.parametrize("text", USERS_OWN)
def test_marks_change_nothing_else_in_a_user_s_own_table(path, text):
    path.write_bytes(text.encode())
    events = read_events(path).events

    mark_events(path, events, read_events(path).true)
    assert path.read_bytes() == text.encode()
    mark_events(path, events, [True, None, False])
    table = read_events(path)
    assert (table.events, table.true, table.above) == (events, (True, None, False), (None,) * 3)
    mark_events(path, events, [True, None, False], threshold=3.0)
    assert read_events(path).above == tuple(event.score >= 3 for event in events)

    for before, after in zip(text.splitlines(), path.read_bytes().decode().splitlines(), strict=True):
        assert after.startswith(before)


def test_no_mark_is_put_beside_other_events(path):
    write_events(path, EVENTS)
    events = read_events(path).events
    write_events(path, EVENTS[::-1])
    before = path.read_text()

    with pytest.raises(UserError, match="other events than when it was opened"):
        mark_events(path, events, [True, None, None])

    assert path.read_text() == before


def test_a_tick_goes_to_no_other_event_of_the_same_frame_or_place(path):
    here = Event(1, 10.0, 20.0, 3.0, (1, 2))
    write_events(path, [here], true=[True])

    others = [Event(1, 10.0, 21.0, 3.0, (1, 2)), Event(1, 11.0, 20.0, 3.0, (1, 2)), Event(1, 10.0, 20.0, 3.0, (1, 5))]
    write_events(path, [*others, Event(2, 10.0, 20.0, 3.0, (1, 2)), here])

    assert read_events(path).true == (None, None, None, None, True)


@pytest.mark.parametrize("old", ["frame,y,x\n1,2,3\n", "", "frame,y,x,score\n1,2,3,high\n"])
def test_a_file_that_is_no_table_of_events_is_not_written_over(path, old):
    path.write_text(old)

    with pytest.raises(UserError, match=re.escape(str(path))):
        write_events(path, EVENTS)

    assert path.read_text() == old


def test_a_failed_write_leaves_the_old_table(path):
    write_events(path, EVENTS[:1])

    with pytest.raises(ValueError, match="not finite"):
        write_events(path, [Event(1, math.nan, 1.0, 1.0, (1, 2))])
    with pytest.raises(ValueError, match="2 ticks for 3 events"):
        write_events(path, EVENTS, true=[True, False])
    with pytest.raises(ValueError, match="threshold is NaN"):
        write_events(path, EVENTS, threshold=math.nan)

    assert read_events(path).events == tuple(EVENTS[:1])
    assert [one.name for one in path.parent.iterdir()] == ["events.csv"]


@pytest.mark.parametrize(
    "text",
    [
        "frame,y,x,score\n4,1.5,2,0.25\n",
        "\ufeffframe,y,x,score\r\n4,1.5,2,0.25\r\n\r\n",
        "Frame;Y;X;Score\n4;1,5;2,0;0,25\n",
        "score\tx\ty\tframe\n0.25\t2\t1.5\t4.0\n",
        "\nframe,y,x,score,,\n4,1.5,2,2.5e-1,,\n,,,,,\n",
        "frame,y,x,score,pair,above,true\n4,1.5,2,0.25\n",
    ],
    ids=["plain", "byte-order-mark", "semicolons", "tabs", "empty-columns", "short-rows"],
)
def test_tables_are_read_as_other_programs_save_them(path, text):
    path.write_bytes(text.encode())

    table = read_events(path)

    assert table.events == (Event(4, 1.5, 2.0, 0.25, (4, 5)),)
    assert table.other == {}


@pytest.mark.parametrize(
    ("words", "answers"), [(("TRUE", "FALSE", ""), (True, False, None)), (("Y", "0", " "), (True, False, None))]
)
def test_answers_are_read_as_spreadsheets_write_them(path, words, answers):
    rows = "".join(f"1,2,3,4,{word}\n" for word in words)
    path.write_text(f"frame,y,x,score,true\n{rows}")

    assert read_events(path).true == answers


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty. Its first line has to name the columns: frame,y,x,score."),
        (" \n\n", "is empty."),
        ("frame,y,x\n", "has no column score. It has: frame, y, x."),
        ("t,y,x,score\n", "has no column frame. If t is that, rename it to frame."),
        ("fram,y,x,score\n", "has no column frame. If fram is that, rename it to frame."),
        ("frame,y,x,score,Score\n", "has two columns score. Keep one of them."),
        ("frame,y,x,score,note,note\n", "has two columns note. Keep one of them."),
        ("frame,y,x,score\n1,2,3,4\n1,2,left,4\n", "line 3: x is 'left', but has to be a number. Correct the file."),
        ("frame,y,x,score\n\n1,,3,4\n", "line 3: y is empty, but has to be a number."),
        ("frame,y,x,score\n1,2,3,nan\n", "line 2: score is 'nan', but has to be a number."),
        (",,,\n,,\n", "is empty."),
        ("frame,y,x,score\n1.5,2,3,4\n", "line 2: frame is '1.5', but has to be a whole number of at most 18 digits."),
        ("frame,y,x,score\n1e300,2,3,4\n", "line 2: frame is '1e300', but has to be a whole number of at most 18"),
        ("frame,y,x,score\n1,2,3,4,5\n", "line 2 has 5 values, but there are 4 columns."),
        ("frame,y,x,score,pair\n1,2,3,4,12-Dec\n", "line 2: pair is '12-Dec', but has to be two frame numbers"),
        ("frame,y,x,score,true\n1,2,3,4,perhaps\n", "line 2: true is 'perhaps', but has to be yes, no or empty."),
        ("frame,y,x,score\n1,2,3," + 60 * "9x" + "\n", "score is '" + 20 * "9x" + "...', but"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_with_its_place(path, text, sentence):
    path.write_text(text)

    with pytest.raises(UserError) as refused:
        read_events(path)

    assert str(path) in str(refused.value)
    assert sentence in str(refused.value)


def test_a_file_that_is_no_text_or_not_there_is_a_sentence(path):
    with pytest.raises(UserError, match="cannot be read"):
        read_events(path)
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(UserError, match=r"no text in UTF-8. Save the table as csv \(UTF-8\)"):
        read_events(path)
    path.write_text("frame,y,x,score\n1,2,3,4" + 200_000 * "1" + "\n")
    with pytest.raises(UserError, match="line 2 is no line of a table"):
        read_events(path)
