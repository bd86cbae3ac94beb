"""The score command: a table people read, an object scripts read, one sentence for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tarrow.commands.score import main
from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.table import write_events

EVENTS = [
    Event(4, 100.0, 10.0, 4.0, (4, 5)),  # finds the first division
    Event(9, 50.0, 50.0, 3.0, (9, 10)),  # finds nothing
    Event(24, 211.0, 10.0, 2.0, (24, 25)),  # finds the second, four frames late and 11 pixels off
    Event(9, 90.0, 90.0, 1.0, (9, 10)),  # finds nothing
]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_events("events.csv", EVENTS, threshold=3.0)
    Path("divisions.csv").write_text("frame,y,x,parent\n4,100,10,7\n20,200,10,8\n")


def scored(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["events.csv", "divisions.csv", *words]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def test_the_table_shows_one_and_six_frames_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    lines = scored(capsys).splitlines()

    assert lines[0] == "4 events in events.csv, 2 divisions in divisions.csv; matched within 15 pixels."
    assert len({len(line) for line in lines[2:]}) == 1  # columns are aligned
    cells = {line[:30].strip(): line[30:].split() for line in lines[3:9]}
    assert lines[2].split() == ["within", "1", "frame", "6", "frames"]
    assert cells["recall, 2 strongest (N)"] == ["0.500", "0.500"]
    assert cells["recall, 4 strongest (2 N)"] == ["0.500", "1.000"]
    assert cells["average precision"] == ["0.500", "0.833"]
    assert cells["best threshold: F1"] == ["0.667", "0.800"]


def test_every_line_fits_an_ordinary_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, scored(capsys).splitlines())) <= 80


def test_the_object_holds_all_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads(scored(capsys, "--json"))

    assert (values["events"], values["divisions"]) == ("events.csv", "divisions.csv")
    one, six = values["scores"]
    assert (one["frames"], six["frames"]) == (1, 6)
    assert (six["distance"], six["known"], six["recall_at_2n"]) == (15.0, 2, 1.0)
    assert six["best"] == {
        "threshold": 2.0, "events": 3, "found": 2, "precision": 2 / 3, "recall": 1.0, "f1": 0.8
    }  # fmt: skip
    assert six["chosen"]["events"] == 2
    assert "matches" not in six


def test_limits_are_taken_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads(scored(capsys, "--json", "--distance", "10.5", "--frames", "0", "4", "9"))

    assert [(one["frames"], one["distance"], one["best"]["found"]) for one in values["scores"]] == [
        (0, 10.5, 1),
        (4, 10.5, 1),
        (9, 10.5, 1),
    ]


def test_without_a_suggested_threshold_the_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("events.csv").write_text("frame,y,x,score\n4,100,10,1\n")

    told = scored(capsys)

    assert "suggested" not in told
    assert told.endswith("events.csv says of no event whether it is above a threshold (column above).\n")
    assert json.loads(scored(capsys, "--json"))["scores"][0]["chosen"] is None


def test_a_threshold_that_no_event_reaches_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    write_events("events.csv", EVENTS, threshold=99.0)

    assert "threshold of the table: F1" in scored(capsys)
    assert json.loads(scored(capsys, "--json"))["scores"][0]["chosen"]["threshold"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["events.csv"], "The following arguments are required: DIVISIONS.csv. Write: napari-tarrow-score EVENTS.csv"),
        (["divisions.csv", "events.csv"], "divisions.csv has no column score. It has: frame, y, x, parent."),
        (["events.csv", "empty.csv"], "empty.csv holds no division."),
        (["events.csv", "nowhere.csv"], "nowhere.csv cannot be read (No such file or directory). Check the path."),
        (["events.csv", "divisions.csv", "--distance", "0"], "--distance is 0; it should be above 0."),
        (["events.csv", "divisions.csv", "--frames", "-1"], "-1"),
        (["events.csv", "divisions.csv", "--frames", "two"], "--frames holds 'two'; it should be a whole number."),
        (["events.csv", "divisions.csv", "--frame", "1"], "Unknown option --frame. Did you mean --frames?"),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    Path("empty.csv").write_text("frame,y,x\n")

    assert main(words) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("napari-tarrow-score: error: ")
    assert sentence in told.err
    assert told.err.count("\n") == 1


def test_help_loads_neither_torch_nor_numpy() -> None:
    script = "import sys; from napari_tarrow.commands.score import main; main(['--help']);"
    script += "print(sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)))"
    project = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=project)
    assert ended.stdout.endswith("[]\n")
    assert ended.stdout.startswith("usage: napari-tarrow-score EVENTS.csv DIVISIONS.csv [options]")
