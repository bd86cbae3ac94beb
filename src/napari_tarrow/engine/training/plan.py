"""How long a run is: before the start, a short measurement turns minutes into steps and chooses the precision.

With minutes, this is where a run begins; `course` keeps it to the time that was asked for.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..devices import free_memory
from ..errors import NotEnoughMemoryError
from ..files import in_words
from .stepper import GraphMemory, Stepper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from ..config import TrainConfig
    from ..models import TimeArrowNet
    from .objective import Objective

# With --minutes, an epoch is cut short so that the curve has about so many points, but not below so many steps: every
# epoch also costs a validation and a checkpoint.
EPOCHS_AT_LEAST, STEPS_AT_LEAST = 25, 5
# Nor do epochs of --train_samples_per_epoch end before so many seconds: a fast GPU would be through with one in half of
# one, and wait as long for what comes between two.
_EPOCH_SECONDS = 5.0
# With --minutes, validation takes at most this share of an epoch, if so many batches do: fewer say nothing, and the
# machine may only have been busy when it was measured.
_VALIDATION_SHARE, _VALIDATION_AT_LEAST = 0.1, 4
# bfloat16 has to be so many times as fast as 32 bits to be taken.
_WORTH_IT = 1.1
# What a step takes, gradients and workspaces included, against what autograd keeps (measured on the CPU).
_OVERHEAD = 2.3
_PROBE_STEPS, _PROBE_SECONDS = 5, 5.0


@dataclass(frozen=True)
class Plan:
    """What a run will do, fixed before its first step and stored, so that it can be resumed exactly.

    With minutes, `epochs` and `steps_per_epoch` are what the measurement found; see `course` for what becomes of them.

    Attributes
    ----------
    epochs, steps_per_epoch, val_samples : int
    precision : {"32", "bf16"}
    seconds : float
        Expected duration.
    step_seconds : float
        Of a step of training.
    """

    epochs: int
    steps_per_epoch: int
    val_samples: int
    precision: str
    seconds: float
    step_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def checked(self) -> Plan:
        """Return the plan if it can be one.

        Raises
        ------
        TypeError
            If it was read from a damaged file.
        """
        for name in ("epochs", "steps_per_epoch", "val_samples"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise TypeError(f"{name} is {value!r}")
        if self.precision not in ("32", "bf16"):
            raise TypeError(f"precision is {self.precision!r}")
        for name in ("seconds", "step_seconds"):
            if type(getattr(self, name)) not in (int, float):
                raise TypeError(f"{name} is {getattr(self, name)!r}")
        return self

    def values(self) -> dict[str, Any]:
        """Return plain values for the run folder."""
        return asdict(self)


def make_plan(
    config: TrainConfig,
    model: TimeArrowNet,
    objective: Callable[[str], Objective],
    draw: Callable[[int], Mapping[str, np.ndarray]],
    made: Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, torch.Tensor]],
    few: tuple[torch.Tensor, torch.Tensor],
) -> tuple[Plan, str]:
    """Measure a few steps on a copy of the model and plan the run.

    Parameters
    ----------
    config : TrainConfig
    model : TimeArrowNet
        Left as it is.
    objective
        Makes the loss for a precision.
    draw
        Draws the inputs of a step's batch.
    made
        Makes the batch of them, see `Stepper`.
    few
        A few clips and their labels, which tell what a batch of any size takes.

    Returns
    -------
    plan : Plan
    told : str
        What precision was taken and why.
    """
    precisions: tuple[str, ...] = ("32", "bf16") if config.precision == "auto" else (config.precision,)
    needs = {p: step_bytes(config, model, objective(p), few) for p in precisions}
    precisions = _that_fit(needs, free_memory(model.device), config.batchsize)
    memory = GraphMemory(model.device)
    steppers = {p: Stepper(config, copy.deepcopy(model), objective(p), made, memory) for p in precisions}
    times = _shortest({p: _step(stepper, draw, config.lr) for p, stepper in steppers.items()}, model.device)
    precision = precisions[0] if len(precisions) == 1 else _faster(times)
    step = times[precision]
    validation = _shortest({"": lambda number: steppers[precision].validate(draw(number))}, model.device)[""]
    steps = max(1, config.train_samples_per_epoch // config.batchsize)
    val_samples = config.val_samples_per_epoch
    epochs = config.epochs
    if config.minutes is not None:
        total = max(1, int(60 * config.minutes * (1 - _VALIDATION_SHARE) / step))
        steps = min(most_steps(steps, step), max(STEPS_AT_LEAST, math.ceil(total / EPOCHS_AT_LEAST)))
        epochs = max(1, round(total / steps))
        most = _VALIDATION_SHARE / (1 - _VALIDATION_SHARE) * steps * step / validation * config.batchsize
        val_samples = min(val_samples, max(int(most), _VALIDATION_AT_LEAST * config.batchsize))
    val_steps = math.ceil(val_samples / config.batchsize)
    seconds = epochs * (steps * step + val_steps * validation)
    told = f"{_told(config, times, precision)}; a step takes about {in_words(needs[precision])} of memory"
    return Plan(epochs, steps, val_samples, precision, seconds, step), told


def most_steps(usual: int, step_seconds: float) -> int:
    """Return how many steps an epoch of `usual` ones may have with minutes: more where they are soon done."""
    return max(usual, math.ceil(_EPOCH_SECONDS / step_seconds))


def _faster(times: dict[str, float]) -> str:
    return "bf16" if times["32"] > _WORTH_IT * times["bf16"] else "32"


def _that_fit(needs: dict[str, float], free: float, batchsize: int) -> tuple[str, ...]:
    """Return the precisions in which a step fits into memory.

    Raises
    ------
    NotEnoughMemoryError
        If none does: on a CPU the system would end the process without a word.
    """
    fitting = tuple(precision for precision, need in needs.items() if need < free)
    if not fitting:
        need = min(needs.values())
        raise NotEnoughMemoryError(
            f"A step of {batchsize} clips needs about {in_words(need)} of memory, and {in_words(free)} are free."
            f" Lower batchsize (to {max(2, int(0.8 * batchsize * free / need))}, say) or size, or take backbone"
            " unet_16fmaps."
        )
    return fitting


def _told(config: TrainConfig, times: dict[str, float], precision: str) -> str:
    words = {"32": "32-bit arithmetic", "bf16": "bfloat16 arithmetic"}
    if config.precision != "auto":
        return f"{words[precision]}, as asked for"
    if len(times) == 1:
        return f"{words[precision]}, since memory is short"
    other = next(p for p in times if p != precision)
    return f"{words[precision]}, {words[other].split()[0]} takes {times[other] / times[precision]:.1f} times as long"


def step_bytes(
    config: TrainConfig,
    model: TimeArrowNet,
    objective: Objective,
    few: tuple[torch.Tensor, torch.Tensor],
) -> float:
    """Estimate the memory of a training step from what autograd keeps for a few clips."""
    clips, labels = few
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> None:  # what is kept in the graph itself this way is never given back
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda nothing: nothing):
        objective(copy.deepcopy(model).train(), clips, labels)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    activations = max(0, sum(storage.nbytes() for storage in kept.values()) - weights)
    return _OVERHEAD * activations * config.batchsize / len(clips) + 4 * weights


def _step(
    stepper: Stepper, draw: Callable[[int], Mapping[str, np.ndarray]], rate: float
) -> Callable[[int], torch.Tensor]:
    """Return what takes a training step of this number."""
    return lambda number: stepper.train(draw(number), rate)


def _shortest(steps: Mapping[str, Callable[[int], Any]], device: torch.device) -> dict[str, float]:
    """Return the shortest of a few durations of each; in turns, so that a machine that gets busy is so for all."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    begin = time.perf_counter()
    for _ in range(1 + _PROBE_STEPS):
        for name, step in steps.items():
            start = time.perf_counter()
            step(len(seconds[name]))
            _synchronise(device)
            seconds[name].append(time.perf_counter() - start)
        if time.perf_counter() - begin > _PROBE_SECONDS * len(steps):
            break
    return {name: min(values[1:] or values) for name, values in seconds.items()}  # the first warms up


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # waiting for all of it would break another thread's capture
    elif device.type == "mps":
        torch.mps.synchronize()
