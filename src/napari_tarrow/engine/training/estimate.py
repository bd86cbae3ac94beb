"""What a run would take: time and memory, from a few steps on a few frames, before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..devices import choose_device, describe, free_memory
from ..errors import NotEnoughMemoryError, UserError
from ..movies.inputs import listed
from .batches import Batches
from .control import Control
from .dataset import open_dataset, open_footage
from .network import new_network
from .objective import make_objective
from .plan import make_plan, step_bytes

if TYPE_CHECKING:
    import numpy as np

    from ..config import TrainConfig
    from .dataset import Footage


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes
    ----------
    epochs, steps_per_epoch : int
    seconds : float or None
        Of the whole run; None where a step does not fit into memory.
    precision : str
        Which would be taken, 32 or bf16.
    needed, free : int
        Bytes that a training step takes, and that the device has for it.
    device : str
        For people.
    summary : tuple of str
        What would be trained on: movies, sequences per delta, notices.
    """

    epochs: int
    steps_per_epoch: int
    seconds: float | None
    precision: str
    needed: int
    free: int
    device: str
    summary: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether a step fits into memory."""
        return self.seconds is not None

    @property
    def seconds_per_epoch(self) -> float | None:
        """Duration of an epoch, its validation included."""
        return None if self.seconds is None else self.seconds / self.epochs


def measure(config: TrainConfig, movies: Any = None, control: Control | None = None) -> Estimate:
    """Take a few steps of a run on its first frames, and say what the whole would take; nothing is written.

    Parameters
    ----------
    config : TrainConfig
    movies : anything `open_movie` takes, or several of that, optional
        In place of the configuration's ``input_train``.
    control : Control, optional
        To stop it from another thread.

    Raises
    ------
    Interrupted
        If it was stopped.
    UserError
        For what would keep the run from starting, but a lack of memory, which the estimate says.
    """
    movies = None if movies is None else listed(movies)
    control = control or Control()
    whole = open_footage(config, movies, None)
    config = whole.config
    control.heed()
    device, notices = choose_device(config.device, config.gpu)
    first, footage = _first_frames(config, movies, whole)
    model = new_network(config, footage.channels, device)
    with open_dataset(first, footage, device) as data:
        batches = Batches(first, data, device)
        free, few = free_memory(device), batches.few()

        def heeded(step: int) -> dict[str, np.ndarray]:
            control.heed()
            return batches.inputs(step)

        try:
            plan, _ = make_plan(first, model, lambda p: make_objective(config, p), heeded, batches.made, few)
        except NotEnoughMemoryError:
            plan = None
        precision = plan.precision if plan else "bf16" if config.precision == "auto" else config.precision
        needed = step_bytes(first, model, make_objective(config, precision), few)
    steps = plan.steps_per_epoch if plan else max(1, config.train_samples_per_epoch // config.batchsize)
    return Estimate(
        epochs=plan.epochs if plan else config.epochs,
        steps_per_epoch=steps,
        seconds=plan.seconds if plan else None,
        precision=precision,
        needed=int(needed),
        free=int(free),
        device=describe(device),
        summary=(*whole.summary, *notices, *whole.notices),
    )


def _first_frames(config: TrainConfig, movies: list[Any] | None, whole: Footage) -> tuple[TrainConfig, Footage]:
    """Return the configuration and the footage of so few frames that reading them costs nothing.

    A step does not depend on which frames it sees; percentiles of a whole movie would have to read all of it.
    """
    span = (config.clip_frames - 1) * max(config.deltas) + 1
    halves = {"split_train": ((0.0, 0.5),), "split_val": ((0.5, 1.0),), "n_images": 2 * (span + 2)}
    first = config.model_copy(update={**halves, "normalize": "channel", "frame_numbers": None})
    try:
        return first, open_footage(first, movies, None)
    except UserError:  # too few frames, or numbers with gaps: then all of them
        return config, whole
