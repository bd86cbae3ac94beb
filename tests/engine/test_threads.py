"""With how many threads the CPU computes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from napari_tarrow.engine import threads
from napari_tarrow.engine.inference import attribute, embed
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.threads import Threads

CPU = torch.device("cpu")


class Machine:
    """How many cores are free, on a clock that stands still."""

    def __init__(self) -> None:
        self.free, self.seconds, self.looks = 4, 0.0, 0

    def measured(self, counts: tuple[int, ...]) -> dict[int, float]:
        """Return what work takes: threads without a core hold up all others."""
        self.looks += 1
        return {count: 0.01 if count > self.free else 0.002 / count for count in counts}

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def machine(unasked_threads: None, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Four threads."""
    machine = Machine()
    monkeypatch.setattr(threads, "_measured", machine.measured)
    monkeypatch.setattr(threads.time, "sleep", machine.wait)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: machine.seconds)
    torch.set_num_threads(4)
    return machine


def test_all_threads_compute_on_an_idle_machine(machine: Machine) -> None:
    with Threads(CPU) as working:
        assert torch.get_num_threads() == 4
        machine.wait(10)
        assert working.adapt() == ()
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize("free", [1, 2, 3])
def test_threads_that_would_have_no_core_do_not_compute(machine: Machine, free: int) -> None:
    machine.free = free
    with Threads(CPU) as working:
        assert torch.get_num_threads() == free
        (notice,) = working.adapt()
        assert f"with {free} of 4 threads" in notice
    assert torch.get_num_threads() == 4


def test_they_follow_the_machine_and_say_so_once(machine: Machine) -> None:
    told: list[str] = []
    with Threads(CPU) as working:
        for free, expected in ((4, 4), (3, 3), (1, 1), (4, 4), (2, 2)):
            machine.free = free
            machine.wait(60)
            told += working.adapt()
            assert torch.get_num_threads() == expected
    assert len(told) == 1


def test_a_core_that_is_busy_for_a_moment_changes_nothing(machine: Machine) -> None:
    machine.free = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads.time, "sleep", lambda _: setattr(machine, "free", 4))
        with Threads(CPU):
            assert torch.get_num_threads() == 4


def test_looks_take_a_small_part_of_the_time(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(counts: tuple[int, ...]) -> dict[int, float]:
        machine.wait(0.5)
        return machine.measured(counts)

    monkeypatch.setattr(threads, "_measured", slow)
    with Threads(CPU) as working:
        for _ in range(1000):
            machine.wait(0.1)
            working.adapt()
    assert 0.5 * machine.looks < 0.03 * machine.seconds


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_user_says_stays(machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine.free = 1
    monkeypatch.setenv(name, "4")
    with Threads(CPU) as working:
        assert torch.get_num_threads() == 4
        assert working.adapt() == ()
    assert machine.looks == 0


def test_a_gpu_needs_no_look(machine: Machine) -> None:
    with Threads(torch.device("cuda", 0)):
        assert machine.looks == 0


def test_torch_is_left_as_it_was_after_an_error(machine: Machine) -> None:
    machine.free = 1
    with pytest.raises(ZeroDivisionError), Threads(CPU):
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(("most", "expected"), [(1, (1,)), (2, (2, 1)), (3, (3, 2, 1)), (16, (16, 15, 12, 8, 4))])
def test_numbers_of_threads_that_are_tried(most: int, expected: tuple[int, ...]) -> None:
    assert threads._counts(most) == expected


def test_real_work_is_timed_with_every_number() -> None:
    before = torch.get_num_threads()
    taken = threads._measured((2, 1))
    assert set(taken) == {1, 2}
    assert all(seconds > 0 for seconds in taken.values())
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("busy_core")
@pytest.mark.parametrize("using", [embed, attribute])
def test_beside_other_programs_fewer_threads_embed_and_attribute(using: Callable[..., Iterator[Any]]) -> None:
    model = TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True).eval()
    movie = PreparedMovie(open_movie(np.ones((4, 32, 32), np.uint8)), Preparation())
    for made in using(model, movie):
        assert torch.get_num_threads() == 1
        assert len(made.notices) == (made.done == 1)
    assert torch.get_num_threads() == 2
