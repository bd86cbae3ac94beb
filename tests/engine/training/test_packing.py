"""Arrays in one buffer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tarrow.engine.training.packing import Layout, on_device

ARRAYS = {
    "places": np.arange(6, dtype=np.int64).reshape(3, 2),
    "flags": np.array([True, False, True]),
    "one": np.float32(0.5).reshape(()),
    "seeds": np.array([[7], [2**31 - 1]], np.int32),
    "turned": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    "spread": np.broadcast_to(np.array([[1.5], [2.5]], np.float64), (2, 5)),
    "none": np.empty((0, 3), np.int16),
    "bytes": np.arange(17, dtype=np.uint8),
}


def test_what_is_packed_comes_out_as_it_was() -> None:
    layout = Layout.of(ARRAYS)
    buffer = torch.full((layout.size,), 255, dtype=torch.uint8)
    layout.pack(ARRAYS, buffer)
    views = layout.views(buffer)
    assert list(views) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert views[name].numpy().dtype == array.dtype
        assert views[name].shape == array.shape
        assert np.array_equal(views[name].numpy(), array)


def test_views_share_the_buffer_begin_at_16_bytes_and_do_not_overlap() -> None:
    layout = Layout.of(ARRAYS)
    buffer = torch.zeros(layout.size, dtype=torch.uint8)
    end = buffer.data_ptr()
    for view in layout.views(buffer).values():
        if view.numel():
            assert (view.data_ptr() - buffer.data_ptr()) % 16 == 0
            assert view.data_ptr() >= end
            end = view.data_ptr() + view.numel() * view.element_size()
    assert end <= buffer.data_ptr() + layout.size < end + 16


def test_nothing_takes_no_room() -> None:
    layout = Layout.of({})
    assert layout.size == 0
    assert layout.views(torch.empty(0, dtype=torch.uint8)) == {}


@pytest.mark.parametrize(
    "other",
    [{"b": np.zeros(3)}, {"a": np.zeros(4)}, {"a": np.zeros(3, np.float32)}, {"a": np.zeros(3), "b": np.zeros(3)}],
)
def test_another_name_shape_or_type_is_another_layout(other: dict[str, np.ndarray]) -> None:
    layout = Layout.of({"a": np.zeros(3)})
    assert layout == Layout.of({"a": np.ones(3)})
    assert layout != Layout.of(other)


def test_on_the_cpu_nothing_is_copied() -> None:
    array = np.arange(3.0)
    tensor = on_device({"a": array}, torch.device("cpu"))["a"]
    array[0] = 5
    assert tensor.tolist() == [5, 1, 2]
