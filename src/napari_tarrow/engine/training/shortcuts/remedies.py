"""Which option takes a shortcut away, given what is set already; each was tried on movies made with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .drifts import KINDS

if TYPE_CHECKING:
    from ...config import TrainConfig


def usable_kinds(config: TrainConfig) -> tuple[str, ...]:
    """Return the drifts that can tell the order: with flips both ways are equally frequent, and a shift tells nothing.

    What a network that was trained so says of moved cells is about the cells: which side is the front.
    """
    return tuple(kind for kind in KINDS if kind != "shift" or config.augment_levels[0] < 1)


def remedy(kind: str, config: TrainConfig) -> str:
    """Return a sentence that says what removes a shortcut."""
    return {"brightness": _brightness, "focus": _focus}.get(kind, lambda _: _OTHERS[kind])(config)


def _brightness(config: TrainConfig) -> str:
    if config.normalize != "smooth" and not config.binarize:
        return "To remove it: --normalize smooth."
    if config.augment_levels[0] < 2:
        return "To remove it: --augment 2."
    return "No option removes it here: correct the movie first."


def _focus(config: TrainConfig) -> str:
    if config.augment_levels[0] < 2:
        return "To hide it in noise: --augment 2; to be sure, leave that part out of the splits."
    return "No option removes it: leave that part out of the splits."


_OTHERS = {
    "shift": "To remove it: --augment 1 (flips).",
    "crowd": "No option removes it: leave the part where it does out of the splits.",
    "still": "Look at the maps.",
    "place": "Crop a clock, scale bar or moving border there.",
}
