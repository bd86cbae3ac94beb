"""Training as a generator: whoever iterates is in control."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..chance import CHANCE_LOSS, by_heart, near_chance
from ..config import CHANGEABLE
from ..devices import choose_device, describe, free_memory, give_memory_back, keeping_freed_memory, out_of_memory
from ..errors import NotEnoughMemoryError, UserError
from ..files import check_writable, in_words, sweep, user_path
from ..movies import PreparedMovie, fingerprint
from ..threads import Threads
from .batches import Batches
from .checkpoint import has_checkpoint
from .control import Control, Interrupted
from .dataset import Footage, open_dataset, open_footage
from .monitors import monitors_for
from .network import new_network, start_differences
from .objective import make_objective, new_sums
from .plan import make_plan, step_bytes
from .run_folder import RunRecord, new_run_folder, read_run, training_in, write_run
from .session import Session
from .shortcuts import find_shortcuts
from .shown import Showcase, example_patches
from .updates import EpochEnded, Finished, Notice, Started, Update

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    import numpy as np
    import torch

    from ..config import TrainConfig

_SECONDS_BETWEEN_UPDATES = 0.25
_SECONDS_BETWEEN_CHECKPOINTS = 120.0


def train(
    config: TrainConfig,
    control: Control | None = None,
    *,
    movies: Any = None,
    val_movies: Any = None,
) -> Generator[Update, None, None]:
    """Train a network; iterate to go on, close to end early.

    The run folder is made once everything has been checked; from then on it holds a usable model, the best epoch's, and
    a checkpoint that `resume` goes on from.

    Parameters
    ----------
    config : TrainConfig
    control : Control, optional
        Requests from other threads: stop, pause, show maps. Stopped while movies are read for the start, the
        iterator ends without an update.
    movies, val_movies : anything `open_movie` takes, or several of that, optional
        In place of the configuration's ``input_train`` and ``input_val``.

    Yields
    ------
    Update
        `Started` first, `Finished` last; the classes in between say what happened.

    Raises
    ------
    UserError
        For every mistake that the user can mend, memory that runs out and a loss that is no longer a number.
    """
    control = control or Control()
    with contextlib.suppress(Interrupted):
        footage = open_footage(config, movies, val_movies, functools.partial(_heeding, control))
        yield from _guarded(footage, control, None, None)


def resume(
    run_folder: str | Path,
    control: Control | None = None,
    *,
    movies: Any = None,
    val_movies: Any = None,
    **machine: Any,
) -> Generator[Update, None, None]:
    """Go on with a run as if it had not been interrupted.

    Parameters
    ----------
    run_folder : path
    control, movies, val_movies
        As in `train`.
    **machine
        Any of `CHANGEABLE`, in place of the run's own.

    Raises
    ------
    UserError
        If it is no run folder, the movies have changed, or as in `train`.
    """
    if strange := set(machine) - set(CHANGEABLE):
        raise TypeError(f"resume() goes on as the run began: {', '.join(sorted(strange))} cannot change.")
    folder = user_path(run_folder)
    record = read_run(folder)
    changed = {name: value for name, value in machine.items() if value is not None}
    if "device" in changed or "gpu" in changed:  # one of them replaces both
        changed = {"device": "auto", "gpu": None, **changed}
    config = type(record.config).from_values({**record.config.model_dump(), **changed})
    if movies is None:
        _check_reachable(config, folder)
    control = control or Control()
    with contextlib.suppress(Interrupted):
        footage = open_footage(config, movies, val_movies, functools.partial(_heeding, control))
        with training_in(folder):
            sweep(folder)
            _check_unchanged(footage, record, folder)
            yield from _guarded(footage, control, folder, record)


def _guarded(footage: Footage, control: Control, folder: Path | None, record: RunRecord | None) -> Iterator[Update]:
    """Run, and turn memory that ran out into words; memory is given back however it ends."""
    config = footage.config
    try:
        yield from _run(footage, control, folder, record)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise NotEnoughMemoryError(
            f"Memory ran out with {config.batchsize} clips of {config.clip_frames} patches of {footage.size} pixels"
            f" a step{_missing(config, error)}. Lower --batchsize (to {max(2, config.batchsize // 2)}, say), --size, or"
            " the network."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():  # a window's objects may only die in its own
            gc.collect()
        give_memory_back()


def _run(footage: Footage, control: Control, folder: Path | None, record: RunRecord | None) -> Iterator[Update]:
    config = footage.config
    device, notices = choose_device(config.device, config.gpu)
    check_writable(folder or user_path(config.outdir))
    model = new_network(config, footage.channels, device, filled_later=folder is not None and has_checkpoint(folder))
    with contextlib.ExitStack() as ending:
        ending.enter_context(keeping_freed_memory(device))
        threads = ending.enter_context(Threads(device))
        data = ending.enter_context(open_dataset(config, footage, device))
        batches = Batches(config, data, device)
        few = batches.few()

        def heeded(step: int) -> dict[str, np.ndarray]:
            control.heed()
            return batches.inputs(step)

        if record is None or folder is None:
            notices += start_differences(config)
            plan, precision = make_plan(config, model, lambda p: make_objective(config, p), heeded, batches.made, few)
            prints = [(movie, fingerprint(movie.movie, whole=True)) for movie in footage.movies]
            control.heed()
            control.begin()
            folder = new_run_folder(config, footage.movies[0].movie.name)
            ending.enter_context(training_in(folder))
            write_run(folder, config, plan, model, prints)
        else:
            plan, precision = record.plan, f"precision {record.plan.precision}, as before"
        session = Session(config, plan, model, batches, folder)
        memory = int(step_bytes(config, model, session.objective, few)), free_memory(device)
        if record is not None:
            if device.type == "cpu" and memory[0] > memory[1]:  # a GPU says so by itself
                raise NotEnoughMemoryError(
                    f"Going on needs about {in_words(memory[0])} of memory, and {in_words(memory[1])} are free. Close"
                    f" other programs, or start a new run with a smaller batchsize from its weights (--init {folder})."
                )
            session.restore()
        summary = (*footage.summary, *_describe_work(session, data.store.place, precision))
        control.begin()
        started = Started(folder, summary, session.epochs, session.steps, session.epoch, session.seconds_left, memory)
        told: tuple[Update, ...] = (started, *(Notice(text) for text in (*notices, *footage.notices)))
        with contextlib.closing(_drive(session, footage, control)) as updates:
            yield from _watched(session, itertools.chain(told, _adapting(threads, session, updates)))


def _adapting(threads: Threads, session: Session, updates: Iterable[Update]) -> Iterator[Update]:
    """Compute with as many threads as help; updates come often enough to ask."""
    for update in updates:
        yield from map(Notice, (*threads.adapt(), *session.take_notices()))
        yield update


def _watched(session: Session, updates: Iterator[Update]) -> Iterator[Update]:
    """Pass updates on to the monitors first, then to whoever iterates."""
    with contextlib.ExitStack() as stack:
        monitors = monitors_for(session.folder, session.config, tuple(session.history))
        for monitor in monitors:
            stack.callback(monitor.close)
        for update in updates:
            for monitor in monitors:
                monitor.take(update)
            yield update


def _drive(session: Session, footage: Footage, control: Control) -> Generator[Update, None, None]:
    """Go from the first step to the last; stopped or closed, the checkpoint of this very step is written.

    After an error there is the checkpoint of the last epoch, or one of a few minutes ago.
    """
    config, showcase = session.config, Showcase(session.config, footage)
    reason: Literal["done", "stopped", "early"] = "done"
    try:
        yield from example_patches(session)
        while session.epoch < session.epochs and not session.out_of_patience:
            yield from _train_epoch(session, showcase, control)
            sums = yield from _validate(session, showcase, control)
            if control.stopping:
                break
            yield session.end_epoch(sums)
            if session.epoch % config.visual_dataset_frequency == 0 and config.tensorboard:
                yield from showcase.maps(session.model, session.epoch)
        session.end_training()
        if control.stopping and session.epoch < session.epochs:
            reason = "stopped"
        elif session.epoch < session.epochs:
            reason = "early"
        if reason != "stopped":
            yield from _last_pictures(session, showcase, control)
    except GeneratorExit:
        with contextlib.suppress(UserError):  # nobody listens any more
            session.leave()
        raise
    session.leave()
    best = session.history[-1].best_epoch if session.history else 0
    remark = _remark(session.kept, config.preset) if session.history else ""
    finished = Finished(reason, session.folder, session.epoch, best, session.pairs_seen, session.seconds, remark)
    if config.shortcuts and reason != "stopped":
        yield from find_shortcuts(session, footage, control)
    yield finished


def _remark(kept: EpochEnded, preset: str) -> str:
    train = kept.train
    if not near_chance(train.loss, train.accuracy):
        return by_heart(kept.val.loss, kept.val.accuracy)
    return (
        f"Next to nothing is learnt yet: the loss of training is {train.loss:.3f}, that of guessing {CHANCE_LOSS:.3f};"
        " maps show little more than where much changes. Train longer, or with a larger delta"
        f"{'' if preset == 'interactive' else ', or with preset interactive'}."
    )


def _train_epoch(session: Session, showcase: Showcase, control: Control) -> Iterator[Update]:
    shown, saved = 0.0, time.perf_counter()
    session.begin_epoch()
    while not session.epoch_is_trained:
        yield from _pause(session, showcase, control)
        if control.stopping:
            return
        session.train_step()
        changed = session.keep_pace()
        now = time.perf_counter()
        if now - shown > _SECONDS_BETWEEN_UPDATES:
            yield session.progress()
            shown = now
        if changed or now - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            yield session.progress()  # which refuses to save what is no number
            session.save()
            saved = now
    yield session.progress()  # which waits for the device
    session.end_steps()


def _pause(session: Session, showcase: Showcase, control: Control) -> Iterator[Update]:
    """Do what is asked for between two steps: show maps, wait."""
    begin = time.perf_counter()
    yield from _maps_asked_for(session, showcase, control)
    if control.paused:
        yield session.progress()
        session.save()
    while control.paused and not control.wait(_SECONDS_BETWEEN_UPDATES):
        yield session.progress()
        yield from _maps_asked_for(session, showcase, control)
    session.skip_time(begin)


def _maps_asked_for(session: Session, showcase: Showcase, control: Control) -> Iterator[Update]:
    if control.take_maps_request():
        yield from showcase.maps(session.model, session.epoch)
    if (frame := control.take_frame()) is not None:
        yield from showcase.frame_map(session.model, frame)


def _validate(session: Session, showcase: Showcase, control: Control) -> Generator[Update, None, torch.Tensor]:
    """Yield progress now and then; return the sums over all validation samples."""
    sums = new_sums(session.model.device)
    count, size = session.plan.val_samples, session.config.batchsize
    shown = time.perf_counter()
    begin = time.perf_counter()
    for step in range(-(-count // size)):
        yield from _pause(session, showcase, control)
        if control.stopping:
            break
        sums += session.validation_step(step)
        if time.perf_counter() - shown > _SECONDS_BETWEEN_UPDATES:
            yield session.progress_of_validation(sums)
            shown = time.perf_counter()
    sums = sums.cpu()  # which waits for the device
    session.forget_speed(time.perf_counter() - begin)
    return sums


def _last_pictures(session: Session, showcase: Showcase, control: Control) -> Iterator[Update]:
    config = session.config
    if config.tensorboard:
        if session.epoch % config.visual_dataset_frequency:  # else they were shown with the last epoch
            yield from showcase.maps(session.model, session.epoch)
        yield from showcase.features(session.model)
    if config.write_final_cams:
        for _ in showcase.write_all(session.model, session.folder / "visuals"):
            yield session.progress()
            if control.stopping:
                break


def _describe_work(session: Session, place: str, precision: str) -> list[str]:
    config, plan, model = session.config, session.plan, session.model
    parameters = sum(p.numel() for p in model.parameters())
    return [
        f"Network {config.backbone}: {parameters:,} parameters, on {describe(model.device)}; {precision}.",
        f"Frames are kept in {place}." if place in ("memory", "disk") else f"Frames are kept on {place}.",
        f"{_count(plan.epochs, 'epoch')} of {_count(plan.steps_per_epoch, 'step')} of {config.batchsize} clips,"
        f" validated on {plan.val_samples}.",
    ]


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _heeding(control: Control, movie: PreparedMovie) -> PreparedMovie:
    """Let the reading of frames for the start be counted, and broken off by `stop`: it may take minutes."""

    def read(index: int, *only: int | None) -> Any:
        control.check_in()
        return movie.movie.read(index, *only)

    return PreparedMovie(replace(movie.movie, read=read), movie.preparation)


def _missing(config: TrainConfig, error: BaseException) -> str:
    """Say what was asked for when memory ran out, and what was free."""
    free = in_words(free_memory(choose_device(config.device, config.gpu)[0]))
    asked = re.search(r"ried to allocate ([\d.]+ \w+)", str(error))
    return f": {asked[1]} more were needed, {free} are free" if asked else f", {free} are free"


def _check_reachable(config: TrainConfig, folder: Path) -> None:
    for path in map(user_path, (*config.input_train, *(config.input_val or ()))):
        if not path.is_absolute() and not path.exists():
            raise UserError(
                f"{path} does not exist in {path.cwd()}: the run in {folder} names its movie as seen from where it was"
                " started. Resume it there."
            )


def _check_unchanged(footage: Footage, record: RunRecord, folder: Path) -> None:
    if len(footage.movies) != len(record.fingerprints):
        raise UserError(
            f"The run in {folder} began with {len(record.fingerprints)} movies, now there are {len(footage.movies)}."
            f" Give the same, or start a new run from its weights with --init {folder}."
        )
    for movie, known in zip(footage.movies, record.fingerprints, strict=True):
        if known != fingerprint(movie.movie, whole=True):
            raise UserError(
                f"{movie.movie.source} has changed since the run in {folder} began. Put the old movie back, or start"
                f" a new run from its weights with --init {folder}."
            )
