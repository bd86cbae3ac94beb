"""A run in progress: its network, optimiser, movies and where it stands."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import UserError
from ..models import write_state
from .checkpoint import Checkpoint, damaged, read_checkpoint, write_checkpoint
from .course import Pace
from .objective import PAIRS, make_objective, metrics, new_sums
from .optimiser import go_on
from .schedule import Schedule, plateau_drops
from .stepper import Stepper
from .updates import EpochEnded, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import TrainConfig
    from ..models import TimeArrowNet
    from .batches import Batches
    from .plan import Plan


class Session:
    """One run's network and where it stands; `loop` drives it.

    Parameters
    ----------
    config : TrainConfig
    plan : Plan
    model : TimeArrowNet
    batches : Batches
    folder : Path
        Run folder.
    """

    def __init__(self, config: TrainConfig, plan: Plan, model: TimeArrowNet, batches: Batches, folder: Path) -> None:
        self.config, self.plan, self.model, self.batches, self.folder = config, plan, model, batches, folder
        self.step = 0
        self.history: list[EpochEnded] = []
        self.objective = make_objective(config, plan.precision)
        self._schedule = Schedule(config.lr_scheduler, config.lr, plan.steps, plan.steps_per_epoch)
        self._stepper = Stepper(config, model, self.objective, batches.made)
        self._sums = new_sums(model.device)
        self._shown = self._sums.clone()
        self._before = 0.0  # seconds trained before this session began
        self._begin = self._last_shown = time.perf_counter()
        self._first_step = self._saved_step = 0
        self._asked = None if config.minutes is None else 60 * config.minutes
        longest = max(1, config.train_samples_per_epoch // config.batchsize)
        self._pace = Pace(plan, self._asked, longest)
        self._latest = Progress(0, plan.steps, 1, plan.epochs, "train", 0.0, 0.0, 0.0, 0.0, plan.seconds)

    @property
    def seconds(self) -> float:
        """Seconds trained, in this session and those before it."""
        return self._before + time.perf_counter() - self._begin

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def kept(self) -> EpochEnded:
        """The epoch whose weights are the model's, of those finished."""
        last = self.history[-1]
        return last if self.config.keep == "last" else self.history[last.best_epoch - 1]

    @property
    def epochs(self) -> int:
        """Epochs of the whole run, as far as known."""
        return self._pace.course.epochs

    @property
    def steps(self) -> int:
        """Steps of the whole run, as far as known."""
        return self._pace.course.steps

    @property
    def epoch_is_trained(self) -> bool:
        """Whether all steps of the epoch at hand are done."""
        return self.step >= self._pace.course.epoch_end

    @property
    def pairs_seen(self) -> int:
        """Sequences seen in training."""
        return self.step * self.config.batchsize * len(self.batches.sequences)

    def train_step(self) -> None:
        """Take one step; nothing waits for the device."""
        self._sums += self._stepper.train(self.batches.inputs(self.step), self._rate(self.step))
        self.step += 1

    def take_notices(self) -> tuple[str, ...]:
        """Return what the user should know of the steps, once."""
        return self._stepper.take_notices()

    def end_training(self) -> None:
        """Give back what only steps need."""
        self._stepper.release()

    def validation_step(self, number: int) -> torch.Tensor:
        """Return the sums of the validation batch of this number; nothing waits for the device."""
        return self._stepper.validate(self.batches.validation_inputs(number, self.plan.val_samples))

    def begin_epoch(self) -> None:
        """Measure the speed of training from here."""
        self._pace.begin_epoch(self.step, self.seconds)

    def end_steps(self) -> None:
        """Note that validation comes next."""
        self._pace.end_steps(self.step, self.seconds)

    def keep_pace(self) -> bool:
        """With minutes: where they would not be kept, change the epoch at hand; return whether that is to be saved."""
        if not self._pace.off(self.step, self.seconds):
            return False
        self._pace.change_epoch(self.step, self.epoch, self.seconds)
        return True

    def forget_speed(self, seconds: float) -> None:
        """Leave so many seconds out of the speed of training: they went into validation."""
        self._last_shown += seconds

    def skip_time(self, since: float) -> None:
        """Leave the time since `since` (of `time.perf_counter`) out of all durations: it was a pause."""
        idle = time.perf_counter() - since
        self._begin += idle
        self._last_shown += idle

    def progress(self) -> Progress:
        """Say where training stands; means are over the steps since the last call.

        Raises
        ------
        UserError
            If the loss is no longer a number.
        """
        new = self._sums - self._shown
        recent = metrics(new, self._rate(self.step), self.step)
        now = time.perf_counter()
        pairs, seconds = float(new[PAIRS]), now - self._last_shown
        if not pairs:
            return self._latest
        if not np.isfinite(recent.loss + recent.loss_decorr):
            raise self._no_number("loss is")
        self._shown, self._last_shown = self._sums.clone(), now
        self._latest = Progress(
            step=self.step,
            steps=self.steps,
            epoch=self.epoch + 1,
            epochs=self.epochs,
            phase="train",
            loss=recent.loss,
            accuracy=recent.accuracy,
            lr=recent.lr,
            pairs_per_second=pairs / max(seconds, 1e-9),
            seconds_left=self.seconds_left,
            epochs_done=self._pace.course.epochs_of(self.step, self.epoch),
        )
        return self._latest

    def progress_of_validation(self, sums: torch.Tensor) -> Progress:
        """Say where validation stands; means are over its samples so far."""
        so_far = metrics(sums, self._latest.lr, self.step)
        return replace(self._latest, phase="val", loss=so_far.loss, accuracy=so_far.accuracy)

    def end_epoch(self, val_sums: torch.Tensor) -> EpochEnded:
        """Close the epoch: judge it, keep the weights that are wanted, and write the checkpoint."""
        rate = self._rate(self.step - 1)
        train = metrics(self._sums, rate, self.step)
        val = metrics(val_sums, rate, self.step)
        if not np.isfinite(val.loss):
            raise UserError(
                f"The validation loss is no longer a number after epoch {self.epoch + 1}. Start a new run with a lower"
                " lr or precision 32, and check the validation movies."
            )
        best = min((epoch.val.loss for epoch in self.history), default=float("inf"))
        ended = EpochEnded(
            epoch=self.epoch + 1,
            epochs=self.epochs,
            train=train,
            val=val,
            is_best=val.loss < best,
            best_epoch=self.epoch + 1 if val.loss < best else self.history[-1].best_epoch if self.history else 1,
            pairs_seen=self.pairs_seen,
            seconds=self.seconds,
        )
        self.history.append(ended)
        self._pace.next_epoch(self.step, self.epoch, self.seconds)
        self._sums = new_sums(self.model.device)
        self._shown = self._sums.clone()
        if ended.is_best or self.config.keep == "last":
            self.save_weights("model_state.pt")
        if ended.epoch % self.config.save_checkpoint_every == 0:
            self.save_weights(f"checkpoints/epoch_{ended.epoch:05d}_state.pt")
        self.save()
        return ended

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not improved for `patience` epochs."""
        patience = self.config.patience
        return bool(patience and self.history) and self.epoch - self.history[-1].best_epoch >= patience

    def save_weights(self, name: str) -> None:
        """Write the weights as they are now."""
        write_state(self.folder / name, self.model.state_dict())

    def save(self) -> None:
        """Write the checkpoint that `restore` goes on from.

        Raises
        ------
        UserError
            If the weights are no numbers any more, or it cannot be written.
        """
        if not all(bool(torch.isfinite(weights).all()) for weights in self.model.parameters()):
            raise self._no_number("network's weights are")
        self._saved_step = self.step
        write_checkpoint(
            self.folder,
            Checkpoint(
                step=self.step,
                seconds=self.seconds,
                history=self.history,
                sums=self._sums,
                model=self.model.state_dict(),
                optimiser=self._stepper.optimiser.state_dict(),
                course=asdict(self._pace.course),
            ),
        )

    def restore(self) -> None:
        """Go on from the folder's checkpoint, if it has one.

        Raises
        ------
        UserError
            If it is damaged or belongs to another network.
        """
        saved = read_checkpoint(self.folder, self.model)
        if saved is None:
            return
        if saved.sums.shape != self._sums.shape:
            raise damaged(self.folder)
        try:
            self._pace.go_on(saved.course, saved.step, len(saved.history), saved.seconds)
            go_on(self._stepper.optimiser, saved.optimiser)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise damaged(self.folder) from error
        self.step = self._first_step = self._saved_step = saved.step
        self.history = saved.history
        self._sums = saved.sums.to(self._sums.dtype).to(self.model.device)
        self._shown = self._sums.clone()
        self._before = saved.seconds
        self._latest = replace(
            self._latest,
            step=self.step,
            steps=self.steps,
            epoch=self.epoch + 1,
            epochs=self.epochs,
            seconds_left=self.seconds_left,
            epochs_done=self._pace.course.epochs_of(self.step, self.epoch),
        )

    def leave(self) -> None:
        """Write what a stopped run needs to be used and resumed.

        Raises
        ------
        UserError
            As `save`; what was written before stays.
        """
        if self._saved_step != self.step:
            self.save()
        if self.config.keep == "last" or not self.history:  # a pause has saved where the run stands, not the weights
            self.save_weights("model_state.pt")

    def _no_number(self, what: str) -> UserError:
        return UserError(
            f"The {what} no longer a number after step {self.step}. Start a new run with a lower lr or precision 32,"
            f" from the best epoch so far if you like (--init {self.folder})."
        )

    def _rate(self, step: int) -> float:
        kind, course = self.config.lr_scheduler, self._pace.course
        losses = [epoch.val.loss for epoch in self.history] if kind == "plateau" else []
        if kind == "cyclic":  # by the epoch, however many steps it has
            position = course.epochs_of(step, self.epoch) * self.plan.steps_per_epoch
        else:
            position = course.position_of(step, self.plan.steps)
        return self._schedule.rate(position, plateau_drops(losses, self.config.lr_patience))

    @property
    def seconds_left(self) -> float:
        """Estimate the rest from how this session went, at first from the plan; with minutes, by the clock."""
        if self._asked is not None:
            return max(0.0, self._asked - self.seconds)
        expected = self.plan.seconds * (1 - self.step / max(1, self.steps))
        done = self.step - self._first_step
        if done < 3:
            return expected
        return (time.perf_counter() - self._begin) / done * (self.steps - self.step)
