"""What the work of several docks shares, without Qt."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

    from ...engine.models import TimeArrowNet
    from ...engine.movies import Movie, PreparedMovie


@dataclass(frozen=True)
class Stage:
    """What is done from now on, as a sentence; how long it takes is not known."""

    sentence: str


class Stopping:
    """What the user no longer waits for of work in two parts; asked for in one thread, looked at in another.

    Attributes
    ----------
    first, second : threading.Event
        Set where the rest of a part is not wanted.
    in_second : bool
        Whether the first part has ended, so that whoever stops means the second.
    """

    def __init__(self) -> None:
        self.first, self.second = threading.Event(), threading.Event()
        self.in_second = False

    def stop(self) -> None:
        """End what is done now."""
        (self.second if self.in_second else self.first).set()

    def stop_all(self) -> None:
        """End what is done now, and leave out the rest."""
        self.first.set()
        self.second.set()


@dataclass(frozen=True)
class Opened:
    """A model on its device, and a movie as it wants it; `notices` are for the user."""

    network: TimeArrowNet
    device: torch.device
    movie: PreparedMovie
    fingerprint: str
    notices: tuple[str, ...]


def open_model_and_movie(folder: Path, movie: Movie, device: str) -> Opened:
    """Read a model and prepare a movie for it; imports torch.

    Raises
    ------
    UserError
        If the model cannot be read, or the movie is not for it.
    """
    from ...engine.config import UseConfig
    from ...engine.devices import choose_device
    from ...engine.inference.opening import open_for
    from ...engine.movies import fingerprint
    from ...engine.trained import read_trained

    chosen, notices = choose_device(device)
    trained = read_trained(folder, chosen)
    prepared, overridden = open_for(trained, UseConfig(model=str(folder)), movie)
    return Opened(trained.network, chosen, prepared, fingerprint(prepared.movie), (*notices, *overridden))


def outwards(current: int, count: int) -> Iterator[range]:
    """Yield stretches of frames: the current one first, then alternately after and before what is done, ever longer.

    Whoever works through a stretch in the order of time shares what neighbours have in common.
    """
    current = min(max(current, 0), count - 1)
    yield range(current, current + 1)
    before, after, length = current, current + 1, 4
    while before > 0 or after < count:
        if after < count:
            yield range(after, min(after + length, count))
            after = min(after + length, count)
        if before > 0:
            yield range(max(before - length, 0), before)
            before = max(before - length, 0)
        length = min(2 * length, 64)
