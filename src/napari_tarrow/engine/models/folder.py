"""Model folders: `model_kwargs.yaml` and a state dict, as upstream writes and reads them."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..bundled import NAMES, model_folder
from ..devices import choose_device
from ..errors import UserError
from ..files import make_folder, read_yaml, replacing, write_yaml
from .choices import hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .network import TimeArrowNet

KWARGS = "model_kwargs.yaml"
STATE = "model_state.pt"
FULL = "model_full.pt"
LAST = "checkpoints/last.pt"  # where a run stands; its entry `model` is a state dict
RUN = "run.yaml"  # what a run adds: configuration, preparation, provenance
RUN_FORMAT = 1
_LARGEST = 1_000_000  # number of anything in a network


def write_model(folder: str | Path, model: TimeArrowNet, *, name: str = STATE) -> None:
    """Write a network's arguments and state into a folder, each file whole or not at all.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder = Path(folder)
    make_folder(folder)
    write_yaml(folder / KWARGS, model.config)
    write_state(folder / name, model.state_dict())


def write_state(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict, its tensors contiguous and on the CPU.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    plain = {name: tensor.detach().to("cpu", memory_format=torch.contiguous_format) for name, tensor in state.items()}
    save(path, plain)


def save(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a file of tensors and plain values.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    content = io.BytesIO()  # writing to the disk itself, torch turns a full one into a RuntimeError
    torch.save(dict(values), content)
    with replacing(path) as file:
        file.write(content.getbuffer())


def read_model(folder: str | Path, map_location: str | torch.device = "cpu", state: str = STATE) -> TimeArrowNet:
    """Return the network of a model folder, in eval mode.

    Raises
    ------
    UserError
        If a file is missing or damaged, the state does not belong to the network that the arguments describe, or the
        device is not there.
    """
    from .network import TimeArrowNet

    device, _ = choose_device(str(map_location))
    folder = model_folder(folder)
    _require(folder, state)
    kwargs = _checked_kwargs(folder / KWARGS)
    model = TimeArrowNet(**kwargs)
    fill(model, load_state(folder / state), source=folder / state)
    return model.to(device).eval()


def check_format(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a `run.yaml` that another version wrote in another way.

    Raises
    ------
    UserError
    """
    if values.get("format", RUN_FORMAT) != RUN_FORMAT:
        raise UserError(
            f"{path} has format {values['format']!r}, and this napari-tarrow reads format {RUN_FORMAT}."
            " Use the napari-tarrow that wrote it, or a newer one."
        )


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a file, on the CPU; nothing in the file is ever executed.

    Raises
    ------
    UserError
        If the file is missing or damaged, or holds anything but tensors by name.
    """
    state = load(path)
    named = all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items())
    if not named:
        raise UserError(f"{path} holds no state dict (tensors by name). {_CONVERT}")
    return state


def load(path: Path) -> dict[str, Any]:
    """Return the mapping of tensors and plain values in a file, on the CPU; nothing in it is ever executed.

    Raises
    ------
    UserError
        If the file is missing or damaged, or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Check the path.")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read. Check its rights.")
    damaged = f"{path} is damaged, cut short or not written by torch.save. Use another copy or checkpoint."
    if not zipfile.is_zipfile(path):
        raise UserError(damaged)
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is damaged, or holds more than tensors, which is never read. {_CONVERT}") from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(damaged) from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no state dict (tensors by name). {_CONVERT}")
    return dict(values)


def fill(model: TimeArrowNet, state: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Put a state dict into a network, after its names and shapes were compared; in place.

    Raises
    ------
    UserError
        If a name is missing or unknown or a shape differs; the first of each kind is given.
    """
    own = model.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    complaints = []
    if missing:
        complaints.append(f"{_first(missing)} missing")
    if unexpected:
        complaints.append(f"{_first(unexpected)} not known")
    if shapes:
        name = shapes[0]
        complaints.append(f"{_first(shapes)} of shape {_shape(state[name])} where {_shape(own[name])} belongs")
    if complaints:
        raise UserError(
            f"{source} belongs to another network than {model.kwargs['backbone']} as described: "
            f"{', '.join(complaints)}. Use the {KWARGS} that was written with it."
        )
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:  # sparse tensors, or such without content
        raise UserError(f"{source} holds tensors that cannot be copied into a network. {_CONVERT}") from error


_CONVERT = (
    "Where the model is trusted, load it in the software that wrote it and store its tensors alone: "
    f"torch.save(model.state_dict(), '{STATE}')."
)


def _require(folder: Path, state: str) -> None:
    try:
        _require_files(folder, state)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror or error}). Check its rights.") from error


def _require_files(folder: Path, state: str) -> None:
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder. Give the model folder, which holds {KWARGS} and {STATE}, or the name of a network"
            f" that comes with the package: {NAMES}."
        )
    if not (folder / state).is_file():
        if (folder / FULL).is_file():
            raise UserError(
                f"{folder} holds only {FULL}, a pickled module: reading it would run whatever code it contains. "
                f"{_CONVERT}"
            )
        raise UserError(f"{folder} has no {state}. Give a model folder in which training has stored a model.")
    if not (folder / KWARGS).is_file():
        raise UserError(f"{folder} has no {KWARGS}, which says what network it is. Give the model folder itself.")


def _checked_kwargs(path: Path) -> dict[str, Any]:
    """Return the constructor's arguments in the file, checked by name and type; device and commit do not matter."""
    from .network import TimeArrowNet

    kwargs = {name: value for name, value in read_yaml(path).items() if name not in ("commit", "device", "outdir")}
    defaults = {name: p.default for name, p in inspect.signature(TimeArrowNet).parameters.items()}
    for name, value in kwargs.items():
        if name not in defaults:
            raise UserError(f"{path} has an unknown entry {name!r}. {hint(str(name), defaults)}")
        if type(value) is not type(defaults[name]) or (type(value) is int and not 1 <= value <= _LARGEST):
            kind = {str: "a name", bool: "true or false", int: f"a whole number from 1 to {_LARGEST}"}[
                type(defaults[name])
            ]
            raise UserError(f"{path}: {name} is {value!r}, but has to be {kind}.")
    return kwargs


def _first(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
