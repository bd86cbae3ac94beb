"""Real viewers, tiny movies, and a look at every exception that a slot lets out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot


def growing_square() -> np.ndarray:
    """12 frames of 24 x 28 in which a bright square grows, with a little noise."""
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 110, (12, 24, 28)).astype(np.uint16)
    for t, frame in enumerate(frames):
        frame[8 : 10 + t // 2, 8 : 10 + t // 2] += np.uint16(500 + 20 * t)
    return frames


@pytest.fixture
def growing() -> np.ndarray:
    return growing_square()


@pytest.fixture
def until(qtbot: QtBot) -> Callable[..., None]:
    """Let the event loop run until something is true."""

    def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
        qtbot.waitUntil(condition, timeout=int(1000 * seconds))

    return wait
