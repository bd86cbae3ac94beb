"""Updates of a training as lines of text."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

from ..engine.training.updates import EpochEnded, Finished, Notice, Progress, ShortcutsFound, Started, Update

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.config import TrainConfig

DAY = 24 * 3600.0
_BETWEEN_LINES = 30.0  # seconds between two lines of progress where they cannot overwrite each other
_HEADING = (
    f"{'':8}   {'loss':13}   {'accuracy':11}   where it changes",
    f"{'epoch':>8}   {'train':>6} {'val':>6}   {'train':>5} {'val':>5}   {'train':>5} {'val':>5}",
)


class ProgressPrinter:
    """Prints updates: one line that overwrites itself on a terminal, and one line per epoch anywhere.

    Parameters
    ----------
    config
        What is being trained, for the advice where it would take more than a day; None for a resumed run.
    stream
        Where to; the standard output where nothing is given.
    clock
        Seconds that never run backwards.
    """

    def __init__(
        self,
        config: TrainConfig | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._stream = stream or sys.stdout
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._transient = 0  # width of the line that the next one overwrites
        self._last_progress = clock()
        self._headed = False

    def show(self, update: Update) -> None:
        """Print one update; those with pictures are left to others."""
        match update:
            case Started():
                self.line(f"Run folder: {update.run_folder}")
                for sentence in update.summary:
                    self.line(sentence)
                for sentence in expected_time(update, self._config):
                    self.line(sentence)
            case Notice():
                self.line(f"Note: {update.text}")
            case Progress():
                self.passing(_progress_line(update))
            case EpochEnded():
                self._epoch(update)
            case ShortcutsFound():
                for sentence in update.lines:
                    self.line(sentence)
            case Finished():
                self.line(_finished_line(update))
                if update.remark:
                    self.line(update.remark)

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def passing(self, text: str) -> None:
        """Print a line that the next one overwrites; without a terminal, one now and then."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap, and then not be overwritten
            text = text[:width]
            print(f"\r{text.ljust(self._transient)}", end="", file=self._stream, flush=True)
            self._transient = len(text)
        elif self._clock() - self._last_progress >= _BETWEEN_LINES:
            self.line(text)
            self._last_progress = self._clock()

    def _epoch(self, update: EpochEnded) -> None:
        if not self._headed:
            for text in _HEADING:
                self.line(text)
            self._headed = True
        self.line(_epoch_line(update))

    def _clear(self) -> None:
        if self._transient:
            print(f"\r{' ' * self._transient}\r", end="", file=self._stream)
            self._transient = 0


def expected_time(started: Started, config: TrainConfig | None = None) -> list[str]:
    """Say how long a run will take, and where that is more than a day, what would be shorter."""
    sentences = [f"Going on after epoch {started.first_epoch} of {started.epochs}."] if started.first_epoch else []
    if started.seconds is None:
        return sentences
    minutes = round(started.seconds / 60)
    expected = duration(60 * minutes if minutes > 1 else started.seconds)
    sentences.append(f"Expected time: about {expected}. Ctrl-C stops and saves at any moment.")
    if started.seconds > DAY and config is not None:
        sentences += _shorter(started, started.seconds, config)
    return sentences


def duration(seconds: float) -> str:
    """Write a time in its two largest units."""
    if not math.isfinite(seconds):
        return "unknown time"
    left = round(seconds)
    parts: list[str] = []
    for name, length in (("day", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (name == "s" and not parts):
            parts.append(f"{count} days" if name == "day" and count > 1 else f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])


def resume_line(program: str, run_folder: object) -> str:
    """Return the command that goes on with a run, to be pasted into a shell."""
    quoted = str(run_folder)
    if os.name == "posix":
        for special in '\\"$`':
            quoted = quoted.replace(special, f"\\{special}")
    return f'{program} --resume "{quoted}"'


def _shorter(started: Started, seconds: float, config: TrainConfig) -> list[str]:
    steps = max(1, round(started.steps * 600 / seconds))
    sentences = [f"  --minutes 10 would do {steps:,} of these steps, with a schedule that fits, and end."]
    values = config.presets["interactive"]
    if config.preset != "interactive":
        epochs, clips = values["epochs"], values["train_samples_per_epoch"]
        sentences.append(
            f"  --preset interactive would train {values['backbone']} on {values['size']} x {values['size']} patches"
            f" drawn where the movie changes, {epochs} epochs of {clips:,}: minutes on any machine."
        )
    return ["That is more than a day. Shorter:", *sentences]


def _progress_line(update: Progress) -> str:
    doing = "validating" if update.phase == "val" else f"step {update.step:,}/{update.steps:,}"
    return (
        f"epoch {update.epoch}/{update.epochs}  {doing}  loss {update.loss:.4f}  accuracy {update.accuracy:.3f}"
        f"  {update.pairs_per_second:,.0f} pairs/s  {duration(update.seconds_left)} left"
    )


def _epoch_line(update: EpochEnded) -> str:
    train, val = update.train, update.val
    counter = f"{update.epoch}/{update.epochs}"
    return (
        f"{counter:>8}   {train.loss:6.4f} {val.loss:6.4f}   {train.accuracy:5.3f} {val.accuracy:5.3f}"
        f"   {train.accuracy_change:5.3f} {val.accuracy_change:5.3f}{'   best' if update.is_best else ''}"
    )


def _finished_line(update: Finished) -> str:
    word = {"done": "Done", "stopped": "Stopped", "early": "Stopped early, no better validation loss for a while"}
    return (
        f"{word[update.reason]}: {_count(update.epochs, 'epoch')}, {_count(update.pairs_seen, 'pair')},"
        f" {duration(update.seconds)}{f'; best epoch {update.best_epoch}' if update.best_epoch else ''}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
