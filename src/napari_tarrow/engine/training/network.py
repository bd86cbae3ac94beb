"""The network a run starts with."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ..bundled import bundled_at
from ..config import NETWORK_ARGUMENTS
from ..errors import UserError
from ..models import TimeArrowNet, read_model
from ..movies import preparation_of
from ..trained import read_trained

if TYPE_CHECKING:
    from ..config import TrainConfig

_seeding = threading.Lock()  # torch has one generator for all threads


def new_network(
    config: TrainConfig, channels: int, device: torch.device, *, filled_later: bool = False
) -> TimeArrowNet:
    """Make the network of a configuration, its weights from the seed or from another model (``init``).

    Parameters
    ----------
    filled_later : bool
        Its weights come from a checkpoint: the model to start from need not be there any more.

    Raises
    ------
    UserError
        If there is no network of these names, or the model to start from is another network.
    """
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        chosen = {argument: getattr(config, name) for name, argument in NETWORK_ARGUMENTS.items()}
        model = TimeArrowNet(**chosen, n_input_channels=channels)
    if config.init is not None and not filled_later:
        _start_from(model, config.init)
    else:
        _amplify(model, config.logit_gain)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def start_differences(config: TrainConfig) -> list[str]:
    """Say, one sentence each, where the model to start from saw its movies otherwise than this run will."""
    if config.init is None:
        return []
    try:
        start = read_trained(config.init)
    except UserError as error:
        return [f"init {config.init}: how it saw its movies could not be read. {error}"]
    own = start.preparation  # the networks' inputs agree, whichever channels of their movies they are
    preparation = replace(preparation_of(config), channels=own.channels, channel=own.channel)
    if bundled_at(start.folder) is not None:  # it is for objects of any size
        preparation = replace(preparation, subsample=own.subsample)
    return [f"init {config.init}: {difference}" for difference in start.differences(preparation)]


def _start_from(model: TimeArrowNet, folder: str) -> None:
    other = read_model(folder)
    ignored = ("outdir", "commit")
    differing = [k for k, v in model.config.items() if k not in ignored and other.config.get(k) != v]
    if differing:
        options = {"n_input_channels": "channels", **{argument: name for name, argument in NETWORK_ARGUMENTS.items()}}
        said = (f"{options.get(k, k)} {other.config.get(k)} and not {model.config[k]}" for k in differing)
        raise UserError(
            f"init {folder} is another network than this run's: it has {', '.join(said)}. Give the options that it had,"
            " and a movie of as many channels."
        )
    model.load_state_dict(other.state_dict())


def _amplify(model: TimeArrowNet, gain: float) -> None:
    """Scale the last linear layer: the mean over space leaves logits near zero at the start."""
    head = model.classification_head
    names = [name for name, _ in head.named_parameters()]
    block = names[-1].removesuffix(".bias").removesuffix(".weight").removesuffix(".L").removesuffix(".G")
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name.startswith(block):
                parameter.mul_(gain)
