"""Which parts of the movies are trained and validated on, and the clips in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UserError
from ..movies import sequences, split_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ..config import TrainConfig
    from ..movies import PreparedMovie

_SHORTER = (0.8, 0.7, 0.6, 0.5)  # of a movie, to train on, where the usual nine tenths leave no clip for validation


@dataclass(frozen=True)
class Part:
    """What one split of one movie gives at one delta: `clips` (S, K), indices of frames in the movie."""

    movie: int
    split: tuple[float, float]
    delta: int
    clips: np.ndarray


class Chosen(NamedTuple):
    """Which movies, by their places, are trained and validated on."""

    train: Sequence[int]
    val: Sequence[int]


def find_parts(
    config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Chosen
) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Find the clips to train on and those to validate on."""
    return (
        _parts(config, movies, chosen.train, config.split_train),
        _parts(config, movies, chosen.val, config.split_val),
    )


def hold_clips(config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Chosen) -> bool:
    """Return whether there is a clip of every delta both to train and to validate on."""
    return all(
        any(len(part.clips) for part in parts if part.delta == delta)
        for parts in find_parts(config, movies, chosen)
        for delta in config.deltas
    )


def with_splits_that_fit(
    config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Chosen
) -> tuple[TrainConfig, list[str]]:
    """Validate on more of short movies than the usual tenth, until it holds a clip; a split of the user's stays.

    Returns
    -------
    config : TrainConfig
        The same, where the splits hold clips, are not the usual ones, or no others help.
    told : list of str
        What was chosen, in a sentence.
    """
    usual = {name: type(config).model_fields[name].default for name in ("split_train", "split_val")}
    if any(getattr(config, name) != split for name, split in usual.items()) or hold_clips(config, movies, chosen):
        return config, []
    for end in _SHORTER:
        shorter = config.model_copy(update={"split_train": ((0.0, end),), "split_val": ((end, 1.0),)})
        if hold_clips(shorter, movies, chosen):
            return shorter, [
                f"Trained on 0 to {end:g} of the movie and validated on the rest: a tenth holds no clip."
            ]
    return config, []


def check_parts(
    config: TrainConfig, movies: Sequence[PreparedMovie], train: Sequence[Part], val: Sequence[Part]
) -> list[str]:
    """Return a sentence for every part that holds no clip, where others do.

    Raises
    ------
    UserError
        If what is trained on is validated on too, or one of the two has no clip of a delta.
    """
    _check_overlap(movies, train, val)
    _check_clips(config, movies, train, "training", config.split_train)
    _check_clips(config, movies, val, "validation", config.split_val)
    return _without_clips(movies, train, "training") + _without_clips(movies, val, "validation")


def count_clips(config: TrainConfig, parts: Sequence[Part], what: str) -> str:
    """Say in a sentence how many clips there are."""
    kind = "sequences" if config.clip_frames == config.frames else "clips"
    counts = [f"{sum(len(p.clips) for p in parts if p.delta == delta)} at delta {delta}" for delta in config.deltas]
    return f"{kind.capitalize()} of {config.clip_frames} frames for {what}: {', '.join(counts)}."


def _parts(
    config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Sequence[int], splits: Sequence[tuple[float, float]]
) -> tuple[Part, ...]:
    parts = []
    for delta in config.deltas:
        for index in chosen:
            numbers = movies[index].movie.frame_numbers
            for split in splits:
                within = split_range(len(numbers), split)
                clips = sequences(numbers, within, config.clip_frames, delta)
                parts.append(Part(index, split, delta, clips))
    return tuple(parts)


def _check_overlap(movies: Sequence[PreparedMovie], train: Sequence[Part], val: Sequence[Part]) -> None:
    """Refuse to validate on what is trained on."""
    for part in train:
        for other in val:
            if part.movie == other.movie and max(part.split[0], other.split[0]) < min(part.split[1], other.split[1]):
                (a, b), (c, d) = part.split, other.split
                raise UserError(
                    f"split_train {a:g} {b:g} and split_val {c:g} {d:g} of {movies[part.movie].movie.name} overlap."
                    " Give parts that do not, or another movie as input_val."
                )


def _without_clips(movies: Sequence[PreparedMovie], parts: Sequence[Part], what: str) -> list[str]:
    return [
        f"{movies[part.movie].movie.name} gives nothing for {what} at delta {part.delta} from {part.split[0]:g} to"
        f" {part.split[1]:g}: too few frames."
        for part in parts
        if not len(part.clips)
    ]


def _check_clips(
    config: TrainConfig,
    movies: Sequence[PreparedMovie],
    parts: Sequence[Part],
    what: str,
    splits: Sequence[tuple[float, float]],
) -> None:
    for delta in config.deltas:
        if any(len(part.clips) for part in parts if part.delta == delta):
            continue
        longest = max((movies[part.movie] for part in parts), key=lambda movie: movie.shape[0])
        frames = ", ".join(
            f"{len(split_range(longest.shape[0], split))} from {split[0]:g} to {split[1]:g}" for split in splits
        )
        need = (config.clip_frames - 1) * delta + 1
        more = f"n_images (now {config.n_images}), or " if config.n_images else ""
        raise UserError(
            f"{longest.movie.name} has no clip for {what} at delta {delta}: {config.clip_frames} frames {delta} apart"
            f" span {need} frames, and its {longest.shape[0]} frames leave {frames} for {what}. Use a smaller delta"
            f" or clip, or {more}a longer split_{'train' if what == 'training' else 'val'}."
        )
