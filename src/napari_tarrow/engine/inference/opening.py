"""A movie as a trained model wants it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..bundled import bundled_at
from ..errors import UserError
from ..movies import PreparedMovie, open_movie, said_of_slices
from ..movies.resolution import choose_subsample
from .descriptions.history import read_history

if TYPE_CHECKING:
    from ..config import UseConfig
    from ..movies import Preparation
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
        What differs from training, which axes are taken from there, which blocks are averaged for a network of the
        package, that next to nothing was learnt, which channel is taken alone, and what is made of Z slices, one
        sentence each.

    Raises
    ------
    UserError
        If the movie cannot be read or has another number of channels than the network takes.
    """
    names = ("channels", "channel", "z", "normalize", "subsample", "binarize")
    given = {name: value for name in names if (value := getattr(config, name)) is not None}
    if config.channels is not None and config.channel is None:
        given["channel"] = None  # the first channels, not the one of the training
    preparation = replace(trained.preparation, **given)
    source = config.movie if source is None else source
    wanted = trained.network.config["n_input_channels"]
    if preparation.taken != wanted:
        name = "channels" if preparation.channel is None else "channel"
        raise UserError(
            f"The network in {trained.folder} takes {_count(wanted)}, and {name} {getattr(preparation, name)} asks for"
            f" {_count(preparation.taken)}. Leave {name} out, or train a network for that."
        )
    movie, noticed = _opened(trained, config, source, preparation)
    prepared, notices = PreparedMovie(movie, preparation), trained.differences(preparation) + noticed
    if config.subsample is None and bundled_at(trained.folder) is not None:
        prepared, chosen = _with_known_sizes(trained, prepared)
        notices += chosen
    history, _ = read_history(trained.folder)
    if history and (remark := history.remark):
        notices.append(remark)
    if preparation.channel is not None:
        notices.append(f"It is read as {prepared.channels_in_words}.")
    if slices := said_of_slices(movie.slices, preparation.z):
        notices.append(f"Every frame is {slices}.")
    return prepared, notices


def _opened(trained: TrainedModel, config: UseConfig, source: Any, preparation: Preparation) -> tuple[Movie, list[str]]:
    """Open a movie, with the axes of the training where nobody says which they are and it does not go without."""

    def opened(axes: str | None) -> Movie:
        return open_movie(
            source,
            channels=preparation.channels,
            channel=preparation.channel,
            frame_numbers=config.frame_numbers,
            n_images=config.n_images,
            axes=axes,
        )

    known = trained.config.axes if trained.config and config.axes is None else None
    as_trained = None
    if known is not None:
        with contextlib.suppress(UserError):
            as_trained = opened(known)
    taken = [f"Its axes are taken for {known}, as in training."]
    try:
        movie = opened(config.axes)
    except UserError:
        if as_trained is None:
            raise
        return as_trained, taken
    if as_trained is None or (as_trained.shape, as_trained.slices) == (movie.shape, movie.slices):
        return movie, []
    if movie.guessed:
        return as_trained, taken
    return movie, [f"Its axes are not taken for {known}, as in training, but as the file has them (--axes)."]


def _with_known_sizes(trained: TrainedModel, movie: PreparedMovie) -> tuple[PreparedMovie, list[str]]:
    """Average blocks of large objects, until they are as large as those a network of the package was trained on."""
    block, why = choose_subsample([movie.by_frame()], min(movie.movie.shape[2:]) // trained.network.downscale)
    if block == 1:
        return movie, []
    return PreparedMovie(movie.movie, replace(movie.preparation, subsample=block)), [why]


def _count(channels: int) -> str:
    return f"{channels} channel{'s' * (channels != 1)}"
