"""The dock Train TAP in a real viewer with the real engine: threads, files, memory."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import pytest
import tifffile
import torch
from napari.utils import progress
from qtpy.QtWidgets import QMessageBox
from superqt.utils import WorkerBase

from napari_tarrow.commands import train as command
from napari_tarrow.engine.trained import read_trained
from napari_tarrow.engine.training import loop
from napari_tarrow.engine.training.checkpoint import has_checkpoint
from napari_tarrow.widgets import TrainWidget
from napari_tarrow.widgets.shared.models import recent_runs
from napari_tarrow.widgets.training import recipes
from napari_tarrow.widgets.training.run_state import Action, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Until = "Callable[..., None]"

TINY: dict[str, Any] = {
    "features": 4,
    "size": 16,
    "batchsize": 4,
    "train_samples_per_epoch": 12,
    "val_samples_per_epoch": 8,
    "epochs": 2,
    "precision": "32",
    "device": "cpu",
    "split_train": [0, 0.6],
    "split_val": [0.6, 1],
    "tensorboard": False,
    "num_workers": 0,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes longer than these runs: the picture of the curve, the measurement of the speed."""
    name = "napari_tarrow.engine.training.monitors.picture.learning_curve"
    monkeypatch.setattr(name, lambda train, val, best, path, **rest: path.touch())
    monkeypatch.setattr("napari_tarrow.engine.training.plan._PROBE_STEPS", 1)


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[[], Any], growing: np.ndarray) -> Any:
    viewer = make_napari_viewer_proxy()
    viewer.add_image(growing, name="growing", scale=(600, 0.5, 0.5), units=("s", "um", "um"))
    return viewer


@pytest.fixture
def dock(viewer: Any, tmp_path: Path) -> TrainWidget:
    return docked(viewer, tmp_path)


def docked(viewer: Any, tmp_path: Path, **options: Any) -> TrainWidget:
    dock = TrainWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Train TAP", area="right")
    dock.panel.form.set_values({**TINY, "outdir": str(tmp_path / "runs"), **options})
    return dock


def over(dock: TrainWidget) -> bool:
    return not dock.run.state.at_work


def train(dock: TrainWidget, until: Until, **options: Any) -> None:
    if options:
        dock.panel.form.set_values(options)
    dock.ask(Action.START)
    until(lambda: over(dock), 60)


def begin(dock: TrainWidget, until: Until) -> None:
    """Start a run that would go on for long."""
    dock.panel.form.set_values({"epochs": 100_000})
    dock.ask(Action.START)
    until(lambda: len(dock.plot.curve.epochs) > 0, 60)


def test_a_run_leaves_a_model_that_is_offered_at_once(dock: TrainWidget, until: Until, tmp_path: Path) -> None:
    train(dock, until)
    assert dock.run.state.now is State.FINISHED
    folder = tmp_path / "runs" / "growing_backbone_unet_16fmaps"
    assert dock.results.path.text() == str(folder)
    assert recent_runs() == [folder]
    trained = read_trained(folder)
    assert trained.config is not None
    assert (trained.config.preset, trained.config.features, trained.config.axes) == ("interactive", 4, "TYX")
    assert len(dock.plot.curve.epochs) == 2
    assert not progress._all_instances


def test_a_run_on_a_file_can_be_gone_on_with_in_a_terminal(
    make_napari_viewer_proxy: Callable[[], Any],
    until: Until,
    growing: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "growing.tif"
    tifffile.imwrite(path, growing, metadata={"axes": "TYX"})
    viewer = make_napari_viewer_proxy()
    viewer.open(str(path))
    dock = docked(viewer, tmp_path)
    dock.save_configuration(tmp_path / "train.yaml")
    begin(dock, until)
    dock.ask(Action.STOP)
    until(lambda: over(dock))
    folder = dock.run.folder
    config = read_trained(folder).config
    assert config.input_train == (str(path),)
    assert recipes.load(tmp_path / "train.yaml")["input_train"] == [str(path)]
    # the same settings in a terminal begin the same run
    assert command.main(["-c", str(tmp_path / "train.yaml"), "--epochs", "1"]) == 0
    assert "Expected time" in capsys.readouterr().out


def test_stopped_and_resumed_a_run_goes_on(dock: TrainWidget, until: Until) -> None:
    begin(dock, until)
    dock.ask(Action.PAUSE)
    until(lambda: dock.run.state.now is State.PAUSED)
    folder = dock.run.folder
    assert has_checkpoint(folder)
    dock.ask(Action.GO_ON)
    dock.ask(Action.STOP)
    until(lambda: over(dock))
    assert dock.run.state.now is State.FINISHED
    assert "Stopped after" in dock.bar.status.text()
    done = len(dock.plot.curve.epochs)
    dock.resume(folder)
    until(lambda: len(dock.plot.curve.epochs) > done, 60)
    assert [point.epoch for point in dock.plot.curve.epochs] == list(range(1, len(dock.plot.curve.epochs) + 1))
    assert dock.run.folder == folder
    dock.ask(Action.STOP)
    until(lambda: over(dock))


def test_resumed_on_another_layer_a_run_names_that_layer_and_a_button(
    dock: TrainWidget, viewer: Any, growing: np.ndarray, until: Until
) -> None:
    begin(dock, until)
    dock.ask(Action.STOP)
    until(lambda: over(dock))
    folder = dock.run.folder
    dock.panel.movie.list.choose(viewer.add_image(growing[::-1], name="reversed"))
    dock.resume(folder)
    until(lambda: over(dock))
    assert dock.bar.problem.text() == (
        f"Layer reversed has changed since the run in {folder} began. Put the old movie back, or start a new run from"
        ' its weights with "Continue from this model…".'
    )


def test_cancelled_a_resumed_run_is_what_it_was_before(
    dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    yes = QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda parent, title, text, *rest: asked.append(text) or yes)
    begin(dock, until)
    until(lambda: bool(dock.plot.curve.epochs))
    dock.ask(Action.STOP)
    until(lambda: over(dock))
    folder = dock.run.folder

    def contents() -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before, done = contents(), len(dock.plot.curve.epochs)
    dock.resume(folder)
    until(lambda: len(dock.plot.curve.epochs) > done, 60)
    assert contents() != before
    dock.ask(Action.CANCEL)
    until(lambda: over(dock))
    assert "since the run was resumed" in asked[0]
    assert "will be as before" in asked[0]
    assert contents() == before
    assert dock.bar.status.text() == "Cancelled; the run is as it was before it was resumed."
    dock.resume(folder)
    until(lambda: len(dock.plot.curve.epochs) > done, 60)
    dock.ask(Action.STOP)
    until(lambda: over(dock))


def test_a_new_run_begins_with_the_weights_of_another(dock: TrainWidget, until: Until) -> None:
    train(dock, until)
    first = dock.run.folder
    dock.panel.form.set_values({"features": 8})
    dock.continue_from(first)
    train(dock, until, lr=1e-9, epochs=1)
    assert dock.run.state.now is State.FINISHED, dock.bar.problem.text()
    before, after = (read_trained(folder).network.state_dict() for folder in (first, dock.run.folder))
    name = next(name for name in before if name.endswith("weight"))
    assert torch.allclose(before[name], after[name], atol=1e-6)


@pytest.mark.parametrize("how", ["dock", "layer"])
def test_what_is_closed_or_removed_ends_the_engine_and_keeps_the_run(
    how: str, viewer: Any, dock: TrainWidget, until: Until, tmp_path: Path
) -> None:
    begin(dock, until)
    folder = dock.run.folder
    if how == "dock":
        viewer.window.remove_dock_widget(dock)
    else:
        viewer.layers.remove("growing")
    until(lambda: over(dock))
    assert dock.run.state.now is State.FINISHED
    assert read_trained(folder).network.n_features == 4
    assert has_checkpoint(folder)
    if how == "layer":
        viewer.add_image(np.random.default_rng(0).integers(0, 99, (12, 24, 28)).astype(np.uint8), name="another")
    else:
        dock = docked(viewer, tmp_path)
    train(dock, until, epochs=1)
    assert dock.run.state.now is State.FINISHED
    assert dock.run.folder != folder


def test_the_viewer_closed_while_training_leaves_a_checkpoint(
    make_napari_viewer_proxy: Callable[[], Any], growing: np.ndarray, until: Until, tmp_path: Path
) -> None:
    viewer = make_napari_viewer_proxy()
    viewer.add_image(growing, name="growing")
    dock = docked(viewer, tmp_path)
    begin(dock, until)
    folder = dock.run.folder
    viewer.close()
    until(lambda: not WorkerBase._worker_set)
    assert has_checkpoint(folder)
    assert read_trained(folder).network.n_features == 4


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0"), "2.50 GiB more were needed"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "mat1 and mat2"),
    ],
    ids=["memory", "fault"],
)
def test_what_breaks_inside_the_engine_is_said_and_a_second_run_works(
    error: Exception, said: str, dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    notified: list[BaseException] = []
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", notified.append)
    with monkeypatch.context() as broken:
        step = loop.Session.train_step

        def train_step(session: Any) -> None:
            if session.step == 4:
                raise error
            step(session)

        broken.setattr(loop.Session, "train_step", train_step)
        train(dock, until)
    assert dock.run.state.now is State.FAILED
    assert said in dock.bar.problem.text()
    assert len(notified) == 1
    assert dock.bar.halve.isHidden() is (said == "mat1 and mat2")
    assert has_checkpoint(dock.run.folder)
    train(dock, until)
    assert dock.run.state.now is State.FINISHED
    assert dock.bar.problem.isHidden()


def test_a_loss_that_is_no_number_is_said(dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tarrow.widgets.training.widget.notify", lambda error: None)
    train(dock, until, lr=1e30, lr_scheduler="constant", epochs=50)
    assert dock.run.state.now is State.FAILED
    assert "no longer a number" in dock.bar.problem.text()
    train(dock, until, lr=1e-4, epochs=1)
    assert dock.run.state.now is State.FINISHED


def test_the_live_layer_is_added_in_the_main_thread_over_its_movie(
    viewer: Any, dock: TrainWidget, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[int] = []
    viewer.layers.events.inserted.connect(lambda event: where.append(threading.get_ident()))
    dock.live.box.setChecked(True)
    begin(dock, until)
    until(lambda: dock.live.layer is not None)
    layer = dock.live.layer
    assert where == [threading.get_ident()]
    assert layer.data.max() > 0
    source = viewer.layers["growing"]
    assert np.array_equal(layer.scale, source.scale)
    assert layer.extent.world.tolist() == source.extent.world.tolist()
    dock.ask(Action.STOP)
    until(lambda: over(dock))
    assert layer in viewer.layers


def test_a_lazy_layer_is_never_computed_whole(
    make_napari_viewer_proxy: Callable[[], Any], until: Until, growing: np.ndarray, tmp_path: Path
) -> None:
    at_once: list[int] = []

    def block(block_info: Any = None) -> np.ndarray:
        (first, last), *_ = block_info[None]["array-location"]
        at_once.append(last - first)
        return growing[first:last]

    movie = dask.array.map_blocks(block, chunks=((1,) * 12, (24,), (28,)), dtype=growing.dtype)
    viewer = make_napari_viewer_proxy()
    viewer.add_image(movie, name="lazy", contrast_limits=(0, 1000))
    dock = docked(viewer, tmp_path)
    computed: list[tuple[int, ...]] = []
    compute = dask.array.Array.__array__

    def watched(array: Any, *rest: Any, **more: Any) -> np.ndarray:
        computed.append(array.shape)
        return compute(array, *rest, **more)

    dask.array.Array.__array__ = watched
    try:
        train(dock, until, epochs=1)
    finally:
        dask.array.Array.__array__ = compute
    assert dock.run.state.now is State.FINISHED
    assert set(at_once) == {1}
    assert computed
    assert max(int(np.prod(shape)) for shape in computed) == 24 * 28


def test_cancelled_in_the_activity_dock_a_run_stops_and_is_kept(dock: TrainWidget, until: Until) -> None:
    begin(dock, until)
    (bar,) = progress._all_instances
    assert bar.desc.startswith("TAP training on growing")
    until(lambda: bar.n > 0 and bar.total > 1000)
    bar.cancel()
    until(lambda: over(dock))
    assert dock.run.state.now is State.FINISHED
    assert has_checkpoint(dock.run.folder)
    assert not progress._all_instances


def test_two_trainings_at_once(viewer: Any, until: Until, tmp_path: Path) -> None:
    docks = [docked(viewer, tmp_path, epochs=3, name=name) for name in ("one", "two")]
    for dock in docks:
        dock.ask(Action.START)
    until(lambda: all(over(dock) for dock in docks), 90)
    assert [dock.run.state.now for dock in docks] == [State.FINISHED] * 2
    assert len({dock.run.folder for dock in docks}) == 2


def test_nothing_of_a_run_stays_in_memory(dock: TrainWidget, until: Until) -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    train(dock, until, epochs=1)
    before = tensors()
    for _ in range(2):
        train(dock, until)
    assert tensors() <= before


@pytest.mark.slow
def test_memory_is_back_where_it_was_after_ten_runs(dock: TrainWidget, until: Until) -> None:
    import psutil

    process = psutil.Process()
    options = {"size": 24, "batchsize": 32}
    for _ in range(3):
        train(dock, until, **options)
    before = process.memory_info().rss
    for _ in range(10):
        train(dock, until, **options)
    assert process.memory_info().rss - before < 50e6
