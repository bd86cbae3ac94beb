"""A trained network with all it needs to be used: what it wants of a movie, and what it was trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .bundled import model_folder
from .config import TrainConfig
from .errors import UserError
from .files import read_yaml
from .models import read_model
from .models.folder import RUN, check_format
from .movies import Preparation
from .options import said

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from .models import TimeArrowNet


@dataclass(frozen=True)
class TrainedModel:
    """A network in eval mode, and what its folder says of it.

    Attributes
    ----------
    network : TimeArrowNet
    preparation : Preparation
        What it wants of a movie; where the folder does not say, as the reference prepares.
    delta : int
        The smallest time step it was trained with.
    config : TrainConfig or None
        How it was trained, where the folder is ours.
    folder : Path
    """

    network: TimeArrowNet
    preparation: Preparation
    delta: int
    config: TrainConfig | None
    folder: Path

    def differences(self, preparation: Preparation) -> list[str]:
        """Say what of a preparation is not as in training, one sentence each."""
        own = asdict(self.preparation)
        return [
            f"{name} is {said(value)} instead of {said(own[name])}, which the model was trained with."
            for name, value in asdict(preparation).items()
            if value != own[name]
        ]


def read_trained(folder: str | Path, device: str | torch.device = "cpu") -> TrainedModel:
    """Read a model folder, ours or the reference's, or a network that comes with the package, by its name.

    Raises
    ------
    UserError
        If something is missing, damaged, or does not fit together.
    """
    folder = model_folder(folder)
    network = read_model(folder, device)
    run, arguments = folder / RUN, folder / "train_args.yaml"
    if run.exists() and not run.is_file():
        raise UserError(f"{run} is a folder, not the file that says how the model was trained. Use another copy of it.")
    if run.exists():
        config = TrainConfig.from_values(_section(run, "config"), source=str(run))
        preparation = _preparation(_section(run, "preparation"), run)
        return TrainedModel(network, preparation, min(config.deltas), config, folder)
    values = read_yaml(arguments) if arguments.is_file() else {}
    names = asdict(Preparation())
    known: dict[str, Any] = {name: values[name] for name in names if values.get(name, "auto") != "auto"}
    if (inputs := network.config["n_input_channels"]) > 1:
        known.setdefault("channels", inputs)
    delta = values.get("delta") or [1]
    deltas = delta if isinstance(delta, list) else [delta]
    if not all(type(one) is int and one > 0 for one in deltas):
        raise UserError(f"{arguments}: delta is {delta}, but has to be whole numbers from 1 on.")
    smallest = min(deltas)
    return TrainedModel(network, _preparation(known, arguments), smallest, None, folder)


def _section(path: Path, name: str) -> dict[str, Any]:
    values = read_yaml(path)
    check_format(path, values)
    section = values.get(name)
    if not isinstance(section, dict):
        raise UserError(f"{path} has no section {name}: it is damaged. Use another copy of the folder.")
    return section


def _preparation(values: dict[str, Any], path: Path) -> Preparation:
    try:
        return Preparation(**values)
    except TypeError as error:
        raise UserError(f"{path} has an unknown entry ({error}). Use a newer napari-tarrow.") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
