"""Updates as text: one line on a terminal, few lines in a file."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from napari_tarrow.commands.progress import ProgressPrinter, duration, expected_time, resume_line
from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.training.updates import EpochEnded, Finished, Metrics, Notice, Progress, Started

PAPER = TrainConfig.from_values({})


class Terminal(io.StringIO):
    """Shows what a terminal would: a carriage return goes back to the start of the line."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines = []
        for written in self.getvalue().split("\n"):
            shown = ""
            for piece in written.split("\r"):
                shown = piece + shown[len(piece) :]
            lines.append(shown.rstrip())
        return lines


def progress(step: int = 120, **changes: Any) -> Progress:
    values: dict[str, Any] = {
        "step": step,
        "steps": 2500,
        "epoch": 3,
        "epochs": 25,
        "phase": "train",
        "loss": 0.68125,
        "accuracy": 0.5613,
        "lr": 1e-3,
        "pairs_per_second": 1438.4,
        "seconds_left": 130.0,
    }
    return Progress(**values | changes)


def metrics(loss: float, accuracy: float) -> Metrics:
    return Metrics(loss, loss_decorr=1.0, accuracy=accuracy, accuracy_change=0.625, pred1_ratio=0.5, lr=1e-3, steps=10)


def epoch_ended(epoch: int = 3, *, best: bool = True) -> EpochEnded:
    return EpochEnded(epoch, 25, metrics(0.6931, 0.51), metrics(0.6789, 0.525), best, epoch, 9600, 12.0)


def test_a_terminal_shows_one_line_that_overwrites_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    printer = ProgressPrinter(stream=terminal)

    printer.show(progress(seconds_left=130_000))
    printer.show(progress(step=121, pairs_per_second=8.1, seconds_left=9.0))

    assert terminal.screen() == ["epoch 3/25  step 121/2,500  loss 0.6813  accuracy 0.561  8 pairs/s  9 s left"]


def test_lines_that_stay_leave_nothing_of_the_progress_behind() -> None:
    terminal = Terminal()
    printer = ProgressPrinter(stream=terminal)

    printer.show(progress())
    printer.show(Notice("Short."))
    printer.show(progress())
    printer.show(epoch_ended())

    assert terminal.screen() == [
        "Note: Short.",
        "           loss            accuracy      where it changes",
        "   epoch    train    val   train   val   train   val",
        "    3/25   0.6931 0.6789   0.510 0.525   0.625 0.625   best",
        "",
    ]


def test_a_line_of_progress_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    ProgressPrinter(stream=terminal).show(progress())
    assert len(terminal.screen()[0]) == 39


def test_a_file_gets_the_epochs_and_now_and_then_the_progress() -> None:
    now, file = 0.0, io.StringIO()
    printer = ProgressPrinter(stream=file, clock=lambda: now)

    for second in range(100):
        now = float(second)
        printer.show(progress(step=second))
    printer.show(epoch_ended(best=False))
    printer.show(epoch_ended(4))

    lines = file.getvalue().splitlines()
    assert [line.split("  ")[1] for line in lines[:3]] == ["step 30/2,500", "step 60/2,500", "step 90/2,500"]
    assert [line.split()[0] for line in lines[3:]] == ["loss", "epoch", "3/25", "4/25"]
    assert [line.endswith("best") for line in lines[5:]] == [False, True]
    assert "\r" not in file.getvalue()


def test_validation_is_told_apart() -> None:
    terminal = Terminal()
    ProgressPrinter(stream=terminal).show(progress(phase="val"))
    assert "validating" in terminal.screen()[0]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("done", "Done: 25 epochs, 266,000 pairs, 1 h; best epoch 21."),
        ("stopped", "Stopped: 25 epochs, 266,000 pairs, 1 h; best epoch 21."),
        (
            "early",
            "Stopped early, no better validation loss for a while: 25 epochs, 266,000 pairs, 1 h; best epoch 21.",
        ),
    ],
)
def test_the_last_update_is_a_sentence(reason: Any, line: str) -> None:
    file = io.StringIO()
    ProgressPrinter(stream=file).show(Finished(reason, Path("runs/a"), 25, 21, 266_000, 3601.0))
    assert file.getvalue() == line + "\n"


def test_what_to_know_of_the_network_comes_after_it() -> None:
    file = io.StringIO()
    ProgressPrinter(stream=file).show(Finished("done", Path("runs/a"), 2, 1, 200, 65.0, "Little is learnt."))
    assert file.getvalue().endswith(".\nLittle is learnt.\n")


def test_the_expected_time_is_told() -> None:
    started = Started(Path("runs/a"), (), 25, 2500, 0, 250.0)
    assert expected_time(started, PAPER) == ["Expected time: about 4 min. Ctrl-C stops and saves at any moment."]


def test_more_than_a_day_comes_with_what_would_be_shorter() -> None:
    started = Started(Path("runs/a"), (), 200, 156_400, 0, 20 * 86400.0)
    text = "\n".join(expected_time(started, PAPER))
    assert "about 20 days" in text
    assert "more than a day" in text
    assert "--minutes 10 would do 54 of these steps" in text
    assert "--preset interactive would train unet_16fmaps on 48 x 48 patches" in text


def test_the_interactive_preset_is_not_proposed_to_those_who_have_it() -> None:
    started = Started(Path("runs/a"), (), 200, 156_400, 0, 2 * 86400.0)
    text = "\n".join(expected_time(started, TrainConfig.from_values({"preset": "interactive"})))
    assert "--minutes 10" in text
    assert "--preset" not in text


def test_nothing_is_proposed_for_a_resumed_run_or_a_short_one() -> None:
    resumed = Started(Path("runs/a"), (), 200, 156_400, 7, 2 * 86400.0)
    assert expected_time(resumed) == [
        "Going on after epoch 7 of 200.",
        "Expected time: about 2 days. Ctrl-C stops and saves at any moment.",
    ]
    assert len(expected_time(Started(Path("runs/a"), (), 200, 156_400, 0, 86_000.0), PAPER)) == 1
    assert expected_time(Started(Path("runs/a"), (), 200, 156_400, 0, None), PAPER) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (45.4, "45 s"),
        (59.7, "1 min"),
        (130, "2 min 10 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 day"),
        (187_200, "2 days 4 h"),
        (float("nan"), "unknown time"),
        (float("inf"), "unknown time"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.skipif(os.name != "posix", reason="quoting as POSIX shells read it")
@pytest.mark.parametrize("folder", ["runs/a", "my runs/it's", 'runs/"$HOME" `x` \\'])
def test_the_line_that_resumes_can_be_pasted(folder: str) -> None:
    line = resume_line("napari-tarrow-train", folder)
    assert line.startswith('napari-tarrow-train --resume "')
    shell = subprocess.run(["sh", "-c", f"printf %s {line.partition('--resume ')[2]}"], capture_output=True, check=True)
    assert shell.stdout.decode() == folder
