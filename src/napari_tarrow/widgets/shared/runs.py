"""Model folders as the docks know them: which were used lately, and what each one says of itself, without torch."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from qtpy.QtCore import QObject, Signal

from ...engine.bundled import bundled_at, model_folder
from ...engine.errors import UserError
from ...engine.files import make_folder, read_yaml, write_json

_MOST = 20  # runs that are kept in mind
_KWARGS, _STATE, _RUN, _ARGUMENTS = "model_kwargs.yaml", "model_state.pt", "run.yaml", "train_args.yaml"

# Layers of each projection head, the last first, as `TimeArrowNet.embedding` counts them.
HEAD_LAYERS = {
    "minimal_batchnorm": ("0: batch norm (last)", "1: convolution"),
    "linear": ("0: convolution (last)",),
    "id": ("0: the backbone's features",),
    "three_3x3convs": (
        "0: batch norm (last)",
        "1: third convolution",
        "2: second batch norm",
        "3: second convolution",
        "4: first batch norm",
        "5: first convolution",
    ),
}


@dataclass(frozen=True)
class ModelFacts:
    """A model folder in words and in the few facts that a dock needs before it reads the network.

    Attributes
    ----------
    folder : Path
    sentence : str
        Network, what it was trained on, and how.
    problem : str or None
        Why it cannot be used, and what to do.
    deltas : tuple of int
        Time steps of the training.
    channels, features, frames : int
        Of a movie it takes, of its embedding, of a sequence.
    channel : int or None
        The one that it takes of movies that have several.
    projection_head : str
    """

    folder: Path
    sentence: str
    problem: str | None = None
    deltas: tuple[int, ...] = (1,)
    channels: int = 1
    features: int = 0
    frames: int = 2
    channel: int | None = None
    projection_head: str = ""

    def misfit(self, channels: int) -> str | None:
        """Say what to do where a movie has other channels than the model takes; 0 is one channel, as in the options."""
        there = max(1, channels)
        if self.channels == there or (self.channel is not None and self.channel < there):
            return None
        one = self.channels == 1
        advice = (
            "Right click on the layer, Split Stack (or Split RGB), and choose one part." if one else "Choose another."
        )
        takes = f"{self.channels} channel{'s' * (not one)}"
        return f"The model takes {takes} and the movie has {there}. {advice}"


class _Announcer(QObject):
    """Tells every open dock in its own thread that a run was remembered."""

    remembered = Signal(str)


@functools.cache
def announcer() -> _Announcer:
    """Return the one object whose signal ``remembered(folder)`` says that there is a new run."""
    return _Announcer()


def remember_run(folder: str | Path) -> None:
    """Put a run first in the list of recent runs; open docks list it at once.

    The list is a convenience: where it cannot be written, the docks still hear of the run.
    """
    path = Path(folder).absolute()
    runs = [path, *(run for run in recent_runs() if run != path)]
    with contextlib.suppress(UserError):
        make_folder(_list().parent)
        write_json(_list(), {"runs": [str(run) for run in runs[:_MOST]]})
    announcer().remembered.emit(str(path))


def recent_runs() -> list[Path]:
    """Return the folders of recent runs, the latest first; only those that are still there."""
    try:
        stored = json.loads(_list().read_text(encoding="utf-8"))
        runs = [Path(run) for run in stored["runs"] if isinstance(run, str)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [run for run in dict.fromkeys(runs) if _is_folder(run)][:_MOST]


def runs_in(folder: Path) -> list[Path]:
    """Return the model folders in a folder of runs, the latest first."""
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if (path / _KWARGS).is_file() and (path / _STATE).is_file()]
        return sorted(found, key=lambda path: -(path / _STATE).stat().st_mtime)[:_MOST]
    return []


def model_facts(folder: str | Path) -> ModelFacts:
    """Read what a model folder, ours or the reference's, says of itself at a glance; the weights are not read."""
    try:
        path = model_folder(folder)
        _check(path)
        return _facts(path, read_yaml(path / _KWARGS), {**_training(path), **_done(path)})
    except UserError as error:
        return ModelFacts(Path(folder), "", str(error))


def _list() -> Path:
    if told := os.environ.get("NAPARI_TARROW_CONFIG"):
        return Path(told) / "recent_runs.json"
    import platformdirs

    return platformdirs.user_config_path("napari-tarrow", appauthor=False) / "recent_runs.json"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _check(path: Path) -> None:
    if not _is_folder(path):
        raise UserError(f"{path} is not there. Choose another model.")
    for name in (_KWARGS, _STATE):
        if not (path / name).is_file():
            raise UserError(
                f"{path.name} has no {name}. Choose the folder of a run, which holds {_KWARGS} and {_STATE}."
            )


def _training(path: Path) -> dict[str, Any]:
    """Return the options of the training, as ours or the reference wrote them."""
    if (path / _RUN).is_file():
        values = read_yaml(path / _RUN)
        parts = [values.get(name) for name in ("config", "plan", "movies")]
        config, plan, movies = (*parts,)
        found = dict(config) if isinstance(config, dict) else {}
        if isinstance(plan, dict) and "epochs" in plan:
            found["epochs"] = plan["epochs"]
        if isinstance(movies, list):
            found["input_train"] = [movie["name"] for movie in movies if isinstance(movie, dict) and "name" in movie]
        return found
    return read_yaml(path / _ARGUMENTS) if (path / _ARGUMENTS).is_file() else {}


def _done(path: Path) -> dict[str, int]:
    """Return how many epochs there were, which with minutes or a stop are others than were planned."""
    from ...engine.inference.descriptions.history import read_history

    history, _ = read_history(path)
    return {"epochs": len(history.epochs)} if history else {}


def _facts(path: Path, kwargs: dict[str, Any], training: dict[str, Any]) -> ModelFacts:
    deltas = training.get("delta") or [1]
    deltas = deltas if isinstance(deltas, list) else [deltas]
    known = tuple(delta for delta in deltas if type(delta) is int and delta > 0) or (1,)
    features, channels, frames = (_number(kwargs, *one) for one in _NUMBERS)
    words = [f"{kwargs.get('backbone', 'unet')} with {features} features"]
    if channels > 1:
        words.append(f"{channels} channels")
    trained = f"trained on {_movies(training)}" if _movies(training) else "trained"
    words.append(f"{trained} at delta {' and '.join(map(str, known))}")
    epochs = training.get("epochs")
    if isinstance(epochs, int):
        words[-1] += f", {epochs} epoch{'s' * (epochs != 1)}"
    channel = training.get("channel")
    if type(channel) is not int:
        channel = None
    else:
        words.append(f"channel {channel} alone")
    head = str(kwargs.get("projection_head", "minimal_batchnorm"))
    bundled = bundled_at(path)
    sentence = (f"{bundled.summary} " if bundled else "") + "; ".join(words) + "."
    return ModelFacts(path, sentence, None, known, channels, features, frames, channel, head)


_NUMBERS = (("n_features", 16), ("n_input_channels", 1), ("n_frames", 2))  # defaults of TimeArrowNet


def _number(values: dict[str, Any], name: str, default: int) -> int:
    value = values.get(name, default)
    return value if type(value) is int and value > 0 else default


def _movies(training: dict[str, Any]) -> str:
    inputs = training.get("input_train") or []
    inputs = inputs if isinstance(inputs, list) else [inputs]
    names = [PureWindowsPath(str(one)).name for one in inputs]  # takes both kinds of slashes
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
