"""The report at the end of a run: within a share of its time, stoppable, and never at the run's expense."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import numpy as np

from ...files import write_json
from ...models.folder import STATE, load_state
from ..updates import Notice, ShortcutsFound, Update
from .judging import judge
from .looking import Looked, Watched, look

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ...config import TrainConfig
    from ..control import Control
    from ..dataset import Footage
    from ..session import Session

FILE = "shortcuts.json"
_SHARE, _SHORTEST, _LONGEST = 0.04, 5.0, 60.0  # of the run's duration; seconds
_ENOUGH, _PATIENCE = 16, 20.0  # pairs without which nothing is said, and the seconds that they are worth


def find_shortcuts(session: Session, footage: Footage, control: Control) -> Iterator[Update]:
    """Look for shortcuts of the model that the run folder holds, write `shortcuts.json`, and say what was found.

    Stopped, it leaves without a word. Whatever goes wrong becomes a notice: the training is done and shall not be lost.

    Parameters
    ----------
    session : Session
        Left as it is.
    footage : Footage
    control : Control
    """
    try:
        looked = yield from _looked(session, footage, control)
        if control.stopping:
            return
        report = judge(looked, session.config)
        write_json(session.folder / FILE, report.values())
    except Exception as error:  # an examiner must not bring down what it examines
        yield Notice(f"Shortcuts could not be looked for: {error or type(error).__name__}")
        return
    yield ShortcutsFound(report.lines)


def _looked(session: Session, footage: Footage, control: Control) -> Generator[Update, None, list[Looked]]:
    seconds = min(max(_SHARE * session.seconds, _SHORTEST), _LONGEST)
    model = copy.deepcopy(session.model)
    model.load_state_dict(load_state(session.folder / STATE))
    found: list[Looked] = []
    begin: float | None = None
    for looked in look(model, watched(session.config, footage), session.config):
        if looked is not None:
            begin = begin or time.perf_counter()
            found.append(looked)
        taken = 0.0 if begin is None else time.perf_counter() - begin
        if control.stopping or taken > (seconds if len(found) >= _ENOUGH else max(seconds, _PATIENCE)):
            break
        yield session.progress()
    return found


def watched(config: TrainConfig, footage: Footage) -> list[Watched]:
    """Return the movies with their sequences, of training and validation, at the smallest time step."""
    found = []
    for number, movie in enumerate(footage.movies):
        clips = [p.clips for p in (*footage.train, *footage.val) if p.movie == number and p.delta == min(config.deltas)]
        rows = np.unique(np.concatenate(clips)[:, : config.frames], axis=0) if clips else np.zeros((0, config.frames))
        if len(rows):
            found.append(Watched(movie, rows.astype(np.int64)))
    return found
