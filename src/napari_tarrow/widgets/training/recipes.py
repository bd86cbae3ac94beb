"""A configuration as others take it: a YAML file, a command line."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...engine.bundled import model_folder
from ...engine.config import NETWORK_ARGUMENTS, TrainConfig
from ...engine.errors import UserError
from ...engine.files import read_yaml, user_path, write_yaml
from ...engine.movies import fingerprint, open_movie
from ...engine.options import read_options
from ..shared.editors import written
from ..shared.runs import model_facts

if TYPE_CHECKING:
    from ...engine.movies import Movie

_PROGRAM = "napari-tarrow-train"
_UNNAMED = "MOVIE.tif"
_RUN = "run.yaml"  # as in engine.models, which loads torch


def differing(config: TrainConfig) -> dict[str, Any]:
    """Return the preset and the options that differ from it, as plain values for a YAML file."""
    plain = type(config)(preset=config.preset)
    values = config.model_dump(mode="json")
    changed = {name: value for name, value in values.items() if getattr(plain, name) != getattr(config, name)}
    return {"preset": config.preset, **changed}


def as_command(config: TrainConfig) -> str:
    """Return the command that trains as `config` says, for this system's shell; a movie without a file is MOVIE.tif."""
    words = [_PROGRAM]
    values = differing(config)
    if any(value is None for value in values.values()):  # a command line cannot take away what a preset gives
        values = differing(config.model_copy(update={"preset": "paper"}))
    values["input_train"] = list(config.input_train) or [_UNNAMED]
    if config.minutes is not None:
        values.pop("epochs", None)  # of the two a command takes one, and minutes win
    for name, value in values.items():
        given = _words(value)
        words += [f"--{name}={given[0]}"] if given[0].startswith("-") else [f"--{name}", *given]
    return shlex.join(words) if os.name == "posix" else subprocess.list2cmdline(words)


def save(config: TrainConfig, path: Path) -> None:
    """Write the YAML file that ``napari-tarrow-train -c`` takes.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    write_yaml(path, differing(config))


def load(path: Path) -> dict[str, Any]:
    """Read the options of a run folder, or of a YAML file of options.

    Raises
    ------
    UserError
        If it holds none.
    """
    path = user_path(path)
    if path.is_dir():
        record, arguments = path / _RUN, path / "train_args.yaml"
        if record.is_file():
            values = read_yaml(record).get("config")
            if isinstance(values, dict):
                return differing(TrainConfig.from_values(values, source=str(record)))
        if arguments.is_file():
            known = {name: value for name, value in read_yaml(arguments).items() if name in TrainConfig.model_fields}
            return differing(TrainConfig.from_values(known, source=str(arguments)))
        raise UserError(f"{path} is no run folder: it has no {_RUN}. Choose one that training made, or a YAML file.")
    return read_options(path, TrainConfig)


def check_movie(folder: Path, movie: Movie) -> None:
    """Look whether a movie has the size of the one that a run began with; the engine compares frames.

    Raises
    ------
    UserError
        If not, or the record of the run cannot be read.
    """
    record: dict[str, Any] = read_yaml(folder / _RUN) if (folder / _RUN).is_file() else {}
    try:
        frames, _, height, width = known = record["movies"][0]["shape"]
    except (TypeError, LookupError, ValueError):  # not ours: the engine says what is wrong with it
        return
    if movie.shape[2:] != (height, width) or len(movie) < frames:
        own, its = (f"{frames} frames of {height} x {width}" for frames, _, height, width in (movie.shape, known))
        raise UserError(
            f"{movie.name} has {own}, and the movie of the run {folder.name} has {its}: it is another. Choose the run's"
            " movie and resume again."
        )


def network_of(folder: str | Path) -> dict[str, Any]:
    """Return the options with which a run begins as a model folder, ours or the reference's, ends: network and channel.

    Raises
    ------
    UserError
        If it holds no model.
    """
    path = model_folder(folder) / "model_kwargs.yaml"
    if not path.is_file():
        raise UserError(f"{folder} holds no model: it has no {path.name}. Choose the folder of a run.")
    kwargs = read_yaml(path)
    found = {name: kwargs[key] for name, key in NETWORK_ARGUMENTS.items() if key in kwargs}
    return {"init": str(folder), **found, "channel": model_facts(folder).channel}


def file_of(path: str | None, movie: Movie, config: TrainConfig, *, exact: bool = False) -> str | None:
    """Return `path` if the file there is the movie of a layer that says it came from it.

    Sizes and frame numbers are compared, and with `exact` the fingerprints, for which frames are read.
    """
    if not path or not Path(path).exists():
        return None
    try:
        found, own = (
            open_movie(one, channels=config.channels, channel=config.channel, axes=config.axes) for one in (path, movie)
        )
        same = found.shape == own.shape and bool((found.frame_numbers == own.frame_numbers).all())
        for whole in (False, True) if exact else ():  # a few frames first: they mostly tell
            same = same and fingerprint(found, whole=whole) == fingerprint(own, whole=whole)
    except UserError:
        return None
    return str(Path(path).resolve()) if same else None


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [word for one in value for word in _words(one)]
    return [written(value)]
