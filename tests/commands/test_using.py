"""Commands that use a model read MODEL and MOVIE alike, show what is left, and stop between steps."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.commands.progress import ProgressPrinter
from napari_tarrow.commands.using import follow, read_use, run_use
from napari_tarrow.engine.config import UseConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.training.control import Control

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class One:
    done: int
    total: int = 3
    notices: tuple[str, ...] = ()


class Work:
    """Three steps; knows whether it was closed."""

    closed = False

    def steps(self) -> Iterator[One]:
        try:
            yield One(1, notices=("Memory ran out: tiles are now 256 pixels.",))
            yield One(2)
            yield One(3)
        finally:
            self.closed = True


def read(*words: str) -> UseConfig:
    return read_use("use-it", "Uses it.", "", UseConfig, words)


@pytest.mark.parametrize(
    "words",
    [
        "model movie --n_images 5",
        "--n_images 5 model movie",
        "model --n-images 5 movie",
        "--model model --movie=movie --n_images 5",
        "--movie movie model --n_images 5",
        "--n_images=5 movie --model=model",
    ],
)
def test_model_and_movie_are_told_by_place_or_by_name(words: str) -> None:
    config = read(*words.split())
    assert (config.model, config.movie, config.n_images) == ("model", "movie", 5)


def test_a_flag_takes_no_word_that_is_no_yes_or_no() -> None:
    assert read("--binarize", "model", "movie").binarize is True
    assert read("--binarize", "no", "model", "movie").binarize is False
    assert read("model", "movie", "--binarize").binarize is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "required: MODEL, MOVIE. Write: use-it MODEL MOVIE [options]"),
        ("model", "required: MOVIE. Write"),
        ("--model model", "required: MOVIE. Write: use-it MOVIE [options]"),
        ("model movie more", "'more' is one word too many"),
        ("model movie --memory lots", "no amount of memory"),
        ("model movie --devise cpu", "Did you mean --device?"),
    ],
)
def test_what_is_missing_or_wrong_is_a_sentence(words: str, said: str) -> None:
    with pytest.raises(UserError, match=said.replace("[", r"\[").replace("?", r"\?")):
        read(*words.split())


def test_progress_shows_what_is_left_and_notices_stay() -> None:
    stream, work = io.StringIO(), Work()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    assert [one.done for one in follow(work.steps(), ProgressPrinter(stream=stream), Control(), "Embedding")] == [
        1,
        2,
        3,
    ]
    lines = stream.getvalue()
    assert "Note: Memory ran out: tiles are now 256 pixels.\n" in lines
    assert lines.startswith("\rEmbedding: preparing")
    assert "\rEmbedding: 2 of 3 frames, " in lines
    assert "0 s left" in lines
    assert work.closed


def test_work_ends_after_the_step_in_which_it_was_asked_to() -> None:
    work, control, seen = Work(), Control(), []
    for one in follow(work.steps(), ProgressPrinter(stream=io.StringIO()), control, "Embedding"):
        seen.append(one.done)
        control.stop()
    assert seen == [1]
    assert work.closed


def test_a_lack_of_memory_is_a_sentence_with_advice_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise MemoryError

    assert run_use("use-it", command) == 2
    assert "--memory" in capsys.readouterr().err


def test_other_faults_keep_their_traceback() -> None:
    def command() -> int:
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault"):
        run_use("use-it", command)
