"""A movie as a trained model wants it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..movies import PreparedMovie, open_movie, said_of_slices
from .descriptions.history import read_history

if TYPE_CHECKING:
    from ..config import UseConfig
    from ..movies.movie import Movie
    from ..trained import TrainedModel


def open_for(trained: TrainedModel, config: UseConfig, source: Any = None) -> tuple[PreparedMovie, list[str]]:
    """Open a movie with the preparation that a model was trained with.

    Parameters
    ----------
    trained : TrainedModel
    config : UseConfig
        What it says of the preparation wins over the model's.
    source : anything `open_movie` takes, optional
        In place of the configuration's ``movie``.

    Returns
    -------
    movie : PreparedMovie
    notices : list of str
        What differs from training, which axes are taken from there, that next to nothing was learnt, and what is made
        of Z slices, one sentence each.

    Raises
    ------
    UserError
        If the movie cannot be read or has another number of channels than the network takes.
    """
    given = {name: getattr(config, name) for name in ("channels", "z", "normalize", "subsample", "binarize")}
    preparation = replace(trained.preparation, **{name: one for name, one in given.items() if one is not None})
    source = config.movie if source is None else source
    wanted = trained.network.config["n_input_channels"]
    if max(1, preparation.channels) != wanted:
        raise UserError(
            f"The network in {trained.folder} takes {_count(wanted)}, and channels {preparation.channels} asks for"
            f" {_count(max(1, preparation.channels))}. Leave channels out, or train a network for that."
        )
    movie, noticed = _opened(trained, config, source, preparation.channels)
    prepared, notices = PreparedMovie(movie, preparation), trained.differences(preparation) + noticed
    history, _ = read_history(trained.folder)
    if history and (remark := history.remark):
        notices.append(remark)
    if slices := said_of_slices(movie.slices, preparation.z):
        notices.append(f"Every frame is {slices}.")
    return prepared, notices


def _opened(trained: TrainedModel, config: UseConfig, source: Any, channels: int) -> tuple[Movie, list[str]]:
    """Open a movie, with the axes of the training where nobody says which they are and it does not go without."""

    def opened(axes: str | None) -> Movie:
        numbers, n_images = config.frame_numbers, config.n_images
        return open_movie(source, channels=channels, frame_numbers=numbers, n_images=n_images, axes=axes)

    try:
        return opened(config.axes), []
    except UserError:
        known = trained.config.axes if trained.config and config.axes is None else None
        if known is None:
            raise
        with contextlib.suppress(UserError):
            return opened(known), [f"Its axes are taken for {known}, as in training."]
        raise


def _count(channels: int) -> str:
    return f"{channels} channel{'s' * (channels != 1)}"
