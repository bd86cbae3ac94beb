"""Whole runs: tiny, on the CPU, in 32 bits."""

from __future__ import annotations

import csv
import itertools
import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

from napari_tarrow.engine import devices
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import open_movie
from napari_tarrow.engine.training import (
    Control,
    EpochEnded,
    Finished,
    FrameMapShown,
    MapsShown,
    Notice,
    PatchesShown,
    Progress,
    Started,
    resume,
    train,
)
from napari_tarrow.engine.training import batches as batches_module
from napari_tarrow.engine.training.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from napari_tarrow.engine.training import Update

Make = "Callable[..., TrainConfig]"


def epochs(updates: Iterable[Update]) -> list[EpochEnded]:
    """Epochs without their durations."""
    return [replace(u, seconds=0) for u in updates if isinstance(u, EpochEnded)]


def folder_of(updates: Iterable[Update]) -> Path:
    return next(u.run_folder for u in updates if isinstance(u, Started))


@pytest.mark.usefixtures("busy_core")
def test_beside_other_programs_a_run_takes_fewer_threads_and_says_so_once(tiny: Make) -> None:
    told = []
    for update in train(tiny()):
        assert torch.get_num_threads() == 1
        told += [update.text] if isinstance(update, Notice) and "threads" in update.text else []
    assert torch.get_num_threads() == 2
    assert len(told) == 1
    assert "1 of 2 threads" in told[0]


def test_a_run_yields_its_updates_in_order_and_leaves_a_usable_folder(tiny: Make) -> None:
    updates = list(train(tiny()))
    kinds = [type(u) for u in updates if not isinstance(u, Progress | Notice)]
    assert kinds == [Started, PatchesShown, PatchesShown, EpochEnded, EpochEnded, Finished]
    folder = folder_of(updates)
    assert folder.name == "growing_backbone_unet_16fmaps"
    model = TimeArrowNet.from_folder(folder)
    assert model.embedding(torch.rand(1, 2, 1, 24, 24)).shape == (1, 2, 4, 24, 24)
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names >= {
        "model_kwargs.yaml",
        "model_state.pt",
        "train_args.yaml",
        "run.yaml",
        "checkpoints/last.pt",
        "losses.json",
        "metrics.csv",
        "learning_curve.png",
    }
    run = yaml.safe_load((folder / "run.yaml").read_text())
    as_it_is = {"normalize": "frame", "binarize": False, "subsample": 1, "channels": 0, "z": "max", "channel": None}
    as_it_is["scale_channels"] = "each"
    assert run["preparation"] == as_it_is
    assert len(run["movies"][0]["fingerprint"]) > 8


def test_the_folder_holds_what_was_yielded(tiny: Make) -> None:
    updates = list(train(tiny()))
    ended = [u for u in updates if isinstance(u, EpochEnded)]
    losses = json.loads((folder_of(updates) / "losses.json").read_text())
    assert losses["train"]["loss"] == [u.train.loss for u in ended]
    assert losses["val"]["accuracy"] == [u.val.accuracy for u in ended]
    rows = list(csv.DictReader((folder_of(updates) / "metrics.csv").read_text().splitlines()))
    assert [float(row["val_loss"]) for row in rows] == [u.val.loss for u in ended]


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_the_stored_model_is_that_of_the_best_epoch_or_the_last(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, keep: str, epoch: int
) -> None:
    from napari_tarrow.engine.training import loop

    taken: list[dict[str, torch.Tensor]] = []
    seen = loop.Session.end_epoch

    def spy(session: Any, sums: torch.Tensor) -> EpochEnded:
        sums = sums.clone()
        sums[0] = (3, 1, 2)[len(taken)] * sums[4]  # validation losses 3, 1, 2
        taken.append({k: v.clone() for k, v in session.model.state_dict().items()})
        return seen(session, sums)

    monkeypatch.setattr(loop.Session, "end_epoch", spy)
    updates = list(train(tiny(epochs=3, keep=keep)))
    ended = [u for u in updates if isinstance(u, EpochEnded)]
    assert [(u.is_best, u.best_epoch) for u in ended] == [(True, 1), (True, 2), (False, 2)]
    stored = torch.load(folder_of(updates) / "model_state.pt", weights_only=True)
    assert all(torch.equal(stored[k], taken[epoch - 1][k]) for k in stored)


def test_the_same_seed_gives_the_same_run_twice_in_one_process(tiny: Make) -> None:
    first = list(train(tiny(num_workers=0)))
    second = list(train(tiny(num_workers=3)))
    assert epochs(first) == epochs(second)
    assert folder_of(first) != folder_of(second)
    assert epochs(train(tiny(seed=8))) != epochs(first)


def test_global_random_state_is_neither_used_nor_changed(tiny: Make) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = epochs(train(tiny()))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert epochs(train(tiny())) == first


@pytest.mark.parametrize("step", [1, 3, 4, 8])
@pytest.mark.parametrize("how", ["stop", "close"])
def test_an_interrupted_run_goes_on_digit_for_digit(
    tiny: Make, step: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.batches._LOOKS", 3)
    options = {"epochs": 3, "augment": "auto", "clip": 3, "lr_scheduler": "onecycle", "lr": 1e-3}
    whole = list(train(tiny(**options)))
    monkeypatch.setattr("napari_tarrow.engine.training.loop._SECONDS_BETWEEN_UPDATES", -1.0)
    control = Control()
    run, before = train(tiny(**options), control), []
    for update in run:
        before.append(update)
        if isinstance(update, Progress) and update.step == step:
            if how == "close":
                run.close()
                break
            control.stop()
    folder = folder_of(before)
    TimeArrowNet.from_folder(folder)
    after = list(resume(folder))
    finished = after[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "done"
    assert epochs(before) + epochs(after) == epochs(whole)
    ours, theirs = (torch.load(f / "checkpoints" / "last.pt", weights_only=True) for f in (folder, folder_of(whole)))
    assert all(torch.equal(ours["model"][k], theirs["model"][k]) for k in theirs["model"])
    assert (folder / "losses.json").read_bytes() == (folder_of(whole) / "losses.json").read_bytes()


def test_stop_from_another_thread_ends_the_run_with_a_usable_model(tiny: Make) -> None:
    control, seen = Control(), threading.Event()
    updates: list[Update] = []

    def work() -> None:
        for update in train(tiny(epochs=1000), control):
            updates.append(update)
            if isinstance(update, EpochEnded):
                seen.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert seen.wait(60)
    control.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert isinstance(updates[-1], Finished)
    assert updates[-1].reason == "stopped"
    TimeArrowNet.from_folder(folder_of(updates))


def test_stop_before_the_first_epoch_is_over_leaves_a_usable_model(tiny: Make) -> None:
    control = Control()
    run = train(tiny(train_samples_per_epoch=4000), control)
    updates = []
    for update in run:
        updates.append(update)
        if isinstance(update, Progress):
            control.stop()
    assert updates[-1].reason == "stopped"
    assert updates[-1].best_epoch == 0
    TimeArrowNet.from_folder(folder_of(updates))


def test_a_paused_run_waits_yields_and_goes_on(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.loop._SECONDS_BETWEEN_UPDATES", 0.01)
    control, whole = Control(), epochs(train(tiny()))
    run = train(tiny(), control)
    updates = [next(u for u in run if isinstance(u, Progress))]
    control.pause()
    waiting = [next(run) for _ in range(5)]
    assert len({u.step for u in waiting[1:] if isinstance(u, Progress)}) == 1
    control.resume()
    updates += list(run)
    assert epochs(updates) == whole


def test_stop_ends_a_pause(tiny: Make) -> None:
    control = Control()
    run = train(tiny(epochs=50), control)
    next(u for u in run if isinstance(u, Progress))
    control.pause()
    next(run)
    control.stop()
    assert list(run)[-1].reason == "stopped"


def test_a_run_stopped_in_a_pause_leaves_the_network_of_that_step(tiny: Make) -> None:
    control = Control()
    run = train(tiny(epochs=50, keep="last"), control)
    told = [next(run)]
    while not any(isinstance(update, EpochEnded) for update in told):
        told.append(next(run))
    told.append(next(u for u in run if isinstance(u, Progress)))
    control.pause()
    told += [next(run) for _ in range(3)]  # saved where it stands
    control.stop()
    list(run)
    folder = folder_of(told)
    kept = torch.load(folder / "model_state.pt", weights_only=True)
    stands = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["model"]
    assert all(torch.equal(kept[name], stands[name]) for name in stands)


def test_a_network_that_is_no_number_is_never_saved(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.loop._SECONDS_BETWEEN_UPDATES", 1000)
    control = Control()
    run = train(tiny(epochs=50), control)
    first = next(run)
    assert isinstance(first, Started)
    next(u for u in run if isinstance(u, EpochEnded))
    before = (first.run_folder / "checkpoints" / "last.pt").read_bytes()
    step = Session.train_step

    def diverge(session: Session) -> None:
        step(session)
        with torch.no_grad():
            next(session.model.parameters()).fill_(float("nan"))
        control.stop()

    monkeypatch.setattr(Session, "train_step", diverge)
    with pytest.raises(UserError, match="network's weights are no longer a number"):
        list(run)
    assert (first.run_folder / "checkpoints" / "last.pt").read_bytes() == before


def test_a_run_that_no_longer_fits_into_memory_is_not_gone_on_with(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control()
    run = train(tiny(), control)
    folder = folder_of([next(run)])
    control.stop()
    list(run)
    monkeypatch.setattr("napari_tarrow.engine.training.loop.free_memory", lambda device: 1000)
    with pytest.raises(UserError, match=r"Going on needs about [\d.]+ MB of memory, and 1 kB are free"):
        list(resume(folder))


def test_only_a_few_clips_are_drawn_before_it_is_known_that_they_fit(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    describe = batches_module.describe
    monkeypatch.setattr(batches_module, "describe", lambda *a: (drawn.append(len(a[1].y)), describe(*a))[1])
    monkeypatch.setattr("napari_tarrow.engine.training.plan.free_memory", lambda device: 10_000_000)
    with pytest.raises(UserError, match="Lower batchsize"):
        list(train(tiny(batchsize=5000, train_samples_per_epoch=5000)))
    assert set(drawn) == {2}


def test_maps_are_shown_when_asked_for(tiny: Make) -> None:
    control = Control()
    control.show_maps()
    maps = [u for u in train(tiny(), control) if isinstance(u, MapsShown)]
    assert len(maps) == 1
    assert maps[0].images.shape == (2, 1, 24, 28)
    assert maps[0].map.shape == (24, 28)


def test_training_ends_early_when_nothing_improves(tiny: Make) -> None:
    # a rate this small changes nothing; batch norm alone moves the loss a little
    updates = list(train(tiny(epochs=40, patience=2, lr=1e-12, lr_scheduler="constant")))
    finished = updates[-1]
    assert finished.reason == "early"
    assert finished.epochs < 40
    assert finished.epochs - finished.best_epoch == 2


def test_checkpoints_are_kept_every_so_many_epochs(tiny: Make) -> None:
    folder = folder_of(list(train(tiny(epochs=4, save_checkpoint_every=2))))
    kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert kept == ["epoch_00002_state.pt", "epoch_00004_state.pt", "last.pt"]


def test_it_learns_that_a_square_grows_and_not_that_it_does_not(tiny: Make, movie: Path) -> None:
    import tifffile

    options = {
        "epochs": 3,
        "train_samples_per_epoch": 160,
        "batchsize": 16,
        "size": 24,
        "augment": 1,
        "patches": "change",
    }
    options |= {
        "lr": 3e-3,
        "lr_scheduler": "onecycle",
        "logit_gain": 5.0,
        "normalize": "movie",
        "val_samples_per_epoch": 64,
    }
    updates = list(train(tiny(**options)))
    last = epochs(updates)[-1]
    assert last.val.accuracy > 0.9
    assert isinstance(updates[-1], Finished)
    assert not updates[-1].remark
    frames = tifffile.imread(movie)[:6]
    palindrome = np.concatenate([frames, frames[::-1]])  # each part, and so all it holds, is its own mirror image
    there_and_back = np.concatenate([palindrome] * 2)
    still = epochs(train(tiny(split_train=[0, 0.5], split_val=[0.5, 1], **options), movies=[there_and_back]))[-1]
    assert abs(still.val.accuracy - 0.5) < 0.15
    assert still.val.loss > 0.6


@dataclass
class Clock:
    """Time that only steps and validations take; `slowness` says how many times as long they take at a time."""

    slowness: Callable[[float], float] = lambda now: 1.0
    now: float = 1000.0

    def perf_counter(self) -> float:
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds * self.slowness(self.now - 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let a training step take a second and validation half of one; measured before the start, all takes longer."""
    from napari_tarrow.engine.training import loop, plan, session

    one = Clock()
    for module in (loop, session):
        monkeypatch.setattr(module, "time", one)
    monkeypatch.setattr(plan, "_shortest", lambda steps, device: dict.fromkeys(steps, 10.0))
    trained, validated = session.Session.train_step, loop._validate

    def train_step(self: Any) -> None:
        trained(self)
        one.take(1.0)

    def validate(session: Any, showcase: Any, control: Control) -> Any:
        one.take(0.5 * (not control.stopping))
        return (yield from validated(session, showcase, control))

    monkeypatch.setattr(session.Session, "train_step", train_step)
    monkeypatch.setattr(loop, "_validate", validate)
    return one


LONG = {
    "minutes": 1.0,
    "train_samples_per_epoch": 400,
    "val_samples_per_epoch": 4,
    "lr_scheduler": "onecycle",
    "keep": "last",
}


@pytest.mark.parametrize("kind", ["onecycle", "cyclic", "plateau"])
def test_minutes_are_used_and_kept_whatever_the_measurement_before_the_start(
    tiny: Make, clock: Clock, kind: str
) -> None:
    updates = list(train(tiny(**{**LONG, "lr_scheduler": kind})))
    finished = updates[-1]
    assert updates[0].steps < 8
    assert 55 < finished.seconds < 65
    assert finished.reason == "done"
    ended = [u for u in updates if isinstance(u, EpochEnded)]
    assert ended[-1].epoch == ended[-1].epochs == finished.epochs
    assert ended[-1].train.steps > 45
    seen = [u for u in updates if isinstance(u, Progress)]
    assert seen[-1].step == seen[-1].steps
    if kind == "onecycle":
        assert ended[-1].train.lr < 0.05 * max(u.train.lr for u in ended)


def test_minutes_are_kept_on_a_machine_that_becomes_slower(tiny: Make, clock: Clock) -> None:
    clock.slowness = lambda seconds: 0.5 if seconds < 20 else 2.5
    updates = list(train(tiny(**LONG)))
    assert 54 < updates[-1].seconds < 66


@pytest.mark.parametrize("at", [3, 24])
def test_a_run_of_minutes_is_resumed_digit_for_digit(tiny: Make, clock: Clock, at: int) -> None:
    whole = epochs(train(tiny(**LONG)))
    control, updates = Control(), []
    clock.now = 1000.0
    for update in train(tiny(**LONG), control):
        updates.append(update)
        if isinstance(update, Progress) and update.step >= at:
            control.stop()
    assert updates[-1].reason == "stopped"
    clock.now += 1000
    assert epochs(updates) + epochs(resume(folder_of(updates))) == whole


def test_a_new_plan_is_stored_before_its_steps(tiny: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere, a run repeats what it had decided, however fast the machine then is."""
    from napari_tarrow.engine.training import session

    seen: dict[int, Any] = {}
    trained = session.Session.train_step

    def spy(self: Any) -> None:
        stored = self.folder / "checkpoints/last.pt"
        if stored.exists():
            course, now = torch.load(stored, weights_only=True)["course"], asdict(self._pace.course)
            measured = {"since_step", "since_seconds", "step_seconds", "between_seconds"}
            seen[self.step] = all(course[name] == now[name] for name in course.keys() - measured)
        trained(self)

    monkeypatch.setattr(session.Session, "train_step", spy)
    clock.slowness = lambda seconds: 0.5 if seconds < 20 else 2.5
    list(train(tiny(**LONG)))
    assert len(seen) > 10
    assert all(seen.values())


def test_training_can_start_from_another_model(tiny: Make) -> None:
    first = folder_of(list(train(tiny())))
    started = list(train(tiny(init=str(first), lr=1e-12, epochs=1)))
    ours, theirs = (torch.load(f / "model_state.pt", weights_only=True) for f in (folder_of(started), first))
    weight = "backbone.l_conv.0.conv_block.0.weight"
    assert torch.allclose(ours[weight], theirs[weight], atol=1e-5)
    with pytest.raises(UserError, match="another network than this run's: it has features 4 and not 5"):
        list(train(tiny(init=str(first), features=5)))
    assert not [update for update in started if isinstance(update, Notice) and "init" in update.text]


def test_a_model_to_start_from_that_saw_its_movies_otherwise_is_told(tiny: Make) -> None:
    first = folder_of(list(train(tiny(subsample=2))))
    started = train(tiny(init=str(first)))
    told = [update.text for update in itertools.islice(started, 5) if isinstance(update, Notice)]
    started.close()
    assert told == [f"init {first}: subsample is 1 instead of 2, which the model was trained with."]


def test_the_weights_of_a_damaged_run_can_be_started_from(tiny: Make) -> None:
    first = folder_of(list(train(tiny())))
    (first / "run.yaml").write_text("format: 1\n")
    updates = list(train(tiny(init=str(first))))
    assert isinstance(updates[-1], Finished)
    assert any("how it saw its movies could not be read" in u.text for u in updates if isinstance(u, Notice))


def test_a_loss_that_is_no_number_is_said_and_the_best_model_kept(tiny: Make) -> None:
    with pytest.raises(UserError, match="no longer a number"):
        list(train(tiny(lr=1e30, lr_scheduler="constant", epochs=20)))


def test_memory_that_runs_out_is_said_in_words_and_a_second_run_works(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr("napari_tarrow.engine.training.session.Session.train_step", fail)
        with pytest.raises(UserError, match=r"Memory ran out.*batchsize"):
            list(train(tiny()))
    assert isinstance(list(train(tiny()))[-1], Finished)


@pytest.mark.parametrize(
    "options",
    [
        {"frames": 3, "split_train": [0, 0.5], "split_val": [0.5, 1]},
        {"frames": 3, "clip": 5, "delta": [1], "split_train": [0, 0.5], "split_val": [0.5, 1]},
        {"perm_equiv": False},
        {"perm_equiv": False, "clip": 3},
        {"perm_equiv": False, "classhead": "unet"},
        {"classhead": "difference"},
        {"classhead": "linear", "projhead": "three_3x3convs"},
        {"delta": [1, 2], "clip": 2},
        {"reject_background": True},
        {"binarize": True, "normalize": "movie"},
        {"normalize": "smooth", "subsample": 2, "size": 8},
        {"lr_scheduler": "plateau", "lr_patience": 1},
        {"precision": "bf16"},
        {"precision": "auto"},
    ],
    ids=str,
)
def test_every_kind_of_run_trains(tiny: Make, options: dict[str, Any]) -> None:
    ended = epochs(train(tiny(**options)))
    assert len(ended) == 2
    assert all(np.isfinite(e.train.loss) and np.isfinite(e.val.loss) for e in ended)


def test_reversed_sequences_are_counted_as_such_and_cost_the_same(tiny: Make) -> None:
    from napari_tarrow.engine.training.objective import Objective

    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True).eval()
    clips = torch.rand(6, 3, 1, 16, 16)
    sequences = np.array([[0, 1], [1, 2], [0, 2]])
    objective = Objective(sequences, 0.01, autocast=False)
    forward, sums = objective(model, clips, torch.zeros(6, 3, dtype=torch.int64))
    backward, reversed_sums = objective(model, clips, torch.ones(6, 3, dtype=torch.int64))
    assert torch.allclose(forward, backward, atol=1e-6)
    assert sums[2] == reversed_sums[2]  # right answers
    assert sums[3] + reversed_sums[3] == 18  # said to be reversed: the others
    pairs = torch.stack([clips[:, list(s)] for s in sequences], 1).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(model(pairs.flip(1)), torch.ones(18, dtype=torch.int64))
    assert torch.allclose(reversed_sums[0] / 18, expected, atol=1e-6)


def test_accuracy_where_it_changes_heeds_no_noise() -> None:
    from napari_tarrow.engine.training.objective import Objective, metrics

    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True).eval()
    clips = torch.rand(2, 2, 1, 48, 48)
    clips[1] = 0.5
    clips[1, 1, :, 8:40, 8:40] = 0.8  # changes less per pixel than the noise of the first
    with torch.no_grad():
        told = model(clips).argmax(1)
    for clip, turned in zip(clips, told == torch.tensor([0, 1]), strict=True):
        if turned:
            clip.copy_(clip.flip(0))  # so that the network is wrong in the first, right in the second
    _, sums = Objective(np.array([[0, 1]]), 0.0, autocast=False)(model, clips, torch.zeros(2, 1, dtype=torch.int64))
    found = metrics(sums, 1e-3, 1)
    assert found.accuracy == 0.5
    assert found.accuracy_change > 0.8  # of pixels: 0.2


def test_an_asymmetric_head_sees_the_frames_reversed(tiny: Make) -> None:
    from napari_tarrow.engine.training.objective import Objective

    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_features=4, symmetric=False).eval()
    clips, labels = torch.rand(5, 2, 1, 16, 16), torch.tensor([[0], [1], [1], [0], [1]])
    shown = torch.where(labels[:, :, None, None, None] == 1, clips.flip(1), clips)
    _, sums = Objective(np.array([[0, 1]]), 0.0, autocast=False)(model, clips, labels)
    expected = torch.nn.functional.cross_entropy(model(shown), labels[:, 0])
    assert torch.allclose(sums[0] / 5, expected, atol=1e-6)


def test_a_run_on_arrays_is_resumed_with_the_same_arrays_only(tiny: Make, movie: Path) -> None:
    import tifffile

    frames = tifffile.imread(movie)
    other = frames[:, ::-1].copy()
    folder = folder_of(list(train(tiny(), movies=[frames, other])))
    assert list(resume(folder, movies=[frames, other]))[-1].reason == "done"
    for movies in ([other, frames], [frames], [frames, other, frames[:, :, ::-1].copy()]):
        with pytest.raises(UserError, match=r"has changed|movies, now there are"):
            list(resume(folder, movies=movies))
    with pytest.raises(TypeError, match="lr cannot change"):
        list(resume(folder, movies=[frames, other], lr=1.0))


def test_a_caller_without_gradients_gets_the_same_run(tiny: Make) -> None:
    expected = epochs(train(tiny()))
    with torch.no_grad():
        assert epochs(train(tiny())) == expected
        assert not torch.is_grad_enabled()


def test_one_movie_needs_no_list_and_several_may_be_any_iterable(tiny: Make, movie: Path) -> None:
    frames = open_movie(movie)
    array = np.stack([frames.frame(index)[0] for index in range(len(frames))])
    expected = epochs(train(tiny(), movies=[array]))[-1].train.loss
    for one in (array, str(movie), movie, frames, iter([array])):
        updates = list(train(tiny(), movies=one))
        assert epochs(updates)[-1].train.loss == expected
    assert list(resume(folder_of(updates), movies=array))[-1].reason == "done"
    with pytest.raises(UserError, match="No movie is given"):
        list(train(tiny(), movies=iter([])))


def test_a_channel_that_a_movie_was_opened_with_is_the_models(tiny: Make, growing: Any) -> None:
    both = np.stack([growing[::-1], growing], 1)
    folder = folder_of(list(train(tiny(epochs=1), movies=open_movie(both, channel=1))))
    run = yaml.safe_load((folder / "run.yaml").read_text())
    assert (run["preparation"]["channel"], run["config"]["channel"]) == (1, 1)
    assert list(resume(folder, movies=open_movie(both, channel=1)))[-1].reason == "done"
    with pytest.raises(UserError, match="channel 0"):
        list(resume(folder, movies=open_movie(both, channel=0)))


def test_a_run_is_not_gone_on_with_when_any_frame_was_mended(tiny: Make, movie: Path) -> None:
    import tifffile

    frames = tifffile.imread(movie)
    folder = folder_of(list(train(tiny(epochs=1), movies=[frames])))
    frames[3, 0, 0] += 1  # not one of the few that tell one movie from another
    with pytest.raises(UserError, match="has changed"):
        list(resume(folder, movies=[frames]))


def test_freed_memory_is_kept_while_training_and_no_longer(tiny: Make) -> None:
    run = train(tiny())
    next(u for u in run if isinstance(u, Progress))
    assert devices._keepers or devices._glibc() is None
    run.close()
    assert not devices._keepers


def test_a_run_that_names_its_movie_from_elsewhere_says_so(
    tiny: Make, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(movie.parent)
    folder = folder_of(list(train(tiny(input_train=movie.name))))
    (movie.parent / "elsewhere").mkdir()
    monkeypatch.chdir(movie.parent / "elsewhere")
    with pytest.raises(UserError, match=rf"{movie.name} does not exist in .*elsewhere: the run in .* Resume it there"):
        list(resume(folder))


def test_a_resumed_run_needs_the_model_it_began_from_no_longer(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    first = folder_of(list(train(tiny())))
    control = Control()
    updates = []
    for update in train(tiny(init=str(first), epochs=3), control):
        updates.append(update)
        if isinstance(update, EpochEnded):
            control.stop()
    shutil.rmtree(first)
    assert list(resume(folder_of(updates)))[-1].reason == "done"


def test_a_network_that_learnt_nothing_says_so(tiny: Make) -> None:
    updates = list(train(tiny(lr=1e-12, epochs=1, train_samples_per_epoch=240)))
    assert isinstance(updates[-1], Finished)
    loss = epochs(updates)[-1].train.loss
    assert f"the loss of training is {loss:.3f}, that of guessing 0.693;" in updates[-1].remark


@pytest.mark.parametrize(
    ("keep", "judged", "said"),
    [
        ("best", (0.6, 0.7), "Next to nothing is learnt yet"),
        ("last", (0.6, 0.7), ""),
        ("last", (0.701, 0.52), "no better than guessing (loss 0.70"),
    ],
)
def test_what_is_said_in_the_end_is_said_of_the_weights_that_are_kept(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, keep: str, judged: tuple[float, float], said: str
) -> None:
    """Of two epochs the first, in which nothing was learnt, has the lower validation loss."""
    from napari_tarrow.engine.training import session

    end_epoch = session.Session.end_epoch
    losses = {1: ((0.6931, 0.5), (0.6931, 0.5)), 2: ((0.6, 0.7), judged)}

    def ended(self: Any, sums: torch.Tensor) -> EpochEnded:
        one = end_epoch(self, sums)
        train, val = (
            replace(part, loss=loss, accuracy=accuracy)
            for part, (loss, accuracy) in zip((one.train, one.val), losses[one.epoch], strict=True)
        )
        self.history[-1] = replace(one, train=train, val=val, best_epoch=1)
        return one

    monkeypatch.setattr(session.Session, "end_epoch", ended)
    finished = list(train(tiny(keep=keep)))[-1]
    assert isinstance(finished, Finished)
    assert said in finished.remark
    assert bool(finished.remark) is bool(said)


def test_a_movie_that_gives_nothing_is_named(tiny: Make, movie: Path) -> None:
    import tifffile

    frames = tifffile.imread(movie)
    updates = list(train(tiny(delta=[2]), movies=[frames, frames[:4].copy()]))
    notices = [u.text for u in updates if isinstance(u, Notice)]
    assert any("gives nothing for validation at delta 2" in text for text in notices)
    assert isinstance(updates[0], Started)


def test_stop_before_anything_is_written_leaves_nothing(tiny: Make, tmp_path: Path) -> None:
    control = Control()
    control.stop()
    assert list(train(tiny(), control)) == []
    assert not (tmp_path / "runs").exists()


def test_a_step_that_does_not_fit_is_refused_before_it_is_taken(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.plan.free_memory", lambda device: 10_000_000)
    with pytest.raises(
        UserError, match=r"needs about [\d.]+ MB of memory, and 10 MB are free.*Lower batchsize \(to \d+, say\)"
    ):
        list(train(tiny(batchsize=256)))
    assert not (tmp_path / "runs").exists()


def test_where_32_bits_do_not_fit_but_16_do_those_are_taken(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_tarrow.engine.training import plan

    needs = {"32": 2e9, "bf16": 1e9}
    estimates = iter(needs.values())
    monkeypatch.setattr(plan, "step_bytes", lambda *arguments: next(estimates))
    monkeypatch.setattr(plan, "free_memory", lambda device: 1.5e9)
    started = next(iter(train(tiny(precision="auto", epochs=1))))
    assert any("bfloat16 arithmetic, since memory is short" in text for text in started.summary)


def test_validation_is_flipped_where_asked_for_and_the_same_in_every_epoch(tiny: Make) -> None:
    def shown(**options: Any) -> np.ndarray:
        updates = train(tiny(epochs=1, **options))
        return next(u.patches for u in updates if isinstance(u, PatchesShown) and u.split == "val")

    plain, flipped, again = shown(), shown(flip_val=True), shown(flip_val=True)
    assert np.array_equal(flipped, again)
    variants = [plain, plain[..., ::-1, :], plain[..., ::-1], plain[..., ::-1, ::-1]]
    matches = np.array([(variant == flipped).all((1, 2, 3, 4)) for variant in variants])
    assert matches.any(0).all()  # every patch is one of the four
    assert not matches[0].all()


def test_the_map_of_a_frame_is_shown_when_asked_for(tiny: Make) -> None:
    control = Control()
    shown: list[FrameMapShown] = []
    for update in train(tiny(delta=[2]), control):
        if isinstance(update, Started):
            control.ask_map(3)
        elif isinstance(update, EpochEnded):
            control.ask_map(11)  # begins no sequence: the last that does is shown
        elif isinstance(update, FrameMapShown):
            shown.append(update)
    assert [update.frames for update in shown] == [(3, 5), (9, 11)]
    assert all(update.map.shape == (24, 28) and update.map.dtype == np.float32 for update in shown)
    assert all(update.map.min() >= 0 and update.map.max() > 0 and update.corner == (0, 0) for update in shown)


@pytest.mark.parametrize("frames", [2, 3])
def test_the_map_of_a_frame_is_that_of_the_stored_network(frames: int, tiny: Make) -> None:
    from napari_tarrow.engine.inference import attribute
    from napari_tarrow.engine.movies import open_movie
    from napari_tarrow.engine.movies.prepared import PreparedMovie
    from napari_tarrow.engine.trained import read_trained

    control = Control()
    config = tiny(epochs=1, frames=frames)
    updates = train(config, control)
    folder = next(u.run_folder for u in updates if isinstance(u, Started))
    control.pause()
    next(u for u in updates if isinstance(u, Progress))
    control.ask_map(4)
    shown = next(u for u in updates if isinstance(u, FrameMapShown))
    control.stop()
    list(updates)
    trained = read_trained(folder)
    movie = PreparedMovie(open_movie(config.input_train[0]), trained.preparation)
    (expected,) = attribute(trained.network, movie, firsts=[4])
    np.testing.assert_allclose(shown.map, expected.map, atol=1e-5)


def test_of_large_frames_the_map_shows_the_central_part(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.engine.training.shown._LARGEST_SIDE", 16)
    control = Control()
    control.ask_map(0)
    shown = next(u for u in train(tiny(), control) if isinstance(u, FrameMapShown))
    assert shown.corner == (4, 6)
    assert shown.map.shape == (16, 16)


def test_of_subsampled_frames_the_map_says_how_large_its_pixels_are(tiny: Make) -> None:
    control = Control()
    control.ask_map(0)
    shown = next(u for u in train(tiny(subsample=2, size=8), control) if isinstance(u, FrameMapShown))
    assert shown.subsample == 2
    assert shown.map.shape == (12, 14)


@pytest.mark.parametrize(
    "options", [{"normalize": "frame"}, {"normalize": "movie"}, {"delta": "auto"}, {"subsample": "auto"}], ids=str
)
def test_stop_breaks_off_the_reading_of_frames(
    options: dict[str, Any], tiny: Make, growing: np.ndarray, tmp_path: Path
) -> None:
    control = Control()
    read: list[int] = []

    class Slow:
        shape, dtype = growing.shape, growing.dtype

        def __getitem__(self, key: Any) -> np.ndarray:
            read.append(control.frames_read)
            if len(read) == 3:
                control.stop()
            return growing[key]

    assert list(train(tiny(**options), control, movies=[Slow()])) == []
    assert len(read) == 3
    assert control.frames_read == 3
    assert not (tmp_path / "runs").exists()


def test_waiting_is_said_once_the_checkpoint_is_written(tiny: Make) -> None:
    control = Control()
    updates = train(tiny(), control)
    folder = next(u.run_folder for u in updates if isinstance(u, Started))
    assert not control.waiting
    control.pause()
    waited = 0
    for update in updates:
        if control.waiting:
            assert (folder / "checkpoints" / "last.pt").exists()
            waited += 1
            control.resume()
            assert not control.waiting
        if isinstance(update, Finished):
            assert update.reason == "done"
    assert waited == 1


def test_what_memory_lacked_is_said(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_tarrow.engine.errors import NotEnoughMemoryError
    from napari_tarrow.engine.training import loop

    def too_much(session: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")

    monkeypatch.setattr(loop.Session, "train_step", too_much)
    with pytest.raises(NotEnoughMemoryError, match=r"2\.50 GiB more were needed, [\d.]+ [MG]B are free"):
        list(train(tiny()))


def test_a_run_cannot_be_trained_by_two_at_once(tiny: Make) -> None:
    run = train(tiny(epochs=3))
    before = [next(run)]
    while not isinstance(before[-1], EpochEnded):
        before.append(next(run))
    folder = folder_of(before)
    part = folder / ".model_state.pt.1.part"
    part.touch()
    with pytest.raises(UserError, match=r"Another process is training in .*\. Stop it first"):
        list(resume(folder))
    assert part.exists()  # it may be what the other is writing
    run.close()
    first = resume(folder)
    next(first)
    with pytest.raises(UserError, match="Another process is training"):
        next(resume(folder))
    assert list(first)[-1].reason == "done"
    assert not list(folder.glob(".*"))


def test_what_a_killed_run_leaves_locks_nobody_out(tiny: Make) -> None:
    folder = folder_of(list(train(tiny())))
    (folder / ".training.lock").touch()
    assert list(resume(folder))[-1].reason == "done"
    assert not list(folder.glob(".*"))
