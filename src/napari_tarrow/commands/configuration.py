"""What to train, from a command line, a YAML file and a preset: the command line wins, then the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.config import CHANGEABLE, TrainConfig
from ..engine.errors import UserError
from ..engine.options import read_options
from ..samples import SAMPLES, sample_path
from .arguments import given_values

if TYPE_CHECKING:
    from argparse import Namespace


def configured(namespace: Namespace) -> tuple[TrainConfig, list[str]]:
    """Return the configuration of a new run, and what the user should know about how it was read.

    Raises
    ------
    UserError
        For options that are unknown, wrong or contradict each other, and where no movie is given.
    """
    given = given_values(namespace, TrainConfig)
    _refuse_both(given, "epochs", "minutes")
    path = getattr(namespace, "config", None)
    from_file = read_options(Path(path), TrainConfig) if path else {}
    notices = _mend_split(given, from_file)
    if "sample" in namespace:
        _take_sample(namespace.sample, given, from_file)
    if "epochs" in given:
        from_file.pop("minutes", None)  # they would win over the epochs
    elif "minutes" not in given:
        notices += _minutes_win(from_file, path)
    called = {name: f"{name} in {path}" for name in from_file} | {name: f"--{name}" for name in given}
    config = TrainConfig.from_values({**from_file, **given}, prefix="--", called=called)
    if not config.input_train:
        bundled = next(iter(SAMPLES))
        raise UserError(
            f"No movie is given. Name yours with --input_train MOVIE, or take a bundled one with --sample {bundled}."
        )
    return config, notices


def resumed(namespace: Namespace) -> tuple[Path, dict[str, Any]]:
    """Return the run folder to go on with, and the options that may change on the way.

    Raises
    ------
    UserError
        For an option that would make it another run.
    """
    given = given_values(namespace, TrainConfig)
    for name in (*(name for name in ("config", "sample") if name in namespace), *given):
        if name not in CHANGEABLE:
            free = ", ".join(f"--{free}" for free in CHANGEABLE)
            raise UserError(
                f"--{name} cannot be given with --resume, which goes on as the run began (only {free} may change)."
                " Leave it out, or start a new run without --resume."
            )
    checked = TrainConfig.from_values(given, prefix="--")
    return Path(namespace.resume), {name: getattr(checked, name) for name in given}


def _take_sample(name: str, given: dict[str, Any], from_file: dict[str, Any]) -> None:
    if "input_train" in given:
        raise UserError("--sample and --input_train both say what to train on. Give one of them.")
    given["input_train"] = (str(sample_path(name)),)
    from_file.pop("input_val", None)
    if "preset" not in from_file:
        given.setdefault("preset", "interactive")


def _mend_split(given: dict[str, Any], from_file: dict[str, Any]) -> list[str]:
    """Take the second of two `--split_train` as the `--split_val` that nobody gave: so upstream's README prints it."""
    parts = given.get("split_train", [])
    if len(parts) != 2 or "split_val" in {*given, *from_file}:
        return []
    given["split_train"], given["split_val"] = parts[:1], parts[1:]
    second = " ".join(parts[1])
    return [f"--split_train is given twice and --split_val never; the second is taken as --split_val {second}."]


def _minutes_win(from_file: dict[str, Any], path: str | None) -> list[str]:
    """Say so where a file gives epochs of its own as well; those that a run has stored are its preset's."""
    if from_file.get("minutes") is None or "epochs" not in from_file:
        return []
    default = TrainConfig.presets.get(str(from_file.get("preset")), {}).get("epochs")
    if from_file["epochs"] in (default, TrainConfig.model_fields["epochs"].default):
        return []
    return [f"{path} gives both epochs and minutes; the minutes count. Give --epochs to have it the other way."]


def _refuse_both(given: dict[str, Any], one: str, other: str) -> None:
    if one in given and other in given:
        raise UserError(f"--{one} and --{other} both say how long to train. Give one of them.")
