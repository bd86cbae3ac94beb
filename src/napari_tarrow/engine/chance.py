"""What guessing reaches, and whether a network does better."""

from __future__ import annotations

import math

CHANCE = 0.5  # accuracy of guessing: a sequence is reversed or not, whatever its number of frames
CHANCE_LOSS = math.log(2)
_LITTLE_LOSS, _LITTLE_ACCURACY = 0.001, 0.03  # nearer to chance than both is a network that has learnt nothing


def near_chance(loss: float, accuracy: float) -> bool:
    """Whether an epoch with this mean loss and accuracy is no better than guessing."""
    return loss > CHANCE_LOSS - _LITTLE_LOSS and accuracy < CHANCE + _LITTLE_ACCURACY


def by_heart(loss: float, accuracy: float) -> str:
    """Say of a network that has learnt something that in validation it is no better than guessing; nothing if it is."""
    if not near_chance(loss, accuracy):
        return ""
    return (
        f"On frames that it did not train on the network is no better than guessing (loss {loss:.3f}, accuracy"
        f" {accuracy:.2f}): it may know its own frames by heart. Their events may be right all the same; look at the"
        " strongest first."
    )
