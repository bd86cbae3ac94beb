"""The dock "Compute embeddings", with a network with random weights on a tiny movie."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("napari")

from napari.components import ViewerModel
from qtpy.QtWidgets import QFileDialog

from napari_tarrow.engine.inference.embeddings import embedding as engine
from napari_tarrow.engine.inference.embeddings.components import fit_components
from napari_tarrow.engine.movies import PreparedMovie, open_movie
from napari_tarrow.engine.trained import read_trained
from napari_tarrow.widgets.embedding import work
from napari_tarrow.widgets.embedding.widget import EmbeddingWidget
from napari_tarrow.widgets.embedding.work import EmbeddingOrder, FrameColoured, FrameEmbedded, compute_embedding
from napari_tarrow.widgets.shared.work import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import DockRun

    Docked = Callable[[Any, Path], DockRun]

TIMED: dict[str, Any] = {"scale": (10, 0.5, 0.5), "units": ("min", "um", "um"), "axis_labels": ("t", "y", "x")}
STACK, COLOURS = "cells embedding", "cells embedding (PCA)"


@pytest.fixture
def docked(dock_run: Callable[..., DockRun]) -> Docked:
    return functools.partial(dock_run, EmbeddingWidget, FrameEmbedded)


@pytest.fixture
def run(docked: Docked, growing: np.ndarray, model_folder: Path) -> DockRun:
    viewer = ViewerModel()
    viewer.add_image(growing, name="cells", **TIMED)
    return docked(viewer, model_folder)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let every frame after the first wait until this is set, or half a minute."""
    free, embed = threading.Event(), engine.embed

    def patient(*arguments: Any, **options: Any) -> Iterator[Any]:
        for one in embed(*arguments, **options):
            yield one
            free.wait(30)

    monkeypatch.setattr(engine, "embed", patient)
    return free


def expected(model: Path, movie: np.ndarray, layer: int = 0) -> np.ndarray:
    """(T, F, H, W)."""
    trained = read_trained(model)
    prepared = PreparedMovie(open_movie(movie), trained.preparation)
    return np.stack([one.embedding for one in engine.embed(trained.network, prepared, layer=layer)])


def test_channels_and_colours_are_layers_over_the_movie(run, growing, model_folder):
    run.viewer.dims.set_current_step(0, 6)
    assert run.all() == "Done: 12 frames embedded."
    source, stack, colours = (run.viewer.layers[name] for name in ("cells", STACK, COLOURS))
    wanted = expected(model_folder, growing)
    np.testing.assert_allclose(stack.data, np.moveaxis(wanted, 1, 0), atol=1e-6)
    assert stack.axis_labels == ("feature", *source.axis_labels)
    assert stack.units[1:] == source.units
    for place in ((0, 0, 0), (5, 20, 7)):
        np.testing.assert_allclose(colours.data_to_world(place), source.data_to_world(place))
        np.testing.assert_allclose(stack.data_to_world((2, *place))[1:], source.data_to_world(place))
    for layer in (stack, colours):
        assert layer.metadata["napari_tarrow"]["model"] == str(model_folder)
        assert len(layer.metadata["napari_tarrow"]["data"]) == 16
    low, high = stack.contrast_limits
    assert wanted.min() <= low < high <= wanted.max()


def test_colours_are_the_components_of_the_whole_movie_in_the_end(run, growing, model_folder):
    run.all()
    wanted = expected(model_folder, growing)
    frames = run.frames()
    components = fit_components(wanted[frame] for frame in frames)
    colours = np.asarray(run.viewer.layers[COLOURS].data)
    assert colours.shape == (12, 24, 28, 4)
    np.testing.assert_array_equal(
        colours[..., :3], np.stack([np.moveaxis(components.apply(one), 0, -1) for one in wanted])
    )


def test_objects_that_get_other_data_are_looked_at_again(run, growing):
    labels = run.viewer.add_labels((growing > 300).astype(int)[:5], name="objects")
    run.dock.labels.choose(labels)
    assert not run.dock.go.isEnabled()
    labels.data = (growing > 300).astype(int)
    assert run.dock.go.isEnabled()
    assert not run.dock.status.text()


def test_the_frame_in_view_comes_first_and_hides_the_movie_alone(run, slow):
    run.viewer.dims.set_current_step(0, 6)
    run.start().wait_for(1)
    colours = np.asarray(run.viewer.layers[COLOURS].data)
    assert {t for t in range(12) if colours[t].any()} == {6}
    assert (colours[6, ..., 3] == 255).all()
    slow.set()
    run.wait()
    assert run.frames()[:3] == [6, 7, 8]


def test_the_layer_of_the_head_reaches_the_engine(run, growing, model_folder):
    run.dock.head_layer.setCurrentIndex(1)
    run.all()
    wanted = expected(model_folder, growing, layer=1)
    np.testing.assert_allclose(run.viewer.layers[STACK].data, np.moveaxis(wanted, 1, 0), atol=1e-6)


def test_a_network_of_two_features_gets_colours_too(docked, tmp_path, growing):
    from napari_tarrow.engine.models import TimeArrowNet, write_model

    write_model(tmp_path / "two", TimeArrowNet("unet_16fmaps", n_features=2, symmetric=True))
    viewer = ViewerModel()
    viewer.add_image(growing, name="cells")
    run = docked(viewer, tmp_path / "two")  # held: Qt's parts must not be collected in another thread
    assert run.all().startswith("Done")
    assert not np.asarray(viewer.layers[COLOURS].data)[..., 2].any()


def test_the_size_is_told_first(run):
    assert run.dock.size_note.text() == "4 features of 12 frames of 24 x 28: 129 kB of memory (float32)."
    run.dock.where.setCurrentIndex(1)
    assert "64.5 kB on the disk" in run.dock.size_note.text()
    assert "Choose where the zarr goes" in run.dock.status.text()
    assert not run.dock.go.isEnabled()


def test_a_zarr_is_shown_lazily_and_gone_on_with(run, growing, model_folder, tmp_path, monkeypatch):
    path = tmp_path / "out.zarr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "out"), ""))
    run.dock.choose_button.click()
    assert "out.zarr" in run.dock.size_note.text()
    assert run.all().startswith("Done")
    stack = run.viewer.layers[STACK]
    assert isinstance(stack.data, dask.array.Array)
    wanted = np.moveaxis(expected(model_folder, growing), 1, 0)
    np.testing.assert_allclose(stack.data.compute(), wanted, rtol=1e-3, atol=1e-3)
    assert stack.metadata["napari_tarrow"]["configuration"]["output"] == str(path)

    asked: list[int] = []
    embed = engine.embed
    monkeypatch.setattr(engine, "embed", lambda *a, frames, **o: asked.extend(frames) or embed(*a, frames=frames, **o))
    (path / "0" / "frames_finished.txt").write_text(
        "\n".join((path / "0" / "frames_finished.txt").read_text().split("\n")[:-3]) + "\n"
    )
    assert run.all().startswith("Done")
    assert len(asked) == 2


def test_a_zarr_of_other_settings_is_refused_without_words_of_the_command_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "out.zarr"), ""))
    run.dock.choose_button.click()
    run.all()
    run.dock.head_layer.setCurrentIndex(1)
    said = run.all()
    assert "was made with" in said
    assert "Choose another output" in said
    assert "--" not in said


def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(run, monkeypatch):
    monkeypatch.setattr("napari_tarrow.engine.inference.projections.memory.free_memory", lambda device: 150_000)
    said = run.all()
    assert "takes 129 kB of memory, and about 1" in said
    assert "zarr" in said
    assert len(run.viewer.layers) == 1


@pytest.mark.parametrize("index", [["a", "b"], ["0", "x"], [3, None], [2.0, 3.0], ["2", "3"]])
def test_a_column_index_of_whatever_kind_loses_no_features(run, growing, index):
    layer = run.viewer.add_labels(3 * (growing > 300).astype(int), name="nuclei")
    run.dock.labels.choose(layer)
    layer.features = pd.DataFrame({"index": index, "kind": ["left", "right"]})
    assert "1 object of nuclei has the mean embedding as features" in run.all()
    features = layer.features.set_index("index")
    assert np.isfinite(features.loc[3, "f0"])
    assert {"left", "right"} <= set(features["kind"])
    if index[1] in (3.0, "3"):
        assert features.loc[3, "kind"] == "right"


def test_objects_get_their_mean_embedding_as_features(run, growing, model_folder):
    labels = np.zeros(growing.shape, int)
    labels[:, 2:6, 3:9] = 5
    labels[3, 10:14, 10:14] = 9
    layer = run.viewer.add_labels(labels, name="nuclei", features={"index": [5, 7], "kind": ["a", "b"]})
    run.dock.labels.choose(layer)
    assert "2 objects of nuclei have the mean embedding as features" in run.all()
    features = layer.features.set_index("index")
    wanted = expected(model_folder, growing)
    np.testing.assert_allclose(features.loc[5, ["f0", "f3"]], wanted[:, [0, 3], 2:6, 3:9].mean((0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(features.loc[9, ["f0", "f3"]], wanted[3, [0, 3], 10:14, 10:14].mean((1, 2)), rtol=1e-4)
    assert features.loc[5, "frames"] == 12
    assert (features.loc[5, "kind"], features.loc[7, "kind"]) == ("a", "b")
    rows = layer.metadata["napari_tarrow_objects"]["columns"]
    assert len(rows["label"]) == 13


def test_the_table_of_objects_has_frame_numbers_as_the_command_writes_them(run, growing):
    run.viewer.layers["cells"].metadata["frame_numbers"] = [1, 2, *range(5, 15)]
    layer = run.viewer.add_labels(np.eye(24, 28, dtype=int) * np.ones((12, 1, 1), int), name="nuclei")
    run.dock.labels.choose(layer)
    run.all()
    assert sorted(layer.metadata["napari_tarrow_objects"]["columns"]["frame"]) == [1, 2, *range(5, 15)]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((12, 5, 5), "are 5 x 5, the movie is 24 x 28"),
        ((7, 24, 28), "have 7 frames"),
        ((24, 28), "nuclei has one frame"),
    ],
)
def test_labels_of_another_movie_are_refused_in_words_before_the_work(run, shape, words):
    run.viewer.add_labels(np.ones(shape, int), name="nuclei")
    assert run.dock.go.isEnabled()
    run.dock.labels.setCurrentIndex(1)
    assert words in run.dock.status.text()
    assert not run.dock.go.isEnabled()
    run.dock.labels.setCurrentIndex(0)
    assert run.dock.status.text() == ""
    assert run.dock.go.isEnabled()


def test_a_zarr_without_a_place_is_said_whatever_else_hinders(run):
    run.viewer.layers.clear()
    run.dock.where.setCurrentIndex(1)
    assert run.dock.status.text() == "Choose where the zarr goes."


def test_stop_keeps_what_is_done(run, slow):
    run.start().wait_for(1)
    run.dock.stop.click()
    slow.set()
    assert run.wait().startswith("Stopped: ")
    done = run.frames()
    assert 1 <= len(done) < 12
    stack = run.viewer.layers[STACK].data
    assert {t for t in range(12) if stack[:, t].any()} <= set(done)


@pytest.mark.parametrize(
    ("error", "words"), [(torch.OutOfMemoryError("out of memory"), "Memory ran out"), (RuntimeError("odd"), "odd")]
)
def test_what_goes_wrong_in_the_engine_reaches_the_user_and_a_second_run_works(run, monkeypatch, error, words):
    def broken(*_: Any, **__: Any) -> Iterator[Any]:
        raise error
        yield

    with monkeypatch.context() as patch:
        patch.setattr(engine, "embed", broken)
        assert words in run.all()
    assert run.all().startswith("Done")


def test_a_removed_movie_ends_the_work_with_a_sentence(run, slow):
    run.start().wait_for(1)
    run.viewer.layers.remove("cells")
    slow.set()
    assert run.wait() == "The layer cells was removed: the work has ended."


def test_a_movie_removed_while_it_is_opened_leaves_the_objects_as_they_are(run, growing):
    labels = run.viewer.add_labels((growing > 300).astype(int), name="nuclei")
    run.dock.labels.choose(labels)
    run.dock.movie.list.choose(run.viewer.layers["cells"])
    run.start()
    run.viewer.layers.remove("cells")
    assert run.wait() == "The layer cells was removed: the work has ended."
    assert "napari_tarrow" not in labels.metadata


def test_the_colours_of_the_whole_movie_can_be_stopped_as_well(run, monkeypatch, until):
    free, colour, coloured = threading.Event(), work._colour, []

    def patient(*arguments: Any) -> None:
        coloured.append(arguments)
        if len(coloured) > 13:  # one of the second part is done
            free.wait(30)
        colour(*arguments)

    monkeypatch.setattr(work, "_colour", patient)
    run.start()
    until(lambda: any(isinstance(value, FrameColoured) for value in run.values))
    assert run.dock.stop.isEnabled()
    run.dock.stop.click()
    free.set()
    assert run.wait() == "Stopped: 12 frames embedded. Not all have the colours of the whole movie."
    assert len(coloured) == 14


def test_channels_of_a_movie_with_channels_lie_behind_them(docked, tmp_path, growing):
    from napari_tarrow.engine.files import write_yaml
    from napari_tarrow.engine.models import TimeArrowNet, write_model

    write_model(tmp_path / "two", TimeArrowNet("unet_16fmaps", n_features=4, n_input_channels=2, symmetric=True))
    write_yaml(tmp_path / "two" / "train_args.yaml", {"channels": 2})
    viewer = ViewerModel()
    viewer.add_image(np.stack([growing, growing]), name="cells", axis_labels=("c", "t", "y", "x"))
    run = docked(viewer, tmp_path / "two")  # held: Qt's parts must not be collected in another thread
    assert run.all().startswith("Done")
    assert viewer.layers[STACK].data.shape == (4, 2, 12, 24, 28)
    assert viewer.layers[COLOURS].data.shape == (2, 12, 24, 28, 4)


def test_a_coloured_movie_is_embedded(docked, tmp_path, growing):
    from napari_tarrow.engine.files import write_yaml
    from napari_tarrow.engine.models import TimeArrowNet, write_model

    write_model(tmp_path / "three", TimeArrowNet("unet_16fmaps", n_features=4, n_input_channels=3, symmetric=True))
    write_yaml(tmp_path / "three" / "train_args.yaml", {"channels": 3})
    viewer = ViewerModel()
    viewer.add_image(np.stack([growing] * 4, -1), rgb=True, name="cells")
    run = docked(viewer, tmp_path / "three")
    assert run.all().startswith("Done")
    assert viewer.layers[STACK].data.shape == (4, 12, 24, 28)
    assert viewer.layers[COLOURS].data.shape == (12, 24, 28, 4)


def test_in_a_real_viewer_layers_show_frames_as_they_arrive(
    docked, make_napari_viewer_proxy, growing, model_folder, until, slow
):
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(growing, name="cells", visible=False, **TIMED)
    threads: set[int] = set()
    viewer.layers.events.inserted.connect(lambda event: threads.add(threading.get_ident()))
    run = docked(viewer, model_folder)
    viewer.window.add_dock_widget(run.dock, name="embedding")
    run.start().wait_for(1)
    until(lambda: viewer.screenshot(canvas_only=True, flash=False)[..., :3].any())
    assert len(run.frames()) == 1
    slow.set()
    assert run.wait().startswith("Done")
    assert threads == {threading.get_ident()}


def test_embedding_leaves_the_memory_that_the_array_will_take(growing, model_folder, monkeypatch):
    given: list[int | None] = []

    def noted(*arguments: Any, memory: int | None, **options: Any) -> Iterator[Any]:
        given.append(memory)
        return embed(*arguments, **options)

    embed = engine.embed
    monkeypatch.setattr(engine, "embed", noted)
    order = EmbeddingOrder(model_folder, open_movie(growing), memory=10**11, device="cpu")
    begun, *_ = compute_embedding(order, Stopping())
    assert given == [10**11 - begun.channels.nbytes]
