"""What callers give, checked before any work is done: networks, movies, indices, choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..models import TimeArrowNet
from ..movies import PreparedMovie
from ..numbers import whole_number
from ..options import hint
from ..trained import TrainedModel

if TYPE_CHECKING:
    from collections.abc import Sequence


def network_for(model: TimeArrowNet | TrainedModel, movie: PreparedMovie) -> TimeArrowNet:
    """Return the network of a trained model, or the network that is given.

    Raises
    ------
    UserError
        If it is none, or does not fit the movie.
    """
    network = model.network if isinstance(model, TrainedModel) else model
    if not isinstance(network, TimeArrowNet):
        raise UserError(f"A {type(model).__name__} is no network. Give what read_trained(folder) returns.")
    if not isinstance(movie, PreparedMovie):
        raise UserError(
            f"A {type(movie).__name__} is not prepared for a network. Give PreparedMovie(open_movie(...),"
            " trained.preparation)."
        )
    channels, wanted = movie.shape[1], network.config["n_input_channels"]
    if channels != wanted:
        raise UserError(
            f"{movie.movie.name} has {channels} channel{'s' * (channels != 1)}, but the network takes {wanted}. Open it"
            f" with channels {wanted if wanted > 1 else '0 or 1'}."
        )
    return network


def indices(given: Iterable[int] | None, count: int, name: str) -> list[int]:
    """Return indices of some of `count` frames, all without them.

    Raises
    ------
    UserError
        If they are none.
    """
    if given is None:
        return list(range(count))
    if not isinstance(given, Iterable):
        raise UserError(f"{name} is {given!r}. Give a list of indices, such as [0, 1].")
    chosen = list(given)
    if any(isinstance(one, bool | np.bool_) for one in chosen):
        raise UserError(f"{name} holds True or False. Give indices, such as numpy.flatnonzero makes of a mask.")
    chosen = [whole_number(one, f"One of {name}", "Give whole numbers.") for one in chosen]
    outside = [index for index in chosen if not 0 <= index < count]
    if outside:
        raise UserError(f"{name} holds {outside[0]}, but the movie has {count} frames: give indices 0 to {count - 1}.")
    return chosen


def choice(value: Any, choices: Sequence[str], name: str) -> None:
    """Refuse what is none of the choices.

    Raises
    ------
    UserError
    """
    if value not in choices:
        raise UserError(f"{name} is {value!r}.{hint(str(value), choices)} Give one of: {', '.join(choices)}.")
