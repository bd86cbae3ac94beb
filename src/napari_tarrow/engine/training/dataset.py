"""Movies, splits and deltas become two samplers over one frame store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..movies import Movie, PreparedMovie, expand_inputs, open_prepared, preparation_of, said_of_slices
from ..movies.inputs import listed
from ..movies.resolution import choose_subsample
from .frames import FrameStore, stored_frames
from .parts import Chosen, Part, check_parts, count_clips, find_parts, hold_clips, with_splits_that_fit
from .sampling import Sampler
from .time_step import choose_delta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from ..config import TrainConfig

_SMALLEST_PATCH = 8


@dataclass(frozen=True)
class Footage:
    """Movies and the clips in them, before their frames are read and kept.

    `config` says what was asked for, with what was chosen from the movies; `movies` are all, each once; `train` and
    `val` say what is drawn from them; `summary` and `notices` are sentences.
    """

    config: TrainConfig
    movies: tuple[PreparedMovie, ...]
    train: tuple[Part, ...]
    val: tuple[Part, ...]
    size: int
    summary: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Channels of every movie."""
        return self.movies[0].shape[1]


@dataclass(frozen=True)
class Dataset:
    """What training draws from."""

    store: FrameStore
    train: Sampler
    val: Sampler


def open_footage(
    config: TrainConfig,
    movies: Any,
    val_movies: Any,
    watched: Callable[[PreparedMovie], PreparedMovie] = lambda movie: movie,
) -> Footage:
    """Open the movies, choose from them what the configuration leaves open, and find their clips.

    Parameters
    ----------
    config : TrainConfig
    movies, val_movies
        One of what `open_movie` takes or several, in place of the configuration's inputs; or None.
    watched
        Puts something between a movie and whoever reads its frames.

    Raises
    ------
    UserError
        If a movie cannot be read, has other channels than the others, or a split holds no clip.
    """
    train_sources = _sources(config, config.input_train if movies is None else movies)
    given_val = config.input_val if val_movies is None else val_movies
    val_sources = train_sources if given_val is None else _sources(config, given_val)
    sources = {_key(source): source for source in (*train_sources, *val_sources)}
    config = _with_their_channel(config, list(sources.values()))
    opened = [open_prepared(config, source) for source in sources.values()]
    config, opened = _with_scaling(config, opened)
    opened = [watched(movie) for movie in opened]
    places = {key: place for place, key in enumerate(sources)}
    chosen = Chosen(*([places[_key(source)] for source in some] for some in (train_sources, val_sources)))
    _check_channels(opened)
    config, opened, seen = _with_subsample(config, opened, chosen)
    config, divided = with_splits_that_fit(config, opened, chosen)  # at delta 1, where it is to be chosen
    config, told, notices = _with_delta(config, opened, chosen)
    train, val = find_parts(config, opened, chosen)
    too_short = check_parts(config, opened, train, val)
    size, smaller = _patch_size(config, opened)
    summary = [*map(_describe, opened), *seen, *divided, *told]
    summary += [count_clips(config, train, "training"), count_clips(config, val, "validation")]
    noticed = (*smaller, *_scaled_together(config, opened[0]), *notices, *too_short)
    return Footage(config, tuple(opened), train, val, size, tuple(summary), noticed)


@contextlib.contextmanager
def open_dataset(config: TrainConfig, footage: Footage, device: torch.device) -> Iterator[Dataset]:
    """Read the frames that the clips need and make the samplers; the frames are given back at the end."""
    used: list[set[int]] = [set() for _ in footage.movies]
    for part in (*footage.train, *footage.val):
        used[part.movie].update(part.clips.ravel().tolist())
    power = config.change_power if config.patches == "change" else None
    with stored_frames(footage.movies, used, device, config.num_workers) as (store, numbers):
        samplers = [
            Sampler(
                store,
                np.concatenate([numbers[part.movie][part.clips] for part in parts]),
                footage.size,
                change_power=power,
                change_mix=config.change_mix,
            )
            for parts in (footage.train, footage.val)
        ]
        yield Dataset(store, *samplers)


def _sources(config: TrainConfig, inputs: Any) -> list[Any]:
    """Return the movies that inputs stand for: folders are descended into, what is no path stays."""
    found: list[Any] = []
    for source in listed(inputs):
        path = isinstance(source, str | PurePath)
        found += expand_inputs([str(source)], config.read_recursion_level) if path else [source]
    if not found:
        raise UserError("No movie is given. Name one or more as input_train.")
    return found


def _key(source: Any) -> Any:
    """Tell one movie from another, however its path is written."""
    return Path(source).expanduser().resolve() if isinstance(source, str) else id(source)


def _with_their_channel(config: TrainConfig, sources: Sequence[Any]) -> TrainConfig:
    """Take over which channel movies were opened with, so that the model's later movies are read like them."""
    own = {source.channel for source in sources if isinstance(source, Movie)} - {None}
    if len(own) == 1 and config.channel is None and config.channels <= 1:
        return config.model_copy(update={"channel": own.pop()})
    return config


def _with_scaling(config: TrainConfig, movies: list[PreparedMovie]) -> tuple[TrainConfig, list[PreparedMovie]]:
    """Choose how channels are scaled where it is left open; return the movies with it, too."""
    if config.scale_channels != "auto" or movies[0].shape[1] == 1:
        return config, movies
    colours = all(movie.movie.colours for movie in movies)
    config = config.model_copy(update={"scale_channels": "together" if colours else "each"})
    return config, _prepared_anew(config, movies)


def _prepared_anew(config: TrainConfig, movies: Sequence[PreparedMovie]) -> list[PreparedMovie]:
    return [PreparedMovie(movie.movie, preparation_of(config)) for movie in movies]


def _with_subsample(
    config: TrainConfig, movies: list[PreparedMovie], chosen: Chosen
) -> tuple[TrainConfig, list[PreparedMovie], list[str]]:
    """Choose the resolution where it is left open; return the movies with it, and the rest of the summary too."""
    if config.subsample != "auto":
        return config, movies, []
    side = min(side for movie in movies for side in movie.shape[2:])
    block, why = choose_subsample([movies[index].by_frame() for index in chosen.train], side // config.size)
    config = config.model_copy(update={"subsample": block})
    return config, _prepared_anew(config, movies), [why]


def _with_delta(
    config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Chosen
) -> tuple[TrainConfig, list[str], list[str]]:
    """Choose the time step where it is left open; return the rest of the summary and of the notices too."""
    if config.delta != "auto":
        return config, [], []

    def with_step(delta: int) -> TrainConfig:
        return config.model_copy(update={"delta": (delta,)})

    def usable(delta: int) -> bool:
        return hold_clips(with_step(delta), movies, chosen)

    step = choose_delta([movies[index].by_frame() for index in chosen.train], usable)
    return with_step(step.delta), [step.why], list(step.notices)


def _check_channels(movies: Sequence[PreparedMovie]) -> None:
    first = movies[0]
    for movie in movies[1:]:
        if movie.shape[1] != first.shape[1]:
            raise UserError(
                f"{movie.movie.name} has {movie.shape[1]} channels, {first.movie.name} has {first.shape[1]}."
                " Train on movies with the same channels, or choose some with channels."
            )


def _patch_size(config: TrainConfig, movies: Sequence[PreparedMovie]) -> tuple[int, list[str]]:
    smallest = min(movies, key=lambda movie: min(movie.shape[2:]))
    side = min(smallest.shape[2:])
    if side < _SMALLEST_PATCH:
        raise UserError(
            f"The frames of {smallest.movie.name} are {smallest.shape[2]} x {smallest.shape[3]} pixels, too small to"
            f" learn from. Use a movie of at least {_SMALLEST_PATCH} x {_SMALLEST_PATCH}, or a smaller subsample."
        )
    if side >= config.size:
        return config.size, []
    return side, [
        f"Patches are {side} pixels instead of {config.size}: the frames of {smallest.movie.name} are"
        f" {smallest.shape[2]} x {smallest.shape[3]}."
    ]


def _scaled_together(config: TrainConfig, movie: PreparedMovie) -> list[str]:
    if config.normalize != "frame" or config.binarize or movie.shape[1] == 1:
        return []
    return [
        "normalize frame scales all channels as the first, as published: much brighter or dimmer ones are hardly learnt"
        " from. normalize smooth, movie and channel heed all of them."
    ]


def _describe(movie: PreparedMovie) -> str:
    frames, _, height, width = movie.movie.shape
    numbers = movie.movie.frame_numbers
    missing = int(numbers[-1] - numbers[0] + 1) - frames
    gaps = f", {missing} frame number{'s' * (missing > 1)} missing" if missing else ""
    slices = said_of_slices(movie.movie.slices, movie.preparation.z)
    channels = f"{movie.channels_in_words}{f', {slices}' if slices else ''}"
    size = f"{frames} frames of {height} x {width}"
    return f"Movie {movie.movie.name}: {size}, {movie.movie.dtype}, {channels}{gaps}."
