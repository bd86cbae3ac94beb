"""A movie as a trained model wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..movies import PreparedMovie, open_movie, said_of_slices

if TYPE_CHECKING:
    from ..config import UseConfig
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
        What differs from training, and what is made of Z slices, one sentence each.

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
    movie = open_movie(
        source,
        channels=preparation.channels,
        frame_numbers=config.frame_numbers,
        n_images=config.n_images,
        axes=config.axes,
    )
    prepared, notices = PreparedMovie(movie, preparation), trained.differences(preparation)
    if movie.slices > 1:
        notices.append(f"Every frame is {said_of_slices(movie.slices, preparation.z)}.")
    return prepared, notices


def _count(channels: int) -> str:
    return f"{channels} channel{'s' * (channels != 1)}"
