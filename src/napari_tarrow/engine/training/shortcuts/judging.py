"""What was seen, judged: which shortcuts the network takes, and which option takes them away."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .drifts import goes_one_way
from .odds import CHANCE, LEAST, surest, tail
from .remedies import remedy, usable_kinds
from .report import Finding, ShortcutReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...config import TrainConfig
    from .looking import Looked

_SHARE = 0.25  # of the evidence that a shortcut has to make
_PLACES = 4  # along each side of the frame
_NAMES = {
    "brightness": "Brightness",
    "shift": "Drift of the whole picture",
    "focus": "Focus",
    "crowd": "Crowding",
    "still": "Still background",
    "place": "One place",
}
_OFFERED = {
    "brightness": "brightness changes by {:+.1%} a frame on average",
    "shift": "the picture drifts by {:.2g} pixels a frame on average",
    "focus": "sharpness changes steadily",
    "crowd": "it fills up or empties",
}


def judge(looked: Sequence[Looked], config: TrainConfig) -> ShortcutReport:
    """Say what was seen; nothing is claimed that guessing would do more often than once in 500 reports.

    Parameters
    ----------
    looked : sequence of Looked
    config : TrainConfig
        Of the run: what removes a shortcut depends on what is set already.
    """
    plain = np.array([one.evidence["plain"] for one in looked])
    right = int((plain > 0).sum())
    findings: list[Finding] = []
    if len(looked) >= LEAST and tail(right, len(looked)) <= CHANCE:
        findings = [f for kind in usable_kinds(config) if (f := _drift(kind, looked, config))]
        findings += [f for f in (_crowd(looked, config),) if f]
        findings = findings or [f for f in (_drift("together", looked, config),) if f]
        findings = findings or [f for f in (_place(looked, config) or _still(looked, config),) if f]
    patches = np.concatenate([_right(one.patches["plain"]) for one in looked] or [np.zeros(0)])
    rest = np.concatenate([_right(one.patches["without all"]) for one in looked] or [np.zeros(0)])
    return ShortcutReport(
        pairs=len(looked),
        right=right,
        accuracy=_mean(patches),
        accuracy_without=_mean(rest),
        by_time=_by(patches, looked, lambda one: np.full(len(one.change), int(min(one.when, 0.999) * 4)), 4),
        by_change=_by_change(patches, looked),
        by_place=tuple(
            _by(patches, looked, _place_of, _PLACES**2)[row * _PLACES : (row + 1) * _PLACES] for row in range(_PLACES)
        ),
        scalars={name: sum(one.scalars[name] > 0 for one in looked) for name in (looked[0].scalars if looked else ())},
        offered=_offered(looked, {finding.kind for finding in findings}),
        findings=tuple(sorted(findings, key=lambda finding: -finding.share)),
    )


def _drift(kind: str, looked: Sequence[Looked], config: TrainConfig) -> Finding | None:
    """Judge what a frame that only drifts says, and what is left when the drift is taken off.

    Several may act together: a blurred frame is also scaled otherwise. Then focus, where it changes, is the cause.
    """
    having = [one.evidence for one in looked if f"only {kind}" in one.evidence]
    all_of_it = sum(one.evidence["plain"] for one in looked)
    alone = np.array([one[f"only {kind}"] for one in having])
    right, count = surest(alone)
    share = float(alone.sum() / all_of_it)
    lost = sum(one["plain"] - one[f"without {kind}"] for one in having) / all_of_it
    if tail(right, count) > CHANCE / 2 or min(share, lost) < _SHARE:
        return None
    what = f"of {' and '.join(_together(looked, config))} together" if kind == "together" else "alone"
    if kind == "together":
        kind = next(iter(_offered(looked, {"crowd"}).keys() & {"focus"} or _together(looked, config)))
    text = (
        f"{_NAMES[kind]}: put on one and the same frame, its drift {what} is told right in {right} of {count}"
        f" pairs; without it {min(lost, 1):.0%} of the evidence is gone."
    )
    return Finding(kind, right, count, min(share, 1.0), text, remedy(kind, config))


def _together(looked: Sequence[Looked], config: TrainConfig) -> list[str]:
    return [kind for kind in usable_kinds(config) if any(f"only {kind}" in one.evidence for one in looked)]


def _crowd(looked: Sequence[Looked], config: TrainConfig) -> Finding | None:
    """Judge whether halves of one frame are put in the order in which the movie fills up or empties."""
    growth = np.array([one.crowding for one in looked])
    having = [one.crowd for one in looked if one.crowd]
    if not goes_one_way(growth) or not having:
        return None
    way = math.copysign(1.0, growth.mean())
    right = sum(way * sum(evidence for _, evidence in one) > 0 for one in having)
    slope = sum(fuller * evidence for one in having for fuller, evidence in one)
    slope /= sum(fuller**2 for one in having for fuller, _ in one)
    share = float(slope * growth.mean() / np.mean([one.evidence["plain"] for one in looked]))
    if tail(right, len(having)) > CHANCE or share < _SHARE:
        return None
    fuller = "fuller" if way > 0 else "emptier"
    text = (
        f"{_NAMES['crowd']}: of two halves of one and the same frame, the {fuller} is called the later in {right} of"
        f" {len(having)} frames, and the movie gets {fuller}."
    )
    return Finding("crowd", right, len(having), min(share, 1.0), text, remedy("crowd", config))


def _still(looked: Sequence[Looked], config: TrainConfig) -> Finding | None:
    """Judge whether patches in which little changes tell the order as well as the others."""
    having = [one for one in looked if len(one.change) >= 3]
    still = [one.patches["plain"][np.argsort(one.change)[: len(one.change) // 3]].mean() for one in having]
    right = sum(evidence > 0 for evidence in still)
    share = float(np.sum(still) / np.sum([one.evidence["plain"] for one in looked]))
    if tail(right, len(having)) > CHANCE or share < 2 * _SHARE:
        return None
    text = (
        f"{_NAMES['still']}: places where hardly anything changes tell the order of {right} of {len(having)} pairs, for"
        " a reason that was not found."
    )
    return Finding("still", right, len(having), min(share, 1.0), text, remedy("still", config))


def _place(looked: Sequence[Looked], config: TrainConfig) -> Finding | None:
    """Judge whether one place of the frame tells the order nearly always, and the others hardly."""
    places = np.concatenate([_place_of(one) for one in looked])
    told = np.concatenate([_right(one.patches["plain"]) for one in looked])
    number = np.repeat(np.arange(len(looked)), [len(one.change) for one in looked])
    best: tuple[float, int, int, int] | None = None
    for place in np.unique(places):
        here = places == place
        pairs = np.unique(number[here])
        right = sum(told[here & (number == one)].mean() > 0.5 for one in pairs)
        rest = float(told[~here].mean()) if (~here).any() else 1.0
        sure = tail(right, len(pairs), max(0.5, rest)) < CHANCE / _PLACES**2
        if sure and right > 0.9 * len(pairs) and rest < 0.65 and (best is None or right / len(pairs) > best[0]):
            best = right / len(pairs), int(place), right, len(pairs)
    if best is None:
        return None
    row, column = divmod(best[1], _PLACES)
    vertical, horizontal = (
        ("top", "upper middle", "lower middle", "bottom")[row],
        ("left", "left of the middle", "right of the middle", "right")[column],
    )
    text = (
        f"{_NAMES['place']} ({vertical}, {horizontal}) tells the order of {best[2]} of {best[3]} pairs, the rest of the"
        " frame hardly any."
    )
    return Finding("place", best[2], best[3], best[0], text, remedy("place", config))


def _offered(looked: Sequence[Looked], used: set[str]) -> dict[str, str]:
    """Say what goes one way in the movie although the network does not use it."""
    if len(looked) < LEAST:
        return {}
    steps = np.array([one.steps for one in looked])
    mean = steps.mean(0)
    found = {
        "brightness": (goes_one_way(steps[:, 0]), math.expm1(mean[0])),
        "shift": (goes_one_way(steps[:, 2]) or goes_one_way(steps[:, 3]), float(np.hypot(*mean[2:4]))),
        "focus": (goes_one_way(steps[:, 4]), mean[4]),
        "crowd": (goes_one_way(np.array([one.crowding for one in looked])), 0.0),
    }
    return {
        kind: _OFFERED[kind].format(amount) for kind, (steady, amount) in found.items() if steady and kind not in used
    }


def _right(evidence: np.ndarray) -> np.ndarray:
    """1 for right, 0 for wrong, and a half where there is no evidence at all."""
    right: np.ndarray = (1 + np.sign(evidence)) / 2
    return right


def _by(patches: np.ndarray, looked: Sequence[Looked], group: Any, count: int) -> tuple[float | None, ...]:
    groups = np.concatenate([group(one) for one in looked] or [np.zeros(0, int)])
    return tuple(_mean(patches[groups == number]) for number in range(count))


def _by_change(patches: np.ndarray, looked: Sequence[Looked]) -> tuple[float | None, ...]:
    change = np.concatenate([one.change for one in looked] or [np.zeros(0)])
    rank = np.argsort(np.argsort(change, kind="stable"), kind="stable") * 4 // max(1, len(change))
    return tuple(_mean(patches[rank == quarter]) for quarter in range(4))


def _place_of(one: Looked) -> np.ndarray:
    row, column = np.minimum((one.where * _PLACES).astype(int), _PLACES - 1).T
    place: np.ndarray = row * _PLACES + column
    return place


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
