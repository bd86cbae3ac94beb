"""The training command: what it says, how it ends."""

from __future__ import annotations

import errno
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.commands import train as command
from napari_tarrow.commands.train import main
from napari_tarrow.engine.errors import UserError

if TYPE_CHECKING:
    from conftest import FakeEngine

    from napari_tarrow.engine.training.control import Control

FOLDER = Path("runs") / "movie_backbone_unet"
RESUME = f'napari-tarrow-train --resume "{FOLDER}"'
MOVIE = ["--input_train", "a.tif"]


def test_a_training_ends_with_what_it_made(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(MOVIE) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"Run folder: {FOLDER}",
        "Movie cells: 48 frames.",
        "Expected time: about 2 min. Ctrl-C stops and saves at any moment.",
    ]
    assert "Note: Take care." in lines
    assert lines[-2:] == [f"Model folder:     {FOLDER}", f"Learning curve:   {FOLDER / 'learning_curve.png'}"]


def test_the_strongest_places_are_named_once_drawn(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_draw_run_events", lambda folder, path, printer: path.touch())
    assert main(MOVIE) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Strongest events: {FOLDER / 'strongest_events.png'}"


def test_a_picture_that_fails_does_not_undo_the_training(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise UserError("The disk is full.")

    monkeypatch.setattr(command, "_draw_run_events", fail)
    assert main(MOVIE) == 0
    printed = capsys.readouterr()
    assert "Note: the strongest events are not drawn: The disk is full." in printed.out
    assert f"Model folder:     {FOLDER}" in printed.out
    assert printed.err == ""


def test_the_engine_gets_the_configuration(engine: FakeEngine) -> None:
    assert main([*MOVIE, "--size", "40", "--tensorboard", "no", "-o", "elsewhere"]) == 0
    (config,) = engine.configs
    assert (config.size, config.tensorboard, config.outdir, config.input_train) == (40, False, "elsewhere", ("a.tif",))


def test_a_misread_option_is_told(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MOVIE, "--split_train", "0", "0.8", "--split_train", "0.8", "1"]) == 0
    assert capsys.readouterr().out.startswith("Note: --split_train is given twice")
    assert engine.configs[0].split_val == ((0.8, 1.0),)


def test_a_run_is_resumed(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", str(FOLDER), "--device", "cpu"]) == 0
    assert engine.resumed == [(FOLDER, {"device": "cpu"})]
    assert engine.configs == []
    assert "Going on after epoch 1 of 2." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_says_how_to_go_on(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if not hasattr(signal, name):
        pytest.skip("this system has no such signal")
    before = signal.getsignal(getattr(signal, name))
    engine.during = lambda control: signal.raise_signal(getattr(signal, name))

    assert main(MOVIE) == 130

    assert engine.saved == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"To go on: {RESUME}"
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_training_stopped_before_it_began_says_so(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "train", lambda config, control: (update for update in ()))
    assert main(MOVIE) == 130
    assert capsys.readouterr().out == "Stopped before training began.\n"


def test_a_second_signal_ends_at_once(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    def press_twice(control: Control) -> None:
        signal.raise_signal(signal.SIGINT)
        assert control.stopping
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second signal was not heeded")

    engine.during = press_twice
    assert main(MOVIE) == 130
    printed = capsys.readouterr()
    assert engine.saved == 0
    assert "Traceback" not in printed.out + printed.err
    assert f"To go on from the last checkpoint: {RESUME}" in printed.out


def test_an_error_after_the_first_epoch_says_how_to_go_on(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Control] = []

    def fail_second(control: Control) -> None:
        calls.append(control)
        if len(calls) == 2:
            raise UserError("The disk is full:\n runs could not be written.")

    engine.during = fail_second
    assert main(MOVIE) == 2
    printed = capsys.readouterr()
    assert printed.err == "napari-tarrow-train: error: The disk is full: runs could not be written.\n"
    assert printed.out.splitlines()[-1] == f"To go on from the last checkpoint: {RESUME}"


def test_a_lack_of_memory_is_said_in_words(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(control: Control) -> None:
        raise MemoryError

    engine.during = fail
    assert main(MOVIE) == 2
    assert re.fullmatch(r"napari-tarrow-train: error: .*memory.*--batchsize.*\n", capsys.readouterr().err)


def test_a_fault_of_the_program_keeps_its_traceback(engine: FakeEngine) -> None:
    def fail(control: Control) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    engine.during = fail
    with pytest.raises(RuntimeError, match="mat1"):
        main(MOVIE)


def test_a_reader_that_goes_away_ends_the_training_saved(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: object, **kwargs: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    engine.during = lambda control: monkeypatch.setattr("builtins.print", gone)
    assert main(MOVIE) == 141
    assert engine.closed
    assert engine.saved == 1
