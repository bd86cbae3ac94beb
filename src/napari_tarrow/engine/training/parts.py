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

# Where the validation part begins instead of at 0.9, if nothing of the usual tenth makes a clip.
_EARLIER = (0.8, 0.7, 0.6, 0.5)
_EARLIER_IN_OTHER_MOVIES = (0.8, 0.7, 0.6, 0.5, 0.0)  # which may be validated on whole


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
    return not any(_lacking(config, parts) for parts in find_parts(config, movies, chosen))


def with_splits_that_fit(
    config: TrainConfig, movies: Sequence[PreparedMovie], chosen: Chosen
) -> tuple[TrainConfig, list[str]]:
    """Validate on more of short movies than the usual tenth, until it holds a clip of every delta.

    Returns
    -------
    config : TrainConfig
        The same, where splits are not the usual ones, or no others are needed, or help.
    told : list of str
        What was chosen, in a sentence.
    """
    if not _usual(config) or hold_clips(config, movies, chosen):
        return config, []
    shared = not set(chosen.train).isdisjoint(chosen.val)
    for start in _EARLIER if shared else _EARLIER_IN_OTHER_MOVIES:
        update = {"split_val": ((start, 1.0),)} | ({"split_train": ((0.0, start),)} if shared else {})
        longer = config.model_copy(update=update)
        if hold_clips(longer, movies, chosen):
            trained = f"trained on from 0 to {start:g} and " if shared else ""
            return longer, [
                f"Each movie is {trained}validated on from {start:g} to 1: a tenth of so few frames makes no clip."
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
    counts = [f"{_count(parts, delta)} at delta {delta}" for delta in config.deltas]
    return f"{kind.capitalize()} of {config.clip_frames} frames for {what}: {', '.join(counts)}."


def _usual(config: TrainConfig) -> bool:
    """Return whether the splits are the published ones, which nobody has thought about."""
    fields = type(config).model_fields
    return all(getattr(config, name) == fields[name].default for name in ("split_train", "split_val"))


def _count(parts: Sequence[Part], delta: int) -> int:
    return sum(len(part.clips) for part in parts if part.delta == delta)


def _lacking(config: TrainConfig, parts: Sequence[Part]) -> list[int]:
    """Return the deltas of which there is no clip."""
    return [delta for delta in config.deltas if not _count(parts, delta)]


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
    for delta in _lacking(config, parts):
        longest = max((movies[part.movie] for part in parts), key=lambda movie: movie.shape[0])
        frames = ", ".join(
            f"{len(split_range(longest.shape[0], split))} from {split[0]:g} to {split[1]:g}" for split in splits
        )
        need = (config.clip_frames - 1) * delta + 1
        remedies = ["a smaller delta or clip"]
        remedies += [f"a larger n_images (now {config.n_images})"] if config.n_images else []
        longer = f"a longer split_{'train' if what == 'training' else 'val'}"
        remedies += ["a movie with more frames" if _usual(config) else longer]
        raise UserError(
            f"{longest.movie.name} has no clip for {what} at delta {delta}: {config.clip_frames} frames {delta} apart"
            f" span {need} frames, and its {longest.shape[0]} frames leave {frames} for {what}. Use"
            f" {', or '.join(remedies)}."
        )
