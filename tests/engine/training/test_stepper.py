"""When work on batches is captured, and what happens where it cannot be; a GPU is in `on_device/test_graph.py`."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from napari_tarrow.engine.training.packing import Layout
from napari_tarrow.engine.training.stepper import GraphMemory, Replayed


class Stream:
    def wait_stream(self, other):
        pass


class Memory(GraphMemory):
    """Of the CPU, which takes itself for a GPU."""

    pool, stream = "pool", Stream()

    @property
    def capturable(self):
        return self.failure is None


class Graph:
    replays = 0
    refuses = False

    def capture_begin(self, pool, capture_error_mode):
        assert (pool, capture_error_mode) == ("pool", "thread_local")

    def capture_end(self):
        if Graph.refuses:
            raise RuntimeError("operation not permitted when stream is capturing\nand so on")

    def replay(self):
        Graph.replays += 1


@pytest.fixture
def gpu(monkeypatch):
    """Stand in for torch.cuda."""
    monkeypatch.setattr(Graph, "replays", 0)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(Layout, "pinned", packed)


def packed(layout, arrays):
    buffer = torch.empty(layout.size, dtype=torch.uint8)
    layout.pack(arrays, buffer)
    return buffer


def batch(value, length=3):
    return {"x": np.full(length, value, np.float32)}


def test_the_third_batch_is_captured_and_replayed_with_its_own_inputs(gpu):
    replayed, seen = Replayed(Memory(torch.device("cpu"))), []

    def work(inputs):
        seen.append(inputs["x"])
        return inputs["x"].sum()

    assert [float(replayed(work, batch(value))) for value in (1, 2)] == [3, 6]
    assert Graph.replays == 0
    for number in (3, 4):
        replayed(work, batch(number))
    assert (len(seen), Graph.replays) == (3, 2)
    assert seen[2].tolist() == [4, 4, 4]  # where the graph reads
    assert float(replayed(work, batch(5, length=2))) == 10  # of another layout: done as it is
    assert (len(seen), Graph.replays) == (4, 2)


def test_what_cannot_be_captured_is_done_all_the_same(gpu, monkeypatch):
    monkeypatch.setattr(Graph, "refuses", True)
    memory = Memory(torch.device("cpu"))
    training, validation = Replayed(memory), Replayed(memory)
    for replayed in (training, validation):
        sums = [float(replayed(lambda inputs: inputs["x"].sum(), batch(value))) for value in range(5)]
        assert sums == [0, 3, 6, 9, 12]
    assert memory.failure == "operation not permitted when stream is capturing"
    assert Graph.replays == 0
