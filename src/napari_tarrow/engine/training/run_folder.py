"""The folder of a run: what it was, so that it can be used, resumed and understood later.

Layout and names are the reference's (`model_kwargs.yaml`, `train_args.yaml`, `model_state.pt`, `checkpoints/`, `tb/`,
`visuals/`); `run.yaml` holds what it lacks.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import TrainConfig
from ..errors import UserError
from ..files import claim_folder, make_folder, only_one, read_yaml, user_path, write_yaml
from ..models import write_model
from ..models.folder import RUN, RUN_FORMAT, check_format
from ..movies import preparation_of
from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ..models import TimeArrowNet
    from ..movies import PreparedMovie


@dataclass(frozen=True)
class RunRecord:
    """What `run.yaml` says: the configuration, the plan, and the fingerprints of the movies, in their order."""

    config: TrainConfig
    plan: Plan
    fingerprints: tuple[str, ...]


def new_run_folder(config: TrainConfig, name: str) -> Path:
    """Make a run folder that was not there before: ``OUTDIR/[TIMESTAMP_]NAME_backbone_BACKBONE``.

    Raises
    ------
    UserError
        If it cannot be made.
    """
    if Path(config.name or name).name != (config.name or name):
        raise UserError(f"name is {config.name}, which is a path. Give a plain name, and the folder as outdir.")
    if not (config.name or name).isprintable():
        raise UserError(f"The run would be named {config.name or name!r}. Give a --name without such characters.")
    base = f"{config.name or name}_backbone_{config.backbone}"
    stamp = datetime.now().strftime("%m-%d-%H-%M-%S")
    outdir = user_path(config.outdir)
    candidates = [base] * (not config.timestamp) + [f"{stamp}_{base}"] + [f"{stamp}-{i}_{base}" for i in range(2, 100)]
    make_folder(outdir)
    for candidate in candidates:
        folder = outdir / candidate
        if claim_folder(folder):  # another run may take the name at the same moment
            return folder
    raise UserError(f"{outdir} has too many runs named {base}. Give another --name.")


def training_in(folder: Path) -> AbstractContextManager[None]:
    """Within the block no other process trains in a run folder; what a killed one held is free again.

    Raises
    ------
    UserError
        If another does.
    """
    busy = f"Another process is training in {folder}. Stop it first, or wait until it ends."
    return only_one(folder / ".training", folder, busy)


def write_run(
    folder: Path, config: TrainConfig, plan: Plan, model: TimeArrowNet, movies: Sequence[tuple[PreparedMovie, str]]
) -> None:
    """Write what the run is, before its first step; if that fails, the folder is taken away again.

    Parameters
    ----------
    movies : pairs of a movie and its fingerprint
    """
    try:
        for part in ("checkpoints", "visuals"):
            make_folder(folder / part)
        write_yaml(folder / "train_args.yaml", config.model_dump(mode="json"))
        write_yaml(folder / RUN, _record(config, plan, model, movies))
        write_model(folder, model)
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def read_run(folder: Path) -> RunRecord:
    """Read what a run was.

    Raises
    ------
    UserError
        If the folder is no run folder of ours, or its record is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Give a run folder, which holds {RUN}.")
    if not (folder / RUN).is_file():
        raise UserError(f"{folder} has no {RUN}: it cannot be resumed. Start a new run from its weights with --init.")
    values = read_yaml(folder / RUN)
    check_format(folder / RUN, values)
    try:
        config = TrainConfig.from_values(values["config"], source=str(folder / RUN))
        fingerprints = tuple(str(movie["fingerprint"]) for movie in values["movies"])
        return RunRecord(config, Plan(**values["plan"]).checked(), fingerprints)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder / RUN} is damaged ({error}). Start a new run from its weights with --init."
        ) from error


def _record(
    config: TrainConfig, plan: Plan, model: TimeArrowNet, movies: Sequence[tuple[PreparedMovie, str]]
) -> dict[str, Any]:
    import numpy
    import torch

    from napari_tarrow import __version__

    return {
        "format": RUN_FORMAT,
        "napari_tarrow": __version__,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "preparation": asdict(preparation_of(config)),
        "plan": plan.values(),
        "movies": [_movie_record(movie, fingerprint) for movie, fingerprint in movies],
        "machine": {
            "device": str(model.device),
            "threads": torch.get_num_threads(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": numpy.__version__,
        },
        "config": config.model_dump(mode="json"),
    }


def _movie_record(prepared: PreparedMovie, fingerprint: str) -> dict[str, Any]:
    movie = prepared.movie
    return {
        "name": movie.name,
        "source": movie.source,
        "shape": list(movie.shape),
        "dtype": str(movie.dtype),
        "fingerprint": fingerprint,
    }
