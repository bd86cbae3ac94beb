"""What a layer is as a movie, and what layers made from it take over."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from napari.layers import Image, Labels
from napari.layers._source import layer_source

from napari_tarrow.widgets.shared.layers import (
    describe_layer,
    duration,
    laid_over,
    like,
    plain,
    provenance,
    still_there,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TIMED: dict[str, Any] = {"units": ("min", "um", "um"), "scale": (10, 0.5, 0.25), "axis_labels": ("t", "y", "x")}


def zeros(*shape: int, dtype: str = "uint16", **options: Any) -> Image:
    return Image(np.zeros(shape, dtype), **{"name": "cells", **options})


def test_a_sentence_says_all_that_matters():
    facts = describe_layer(zeros(48, 130, 120, **TIMED))
    assert facts.sentence == "48 frames of 130 x 120, uint16, 1 channel, every 10 min; 47 pairs at delta 1"
    assert facts.problem is None
    assert (facts.axes, facts.channels, facts.frames, facts.interval) == ("TYX", 0, 48, 600.0)
    assert facts.source.pixel_size == (0.5, 0.25)
    assert facts.source.name == "cells"


def test_pairs_are_counted_for_every_delta():
    assert describe_layer(zeros(6, 8, 8), deltas=(1, 5)).sentence.endswith("5 pairs at delta 1, 1 pair at delta 5")


def test_the_interval_of_a_sample_is_found_in_its_metadata():
    assert "every 90 s" not in describe_layer(zeros(6, 8, 8)).sentence
    assert "every 1.5 min" in describe_layer(zeros(6, 8, 8, metadata={"interval_s": 90})).sentence


@pytest.mark.parametrize(
    ("shape", "labels", "axes"),
    [
        ((5, 8, 9), None, "TYX"),
        ((5, 2, 8, 9), None, "TCYX"),
        ((2, 5, 8, 9), ("c", "t", "y", "x"), "CTYX"),
        ((2, 5, 8, 9), ("Channel", "Time", "row", "column"), "CTYX"),
        ((2, 5, 8, 9), ("channel", "-3", "-2", "-1"), "CTYX"),
        ((5, 1, 8, 9), ("t", "z", "y", "x"), "TZYX"),
        ((8, 5, 9), ("y", "t", "x"), "YTX"),
        ((5, 2, 1, 8, 9), None, "TCZYX"),
    ],
)
def test_axes_come_from_the_labels_and_else_time_is_first(shape, labels, axes):
    facts = describe_layer(zeros(*shape, axis_labels=labels))
    assert facts.axes == axes
    assert facts.source.shape == (5, 2 if 2 in shape else 1, 8, 9)


def test_slices_along_z_are_told_and_a_guess_that_they_are_channels_can_be_mended():
    layer = zeros(5, 3, 8, 9)
    assert "3 channels (if they are Z slices, write TZYX); 4 pairs" in describe_layer(layer).sentence
    facts = describe_layer(layer, "TZYX")
    assert "uint16, 1 channel, 3 Z slices; 4 pairs" in facts.sentence
    assert (facts.channels, facts.source.shape, facts.source.slices) == (0, (5, 1, 8, 9), 3)
    assert "if they" not in describe_layer(layer, "TCYX").sentence
    assert "if they" not in describe_layer(zeros(5, 3, 8, 9, axis_labels=("t", "c", "y", "x"))).sentence


@pytest.mark.parametrize(
    ("written", "axes", "wanted"),
    [("TZYX", None, "TZYX"), ("TCYX", None, "TCYX"), ("TZYX", ("t", "c", "y", "x"), "TCYX"), ("ZCYX", None, "TCYX")],
)
def test_axes_come_from_the_tif_a_layer_was_opened_from(written, axes, wanted, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((5, 3, 8, 9), np.uint16), imagej=True, metadata={"axes": written})
    with layer_source(path=str(tmp_path / "m.tif")):
        layer, cut = zeros(5, 3, 8, 9, axis_labels=axes), zeros(5, 2, 8, 9)
    assert describe_layer(layer).axes == wanted
    assert describe_layer(layer, "TZYX").axes == "TZYX"
    assert describe_layer(cut).axes == "TCYX"


def test_a_channel_that_was_split_off_has_the_axes_of_its_file(tmp_path):
    frames = np.zeros((5, 3, 2, 8, 9), np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", frames, imagej=True, metadata={"axes": "TZCYX"})
    with layer_source(path=str(tmp_path / "m.tif")):
        assert describe_layer(zeros(5, 3, 8, 9)).axes == "TZYX"
        assert describe_layer(zeros(5, 3, 2, 8, 9)).axes == "TZCYX"


def test_the_user_may_correct_the_axes():
    layer = zeros(3, 5, 8, 9)
    assert describe_layer(layer).source.shape == (3, 5, 8, 9)
    assert describe_layer(layer, "ctyx").source.shape == (5, 3, 8, 9)


@pytest.mark.parametrize(
    ("layer", "axes", "words"),
    [
        (lambda: zeros(20, 8, 9, axis_labels=("z", "y", "x")), None, "has one frame"),
        (lambda: Image(np.zeros((5, 2, 8, 9, 3), "uint8"), rgb=True, name="cells"), None, "Split RGB"),
        (lambda: Image(np.zeros((8, 9, 3), "uint8"), rgb=True, name="cells"), None, "has one frame"),
        (lambda: zeros(1, 8, 9), None, "has one frame"),
        (lambda: zeros(8, 9), None, "has one frame"),
        (lambda: zeros(2, 2, 2, 2, 8, 9), None, "6 axes"),
        (lambda: zeros(5, 8, 9), "TCYX", "which are 3 axes, not TCYX"),
        (lambda: zeros(5, 8, 9), "TTX", "cannot be read"),
        (lambda: zeros(5, 8, 9), "TQX", "cannot be read"),
    ],
)
def test_what_is_no_movie_gets_a_sentence_that_says_what_to_do(layer, axes, words):
    facts = describe_layer(layer(), axes)
    assert words in facts.problem
    assert facts.problem.startswith(("cells", "Axes"))
    assert facts.problem.endswith(".")
    assert facts.source is None
    assert facts.frames == 0


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_are_channels_and_no_axis_of_the_layer(samples, lazy):
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 9, samples), np.uint8)
    facts = describe_layer(Image(dask.array.from_array(frames) if lazy else frames, rgb=True, name="cells"))
    assert facts.sentence == "5 frames of 8 x 9, uint8, 3 channels (red, green, blue); 4 pairs at delta 1"
    assert (facts.axes, facts.stored_axes, facts.shape, facts.channels) == ("TYX", "TYXS", (5, 8, 9), 3)
    np.testing.assert_array_equal(facts.source.frame(2), np.moveaxis(frames[2, ..., :3], -1, 0))


def test_a_file_of_coloured_frames_has_the_axes_of_its_layer(tmp_path):
    frames = np.zeros((5, 2, 8, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", frames, photometric="rgb", metadata={"axes": "TZYXS"})
    with layer_source(path=str(tmp_path / "m.tif")):
        facts = describe_layer(Image(frames, rgb=True, name="cells"))
    assert (facts.axes, facts.stored_axes, facts.source.slices) == ("TZYX", "TZYXS", 2)


def test_one_channel_beside_colours_is_no_channel():
    frames = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 9, 3), np.uint8)
    layer = Image(frames, rgb=True, name="cells", axis_labels=("t", "c", "y", "x"))
    facts = describe_layer(layer)
    assert (facts.problem, facts.axes, facts.stored_axes, facts.channels) == (None, "TCYX", "TCYXS", 3)
    np.testing.assert_array_equal(facts.source.frame(2), np.moveaxis(frames[2, 0], -1, 0))
    assert "channels besides its colours" in describe_layer(Image(np.repeat(frames, 2, 1), rgb=True), "TCYX").problem


def test_of_several_levels_the_finest_is_taken():
    facts = describe_layer(Image([np.ones((5, 8, 8)), np.zeros((5, 4, 4))], multiscale=True, name="cells"))
    assert facts.source.shape == (5, 1, 8, 8)
    assert facts.source.frame(0).all()


def test_labels_are_a_movie_as_well():
    assert describe_layer(Labels(np.zeros((5, 8, 9), int))).problem is None


def test_a_lazy_layer_is_read_frame_by_frame_and_only_when_asked():
    read: list[int] = []

    def frame(block_info: Any = None) -> np.ndarray:
        if block_info:
            read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 8, 9), read[-1] if read else 0, "uint16")

    lazy = dask.array.map_blocks(frame, chunks=((1,) * 6, (8,), (9,)), dtype="uint16")
    layer = Image(lazy, contrast_limits=(0, 1), cache=False)
    read.clear()
    facts = describe_layer(layer)
    assert facts.problem is None
    assert read == []
    assert facts.source.frame(4)[0, 0, 0] == 4
    assert read == [4]


def test_a_movie_is_named_like_its_layer_without_what_a_folder_cannot_be_called():
    assert describe_layer(zeros(5, 8, 9, name="a/b\\c\n")).source.name == "a_b_c_"


def test_a_new_layer_lies_over_its_source():
    source = zeros(
        5, 8, 9, **TIMED, translate=(1, 2, 3), rotate=30, affine=np.array([[2.0, 0, 5], [0, 1, 6], [0, 0, 1]])
    )
    over = Image(np.zeros((5, 8, 9)), **like(source, axes="TYX"))
    for place in ((0, 0, 0), (3, 7, 2)):
        np.testing.assert_allclose(over.data_to_world(place), source.data_to_world(place))
    assert over.units == source.units
    assert over.axis_labels == source.axis_labels


def test_shear_is_taken_over():
    source = Image(np.zeros((5, 8, 9)), shear=(0, 0, 0.5))
    over = Image(np.zeros((4, 5, 8, 9)), **like(source, axes="FTYX"))
    np.testing.assert_allclose(over.data_to_world((1, 2, 3, 4))[1:], source.data_to_world((2, 3, 4)))


@pytest.mark.parametrize(("axes", "own"), [("FTYX", "TYX"), ("TYX", "TCYX"), ("YX", "TYX")])
def test_a_new_layer_may_have_more_or_fewer_axes(axes, own):
    labels = {"T": "t", "C": "c", "Y": "y", "X": "x"}
    units = {"T": "min", "C": "pixel", "Y": "um", "X": "um"}
    source = Image(
        np.zeros((5,) * len(own)),
        scale=range(2, 2 + len(own)),
        axis_labels=[labels[one] for one in own],
        units=[units[one] for one in own],
    )
    over = Image(np.zeros((5,) * len(axes)), **like(source, axes=axes, own=own))
    for place, letter in enumerate(axes):
        row = own.find(letter)
        assert over.scale[place] == (1 if row < 0 else source.scale[row])
        assert over.axis_labels[place] == ("feature" if row < 0 else labels[letter])
        assert row < 0 or over.units[place] == source.units[row]


@pytest.mark.parametrize(("axes", "shape"), [("TYX", (5, 8, 9)), ("TCYX", (5, 2, 8, 9)), ("CTYX", (2, 5, 8, 9))])
@pytest.mark.parametrize("extra", [0, 1])
def test_maps_get_the_axes_of_their_movie_without_a_copy(axes, shape, extra):
    values = np.zeros((5, *(4,) * extra, 8, 9))
    over = laid_over(values, axes, shape, extra=extra)
    assert over.shape == (*(4,) * extra, *shape)
    values[3] = 7
    time = over.ndim - len(axes) + axes.index("T")
    assert (over.take(3, axis=time) == 7).all()
    assert over.sum() == 7 * over.take(3, axis=time).size


def test_a_lazy_stack_stays_lazy():
    stack = dask.array.zeros((5, 4, 8, 9), chunks=(1, 4, 8, 9))
    over = laid_over(stack, "TCYX", (5, 2, 8, 9), extra=1)
    assert isinstance(over, dask.array.Array)
    assert over.shape == (4, 5, 2, 8, 9)


def test_a_removed_layer_is_not_there_and_another_of_its_name_is_not_it(make_napari_viewer_proxy: Callable[..., Any]):
    viewer = make_napari_viewer_proxy()
    layer = plain(viewer.add_image(np.zeros((5, 8, 9)), name="cells"))
    reference = weakref.ref(layer)
    assert still_there(viewer, layer)
    assert still_there(viewer, viewer.layers["cells"])
    assert still_there(viewer, reference)
    viewer.layers.remove("cells")
    viewer.add_image(np.zeros((5, 8, 9)), name="cells")
    assert not still_there(viewer, layer)
    assert not still_there(viewer, reference)
    assert not still_there(viewer, None)


def test_provenance_names_model_configuration_data_and_versions():
    record = provenance(model="runs/a", configuration={"layer": 0}, data="0123")["napari_tarrow"]
    assert (record["model"], record["configuration"], record["data"]) == ("runs/a", {"layer": 0}, "0123")
    assert record["versions"]["numpy"] == np.__version__


def test_times_are_written_for_people():
    assert [duration(value) for value in (0.2, 30, 600, 5400, 90000)] == [
        "200 ms",
        "30 s",
        "10 min",
        "1.5 h",
        "1.042 d",
    ]
