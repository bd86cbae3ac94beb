"""Attribution maps of whole movies: every frame is projected once and serves all pairs it is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, NamedTuple, get_args

from ...config import MapKind
from ...devices import keeping_freed_memory
from ...errors import UserError
from ...movies import sequences
from ...movies.alignment import ComparedFrames, memory_of_matching
from ...numbers import whole_number
from ...threads import Threads
from ..checked import choice, indices, network_for
from ..projections.projector import ProjectionCache, Projector
from .making import MapMaker, Recipe, frame_difference, on_movie_grid, on_prepared_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import torch

    from ...models import TimeArrowNet
    from ...movies import PreparedMovie
    from ...movies.alignment import Alignment
    from ...trained import TrainedModel
    from ..projections.projector import Window

__all__ = ["MAP_KINDS", "AttributionMap", "MapKind", "attribute"]

_FLOAT = 4  # bytes

MAP_KINDS: tuple[MapKind, ...] = get_args(MapKind)


@dataclass(frozen=True)
class AttributionMap:
    """The map of one sequence.

    Attributes
    ----------
    frames : tuple of int
        Indices in the movie of the sequence's frames.
    map : (H, W) float32
        On the movie's pixel grid.
    done, total : int
        How many maps are done, this one included, of how many.
    delta : int
        Frame numbers from one frame of the sequence to the next.
    notices : tuple of str
        What the user should know of what happened meanwhile, such as that tiles became smaller.
    """

    frames: tuple[int, ...]
    map: np.ndarray = field(repr=False)
    done: int = 0
    total: int = 0
    delta: int = 1
    notices: tuple[str, ...] = ()


def attribute(
    model: TimeArrowNet | TrainedModel,
    movie: PreparedMovie,
    delta: int | Iterable[int] = 1,
    *,
    kind: MapKind = "evidence",
    class_id: int = 0,
    signed: bool = False,
    all_frames: bool = False,
    firsts: Iterable[int] | None = None,
    memory: int | None = None,
    alignment: Alignment | None = None,
) -> Iterator[AttributionMap]:
    """Yield the attribution map of every sequence of a movie, in the order of their first frames or as `firsts` says.

    The backbone runs once per frame, without gradients; only the head is differentiated. Tiles, where a frame does not
    fit into the memory, give the maps that whole frames give.

    Parameters
    ----------
    model : TimeArrowNet or TrainedModel
        In eval mode.
    movie : PreparedMovie
    delta : int or several
        Frame numbers from one frame of a sequence to the next. Sequences of all deltas come interleaved.
    kind : str
        With the projections ``A_tf`` of T frames, the network's logits ``z_k``, its evidence ``e_k``, whose mean over
        space is ``z_k``, the class c, and ``alpha_tf``, the sum over space of ``d z_c / d A_tf``, at every pixel:

        - ``evidence``: ``e_c - mean_(k != c) e_k``, for two frames the difference of the two. Its mean over space is
          the difference of the logits: it says where the network sees the direction of time.
        - ``change``: ``sum_t sum_f alpha_tf A_tf``. The weights of the two frames nearly cancel; what changed remains.
        - ``gradcam``: ``sum_f alpha_tf A_tf`` of the first frame, t = 0: Grad-CAM, as published (Gallusser et al.
          2023, after Selvaraju et al. 2017). Unchanging background shows as well, since features are not centred.
        - ``contribution``: ``h w sum_tf A_tf d z_c / d A_tf``, gradient times activation (h, w: sides of the
          projections).
        - ``evidence_change``: ``evidence``, times ``mean_t mean_channels |x_(t+1) - x_t|`` of the prepared frames.
    class_id : int
        c. 0 is the true order of the frames; for two frames 1 is the reverse.
    signed : bool
        Keep the signs. Otherwise ``evidence`` and ``evidence_change`` keep the positive part, which speaks for the
        class, and the others the absolute value.
    all_frames : bool
        ``gradcam`` as the sum of the frames' maps (their absolute values, unless signed). The other kinds are of all
        frames anyway.
    firsts : iterable of int, optional
        Indices of the first frames of the sequences that are wanted, in the order in which their maps are; all without
        it. One from which no sequence starts gives no map, and one that is given twice counts once. A frame is
        projected once in any order, but the more sequences lie between two that share it, the more frames are held.
    memory : int, optional
        Bytes the process (on a GPU: what it holds there) may take; without it, most of what is free.
    alignment : Alignment, optional
        Of the movie: every frame of a sequence is laid onto its first before the network sees it, so that what moves
        together is compared with itself. All frames but the first are then projected once for every sequence.

    Raises
    ------
    ValueError
        If the alignment is of another movie.
    UserError
        At once, if there is no such map, class or frame, if a delta is longer than the movie, or if network and movie
        do not fit each other; later, if a frame cannot be read, or the memory does not suffice.
    """
    network = network_for(model, movie)
    choice(kind, MAP_KINDS, "kind")
    if not 0 <= whole_number(class_id, "class_id") < network.n_frames:
        raise UserError(
            f"class_id is {class_id}, but the network has {network.n_frames} classes: 0 (the true order) to"
            f" {network.n_frames - 1}. Give one of these."
        )
    compared = ComparedFrames(movie, alignment)
    several = delta if isinstance(delta, Iterable) else (delta,)
    deltas = tuple(dict.fromkeys(whole_number(one, "delta") for one in several))
    if not deltas:
        raise UserError("delta is an empty list. Give one time step or several.")
    rows = _planned(network.n_frames, movie, deltas, indices(firsts, movie.shape[0], "firsts"))
    return _maps(network, movie, rows, Recipe(kind, class_id, signed, all_frames), memory, compared)


class _Row(NamedTuple):
    frames: tuple[int, ...]
    delta: int


def _maps(
    model: TimeArrowNet,
    movie: PreparedMovie,
    rows: list[_Row],
    recipe: Recipe,
    memory: int | None,
    compared: ComparedFrames,
) -> Iterator[AttributionMap]:
    if not rows:
        return
    maker = MapMaker(model, recipe)
    projector = Projector(model, compared, layer=maker.layer, memory=memory)
    shown = [compared.numbers(row.frames) for row in rows]
    fixed, per_pixel = maker.memory(*projector.shape[1:])
    size = movie.movie.shape[2:]
    maps = 1 if projector.shape[1:] == size else 3  # the last one, and where maps are enlarged, in one or two steps
    fixed += _FLOAT * maps * prod(size)
    if compared.alignment is not None:  # the frame that one is laid onto, and the result
        fixed += 2 * _FLOAT * prod(movie.shape[1:]) + memory_of_matching(movie, compared.alignment.radius)
    projector.leave(fixed, per_pixel)
    last = {index: number for number, frames in enumerate(shown) for index in frames}  # that needs the frame
    cached = ProjectionCache(projector, _most_held(shown, last))
    device = projector.device
    with contextlib.closing(cached) as cache, keeping_freed_memory(device), Threads(device) as threads:
        for number, ((frames, delta), seen) in enumerate(zip(rows, shown, strict=True)):

            def block(t: int, window: Window, seen: tuple[int, ...] = seen) -> torch.Tensor:
                return cache.block(seen[t], window)

            values = on_prepared_grid(maker.make(projector.windows, block), movie)
            for index in seen:
                if last[index] == number:
                    cache.forget(index)
            if recipe.kind == "evidence_change":
                values *= frame_difference(compared.frame, seen)
            map = on_movie_grid(values, movie).numpy()
            notices = projector.take_notices() + threads.adapt()
            yield AttributionMap(frames, map, number + 1, len(rows), delta, notices)


def _most_held(shown: Sequence[tuple[int, ...]], last: Mapping[int, int]) -> int:
    """Return how many frames are known at once at most, if each is forgotten after the row that needs it last."""
    held: set[int] = set()
    most = 0
    for number, frames in enumerate(shown):
        held.update(frames)
        most = max(most, len(held))
        held.difference_update(index for index in frames if last[index] == number)
    return most


def _planned(n_frames: int, movie: PreparedMovie, deltas: tuple[int, ...], firsts: list[int]) -> list[_Row]:
    """Return every sequence that is wanted, in their order; those with the same first frame together."""
    numbers = movie.movie.frame_numbers
    places = {first: place for place, first in enumerate(dict.fromkeys(firsts))}
    rows: list[_Row] = []
    for delta in deltas:
        found = sequences(numbers, range(len(numbers)), n_frames, delta) if delta > 0 else ()
        if not len(found):
            raise UserError(
                f"{movie.movie.name} has no {n_frames} frames that are {delta} apart (delta {delta}): its"
                f" {len(numbers)} frames are numbered {numbers[0]} to {numbers[-1]}. Give another delta."
            )
        rows += [_Row(tuple(map(int, row)), delta) for row in found if int(row[0]) in places]
    return sorted(rows, key=lambda row: (places[row.frames[0]], row.delta))
