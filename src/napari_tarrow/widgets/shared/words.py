"""Durations and amounts, as said to whoever waits."""

from __future__ import annotations

import html
import math

from ...engine.files import in_words


def roughly(seconds: float) -> str:
    """Write a duration that is only known roughly: ``40 s``, ``12 min``, ``3.5 h``, ``2 days``."""
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 1:
        return f"{max(seconds, 0.01):.1g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def cost(seconds: float | None, epochs: int, needed: int, free: int, device: str = "") -> str:
    """Say what a run takes: time per epoch and in all, and the memory of a step against what is free."""
    place = f" on {device}" if device else ""
    memory = f"a step takes {in_words(needed)} of memory, {in_words(free)} are free{place}"
    if seconds is None:
        return f"Too large: {memory}."
    return f"{roughly(seconds / max(1, epochs))} per epoch, {roughly(seconds)} in all; {memory}."


def as_tip(text: str) -> str:
    """Write a text for a tool tip, which has no format of its own: a name in it is no HTML."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text
