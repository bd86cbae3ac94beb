"""Events: the places and times where something irreversible happens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One irreversible process, where and when it shows most.

    Attributes
    ----------
    frame : int
        Number of the first frame of the pair in which it happens.
    y, x : float
        Pixels of the movie.
    score : float
        How strongly; comparable within one table only.
    pair : tuple of int
        Numbers of the pair's two frames.
    """

    frame: int
    y: float
    x: float
    score: float
    pair: tuple[int, int]
