"""A picture of the strongest events of the movie that a run was trained on: what a newcomer looks at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...devices import choose_device
from ...errors import UserError
from ...movies import expand_inputs, open_prepared, spread
from ...movies.alignment import alignment_for
from ...movies.object_radius import object_radius
from ...trained import TrainedModel, read_trained
from ..maps.attribution import AttributionMap, attribute
from .events import find_events
from .pictures import draw_events, inset_side
from .threshold import suggest_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...movies import PreparedMovie

_MOST_PIXELS = 6e7  # of all maps together: the picture at the end of a training may take a minute, not an hour


def draw_run_events(folder: str | Path, path: Path, *, count: int = 12) -> Iterator[AttributionMap]:
    """Draw the strongest events of the first movie that a model was trained on; yields each map as it is done.

    Parameters
    ----------
    folder : path
        Run folder.
    path : Path
        The PNG to write.
    count : int
        How many events at most.

    Raises
    ------
    UserError
        If the movie or the model cannot be read, or the picture not be written.
    """
    trained = read_trained(folder, choose_device()[0])
    movie = _movie(trained)
    radius = object_radius(movie)
    alignment, _ = alignment_for("auto", movie, (trained.delta,), radius)
    kept: list[AttributionMap] = []
    for one in attribute(trained.network, movie, trained.delta, firsts=_spread(movie), alignment=alignment):
        kept.append(one)
        yield one
    events = find_events(kept, movie, radius=radius, alignment=alignment)
    numbers = movie.movie.frame_numbers
    maps = {int(numbers[one.frames[0]]): one.map for one in kept}
    draw_events(
        events[:count],
        movie.movie,
        lambda event: maps[event.pair[0]],
        path,
        size=inset_side(radius),
        threshold=suggest_threshold(events),
        alignment=alignment,
    )


def _movie(trained: TrainedModel) -> PreparedMovie:
    config = trained.config
    if config is None or not config.input_train:
        raise UserError(f"{trained.folder} does not say what movie it was trained on.")
    source = expand_inputs(list(config.input_train), config.read_recursion_level)[0]
    return open_prepared(config, source)


def _spread(movie: PreparedMovie) -> list[int]:
    """Return the first frames of the sequences that are looked at: all, or of a huge movie an even choice."""
    frames, _, height, width = movie.movie.shape
    most = int(max(1, _MOST_PIXELS // (height * width)))
    chosen: list[int] = spread(frames, most).tolist()
    return chosen
