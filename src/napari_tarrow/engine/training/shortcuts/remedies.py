"""Which option takes a shortcut away, given what is set already; each was tried on movies made with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...config import TrainConfig


def remedy(kind: str, config: TrainConfig) -> str:
    """Return a sentence that says what removes a shortcut."""
    return {"brightness": _brightness, "shift": _shift, "focus": _focus}.get(kind, lambda _: _OTHERS[kind])(config)


def _brightness(config: TrainConfig) -> str:
    if config.normalize != "smooth" and not config.binarize:
        return "To remove it: --normalize smooth."
    if config.augment < 2:
        return "To remove it: --augment 2."
    return "No option removes it here: correct the movie first."


def _shift(config: TrainConfig) -> str:
    if config.augment < 1:
        return "To remove it: --augment 1 (flips)."
    return "Flips did not remove it: register the frames first."


def _focus(config: TrainConfig) -> str:
    if config.augment < 2:
        return "To hide it in noise: --augment 2; to be sure, leave that part out of the splits."
    return "No option removes it: leave that part out of the splits."


_OTHERS = {
    "crowd": "No option removes it: leave the part where it does out of the splits.",
    "still": "Look at the maps.",
    "place": "Crop a clock, scale bar or moving border there.",
}
