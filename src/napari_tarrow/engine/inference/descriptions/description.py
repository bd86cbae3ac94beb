"""What a model is: network, preparation and training, as its folder says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ...files import read_yaml
from ...models.folder import RUN
from ...trained import read_trained
from .history import History, read_history, read_shortcuts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...movies import Preparation

_ARGUMENTS = "train_args.yaml"
_PROVENANCE = ("outdir", "commit")  # arguments of the network that do not make it another one


@dataclass(frozen=True)
class ModelDescription:
    """What a model folder holds.

    Attributes
    ----------
    folder : str
    ours : bool
        Whether this package wrote it, or the reference, which has no `run.yaml`.
    network : dict
        Names and sizes of the network's parts: the arguments of `TimeArrowNet`.
    parameters, downscale : int
        Numbers that are learnt; input pixels per pixel of the embedding.
    receptive_field : int or None
        Side in pixels of what a pixel of the embedding depends on; None where that is the whole image.
    preparation : Preparation
        What the network wants of a movie.
    deltas : tuple of int
        Time steps that it was trained with.
    movies : tuple of str
        What it was trained on, as far as that is known.
    arguments : dict
        Options of its training, by name; empty where they are not known.
    run : dict
        The plan, the machine and so on, as `run.yaml` has them; empty for the reference's folders.
    history : History or None
        Losses and accuracies of every epoch; None where they are not known.
    shortcuts : tuple of str
        What the report at the end of the training says, sentence by sentence.
    files : tuple of str
        What is in the folder; folders end in a slash and the number of files in them.
    notices : tuple of str
        What is damaged but not needed to use the model, one sentence each.
    """

    folder: str
    ours: bool
    network: dict[str, Any]
    parameters: int
    downscale: int
    receptive_field: int | None
    preparation: Preparation
    deltas: tuple[int, ...]
    movies: tuple[str, ...]
    arguments: dict[str, Any]
    run: dict[str, Any]
    history: History | None
    shortcuts: tuple[str, ...]
    files: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return everything as plain values, for a script; the best epoch is named once more by itself."""
        best = self.history.best if self.history else None
        return {**asdict(self), "best_epoch": asdict(best) if best else None}


def describe_model(folder: str | Path) -> ModelDescription:
    """Read what the folder of a model, ours or the reference's, says of it; `model_rows` says it in words.

    Raises
    ------
    UserError
        If the model cannot be used: something is missing, damaged, or does not fit together.
    """
    trained = read_trained(folder)
    network, folder = trained.network, trained.folder
    run: dict[str, Any] = {}
    if trained.config is not None:
        run = {name: value for name, value in read_yaml(folder / RUN).items() if name not in ("config", "preparation")}
        arguments = trained.config.model_dump(mode="json")
    else:
        arguments = read_yaml(folder / _ARGUMENTS) if (folder / _ARGUMENTS).is_file() else {}
    history, notices = read_history(folder)
    return ModelDescription(
        folder=str(folder),
        ours=trained.config is not None,
        network={name: value for name, value in network.config.items() if name not in _PROVENANCE},
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        downscale=network.downscale,
        receptive_field=network.receptive_field if network.backbone.local else None,
        preparation=trained.preparation,
        deltas=tuple(_several(arguments.get("delta", trained.delta))),
        movies=tuple(_movies(run) or map(str, _several(arguments.get("input_train")))),
        arguments=arguments,
        run=run,
        history=history and _with_pairs(history, arguments),
        shortcuts=read_shortcuts(folder),
        files=tuple(_files(folder)),
        notices=tuple(notices),
    )


def _several(value: Any) -> list[Any]:
    """Return a list of what may be given alone, in a list, or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _movies(run: dict[str, Any]) -> list[str]:
    """Return the movies in `run.yaml`; nothing, where somebody has changed that in ways we do not understand."""
    movies = []
    try:
        for movie in run["movies"]:
            frames, channels, height, width = movie["shape"]
            more = f", {channels} channels" if channels > 1 else ""
            movies.append(f"{movie['name']} ({frames} frames of {height} x {width}{more}, {movie['dtype']})")
    except (KeyError, TypeError, ValueError):
        return []
    return movies


def _with_pairs(history: History, arguments: dict[str, Any]) -> History:
    """Add the number of pairs where the options alone tell it: the reference counts nothing."""
    per_epoch = arguments.get("train_samples_per_epoch")
    if history.pairs is not None or type(per_epoch) is not int:
        return history
    return replace(history, pairs=len(history.epochs) * per_epoch)


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            inside = sum(1 for one in path.rglob("*") if one.is_file())
            yield f"{path.name}/ ({inside} file{'s' * (inside != 1)})"
        elif not path.name.startswith("."):
            yield path.name
