"""A description of a model in words, for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...movies import Preparation
    from .description import ModelDescription
    from .history import Epoch, History

_SCALING = {
    "frame": "intensities scaled by percentiles of each frame",
    "channel": "intensities scaled by percentiles of each channel of each frame",
    "movie": "intensities scaled by percentiles of the whole movie",
    "smooth": "intensities scaled by percentiles of each frame, smoothed over time",
}
_MOVIES = 6  # that are named
_PRECISION = {"32": "32-bit arithmetic", "bf16": "bfloat16 arithmetic"}


def model_rows(model: ModelDescription) -> list[tuple[str, str]]:
    """Return what a user wants to know of a model, as pairs of a label and a text."""
    return [*_network_rows(model), *_training_rows(model), ("Files", ", ".join(model.files))]


def _network_rows(model: ModelDescription) -> Iterator[tuple[str, str]]:
    network = model.network
    yield "Made by", _maker(model)
    yield "Network", f"{network['backbone']}, {_count(model.parameters, 'parameter')}"
    kind = ", permutation-equivariant" if network["symmetric"] else ""
    yield "Heads", f"projection {network['projection_head']}; classification {network['classification_head']}{kind}"
    yield "Takes", f"{network['n_frames']} frames of {_count(network['n_input_channels'], 'channel')}"
    where = "every pixel" if model.downscale == 1 else f"every {_square(model.downscale)} pixels"
    yield "Embedding", f"{_count(network['n_features'], 'feature')} for {where}"
    yield "Receptive field", _receptive_field(model)
    yield "Preparation", _preparation(model.preparation)


def _training_rows(model: ModelDescription) -> Iterator[tuple[str, str]]:
    left_out = len(model.movies) - _MOVIES
    named = model.movies if left_out <= 1 else (*model.movies[:_MOVIES], f"and {left_out} more")
    yield "Trained on", "; ".join(named) or "not known"
    parts = (
        _part(name, model.arguments.get(f"split_{key}")) for key, name in (("train", "training"), ("val", "validation"))
    )
    if told := "; ".join(part for part in parts if part):
        yield "Parts", told
    if model.arguments.get("init"):
        yield "Started from", str(model.arguments["init"])
    yield "Time steps", f"{', '.join(map(str, model.deltas))} frame{'s' * (model.deltas != (1,))}"
    yield from _course_rows(model)


def _course_rows(model: ModelDescription) -> Iterator[tuple[str, str]]:
    history = model.history
    if history is None or not history.epochs:
        yield "Training", "no epoch is recorded"
        return
    yield "Training", ", ".join(_effort(model, history))
    if history.best:
        yield "Best epoch", _epoch(history.best)
    yield "Last epoch", _epoch(history.epochs[-1])
    if remark := history.remark:
        yield "Note", remark
    for number, line in enumerate(model.shortcuts):
        yield "" if number else "Shortcuts", line.removeprefix("Shortcuts: ")


def _maker(model: ModelDescription) -> str:
    if not model.ours:
        return "the reference implementation, or a program that writes the same files"
    created = str(model.run.get("created", ""))[:10]
    return " ".join(part for part in ("napari-tarrow", str(model.run.get("napari_tarrow", "")), created) if part)


def _receptive_field(model: ModelDescription) -> str:
    if model.receptive_field is None:
        return "the whole image"
    step = model.preparation.subsample
    scale = f" ({_square(step * model.receptive_field)} of the movie)" if step > 1 else ""
    return f"{_square(model.receptive_field)} pixels{scale}"


def _preparation(preparation: Preparation) -> str:
    told = ["x > 0 in place of intensities" if preparation.binarize else _SCALING[preparation.normalize]]
    if preparation.subsample > 1:
        told.append(f"blocks of {_square(preparation.subsample)} pixels averaged")
    if preparation.channel is not None:
        told.append(f"channel {preparation.channel} alone")
    elif preparation.channels:
        told.append(f"the first {_count(preparation.channels, 'channel')}")
    if preparation.scale_channels == "together":
        told.append("channels scaled together")
    if preparation.z != "max":
        told.append("the mean along Z" if preparation.z == "mean" else f"slice {preparation.z} along Z")
    return "; ".join(told)


def _part(name: str, split: Any) -> str:
    """Return a part of a movie in words: pairs of numbers, or the reference's flat list of them."""
    items = split if isinstance(split, (list, tuple)) else ()
    numbers = [x for item in items for x in (item if isinstance(item, (list, tuple)) else (item,))]
    if not numbers or len(numbers) % 2 or not all(isinstance(x, (int, float)) for x in numbers):
        return ""
    ranges = zip(numbers[::2], numbers[1::2], strict=True)
    return f"{name} {' and '.join(f'{start:g} to {end:g}' for start, end in ranges)}"


def _effort(model: ModelDescription, history: History) -> Iterator[str]:
    plan, machine = _mapping(model.run, "plan"), _mapping(model.run, "machine")
    planned = plan.get("epochs", model.arguments.get("epochs"))
    if model.arguments.get("minutes") is not None:
        planned = None  # it follows the speed of the machine
    of = f" of {planned}" if planned is not None and planned != len(history.epochs) else ""
    yield f"{len(history.epochs)}{of} epoch{'s' * (len(history.epochs) != 1 or bool(of))}"
    if history.pairs is not None:
        yield _count(history.pairs, "pair")
    if history.seconds is not None:
        yield _duration(history.seconds)
    if "device" in machine:
        yield f"on {machine['device']}"
    if plan.get("precision") in _PRECISION:
        yield _PRECISION[plan["precision"]]
    if model.ours:
        yield f"preset {model.arguments['preset']}"


def _mapping(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _epoch(epoch: Epoch) -> str:
    return (
        f"{epoch.number}: loss {_number(epoch.val_loss)} in validation, {_number(epoch.train_loss)} in training;"
        f" accuracy {_number(epoch.val_accuracy)} and {_number(epoch.train_accuracy)}"
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{math.ceil(seconds)} s"


def _square(side: int) -> str:
    return f"{side} x {side}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
