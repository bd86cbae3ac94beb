"""Devices are chosen, described and refused as the machine allows; memory is what this process may still have."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from napari_tarrow.engine import devices
from napari_tarrow.engine.devices import (
    choose_device,
    describe,
    free_memory,
    give_memory_back,
    keeping_freed_memory,
    out_of_memory,
)
from napari_tarrow.engine.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

GB = 1024**3


@pytest.fixture
def workstation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def macbook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(("machine", "chosen"), [("workstation", "cuda:0"), ("macbook", "cpu"), ("laptop", "cpu")])
def test_auto_takes_the_best_there_is(request: pytest.FixtureRequest, machine: str, chosen: str) -> None:
    request.getfixturevalue(machine)
    assert choose_device() == (torch.device(chosen), [])


@pytest.mark.usefixtures("macbook")
@pytest.mark.parametrize(("device", "gpu"), [("mps", None), ("auto", "mps")])
def test_apples_gpu_is_taken_when_asked_for_with_a_warning(device: str, gpu: str | None) -> None:
    found, notices = choose_device(device, gpu)
    assert found == torch.device("mps")
    assert ["not been tried" in notice for notice in notices] == [True]


@pytest.mark.usefixtures("workstation")
@pytest.mark.parametrize(
    ("device", "gpu", "chosen"),
    [
        ("cpu", None, "cpu"),
        ("cuda", None, "cuda:0"),
        ("cuda:1", None, "cuda:1"),
        ("cuda:01", None, "cuda:1"),
        ("auto", "0", "cuda:0"),
        ("auto", "1", "cuda:1"),
        ("auto", "cpu", "cpu"),
        ("cpu", "cpu", "cpu"),
        ("cuda", "1", "cuda:1"),
        ("cuda:1", "1", "cuda:1"),
    ],
)
def test_a_device_or_a_gpu_is_taken_by_name(device: str, gpu: str | None, chosen: str) -> None:
    assert choose_device(device, gpu) == (torch.device(chosen), [])


@pytest.mark.usefixtures("workstation")
@pytest.mark.parametrize(
    ("gpu", "chosen", "count"),
    [("0,1", "cuda:0", 2), ("1,0", "cuda:1", 2), ("0-1", "cuda:0", 2), ("1, 0", "cuda:1", 2)],
)
def test_of_several_gpus_the_first_is_used_and_that_is_told(gpu: str, chosen: str, count: int) -> None:
    device, notices = choose_device("auto", gpu)
    assert device == torch.device(chosen)
    assert notices == [f"gpu {gpu} names {count} GPUs; one process uses one: {chosen}."]


@pytest.mark.usefixtures("workstation")
@pytest.mark.parametrize("gpu", ["1-1", "1,1"])
def test_one_gpu_named_as_a_list_is_one(gpu: str) -> None:
    assert choose_device("auto", gpu) == (torch.device("cuda:1"), [])


@pytest.mark.parametrize(
    ("machine", "device", "gpu", "sentence"),
    [
        ("workstation", "cuda:2", None, "cuda:2 is not there: this machine offers cuda:0, cuda:1, cpu."),
        ("workstation", "auto", "2", "cuda:2 is not there"),
        ("workstation", "mps", None, "mps is not there: this machine offers cuda:0, cuda:1, cpu."),
        ("macbook", "cuda", None, "cuda:0 is not there: this machine offers mps, cpu."),
        ("laptop", "auto", "0", "cuda:0 is not there: this machine offers cpu."),
        ("workstation", "cpu", "0", "device cpu and gpu 0 contradict each other. Give one of them."),
        ("workstation", "cuda:0", "1", "device cuda:0 and gpu 1 contradict each other."),
        ("workstation", "cuda", "cpu", "device cuda and gpu cpu contradict each other."),
        (
            "workstation",
            "gpu",
            None,
            "device is 'gpu'; it should be auto, cpu, cuda, cuda:1 (or another number) or mps.",
        ),
        ("workstation", "cuda:-1", None, "device is 'cuda:-1'; it should be"),
        ("workstation", "", None, "device is ''; it should be"),
        ("workstation", "auto", "", "gpu is ''; it should be a number, a list such as 0,1, an interval such as 0-3"),
        ("workstation", "auto", "-1", "gpu is '-1'; it should be"),
        ("workstation", "auto", "1-0", "gpu is '1-0'; it should be"),
        ("workstation", "auto", "0,", "gpu is '0,'; it should be"),
        ("workstation", "auto", "all", "gpu is 'all'; it should be"),
    ],
)
def test_what_is_unknown_absent_or_contradictory_is_refused(
    request: pytest.FixtureRequest, machine: str, device: str, gpu: str | None, sentence: str
) -> None:
    request.getfixturevalue(machine)
    with pytest.raises(UserError) as error:
        choose_device(device, gpu)
    assert str(error.value).startswith(sentence)


def test_devices_are_described_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name = "NVIDIA H100"
        total_memory = 80e9

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    assert describe(torch.device("cuda:0")) == "NVIDIA H100 (80 GB)"
    assert describe(torch.device("mps")) == "Apple GPU"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert describe(torch.device("cpu")) == "CPU, 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert describe(torch.device("cpu")) == "CPU, 2 threads"


def test_free_memory_of_a_gpu_counts_what_torch_holds_unused_but_for_what_graphs_keep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def segment(device: int, pool: tuple[int, int], total: int, allocated: int) -> dict[str, object]:
        return {
            "device": device,
            "segment_pool_id": pool,
            "total_size": total * GB,
            "allocated_size": allocated * GB,
        }

    segments = [segment(0, (0, 0), 4, 3), segment(0, (0, 1), 3, 2), segment(1, (0, 2), 9, 0)]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 5 * GB)
    assert free_memory(torch.device("cuda:0")) == 11 * GB


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files by which Linux tells its memory: 8 GB are available."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16777216 kB\nMemFree: 100 kB\nMemAvailable: 8388608 kB\n")
    monkeypatch.setattr(devices, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(devices, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def limit(folder: Path, maximum: str, used: int, names: tuple[str, str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{maximum}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {GB // 2}\n")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def test_free_memory_is_what_the_system_says_is_available(linux: Path) -> None:
    assert free_memory(torch.device("cpu")) == 8 * GB


def test_the_tightest_control_group_limits_the_memory(linux: Path) -> None:
    (linux / "proc" / "self" / "cgroup").write_text("0::/jobs/mine\n")
    limit(linux / "cgroup" / "jobs" / "mine", "max", 3 * GB, V2)
    limit(linux / "cgroup" / "jobs", str(4 * GB), 3 * GB, V2)
    limit(linux / "cgroup", str(7 * GB), 3 * GB, V2)
    assert free_memory(torch.device("cpu")) == 3 * GB // 2  # half a GB of files can be dropped


def test_old_control_groups_limit_the_memory(linux: Path) -> None:
    (linux / "proc" / "self" / "cgroup").write_text("9:cpu,memory:/job\n3:devices:/job\n")
    limit(linux / "cgroup" / "memory" / "job", str(2 * GB), GB, V1)
    limit(linux / "cgroup" / "memory", str(2**63 - 4096), 9 * GB, V1)
    assert free_memory(torch.device("cpu")) == 3 * GB // 2


def test_a_container_that_sees_only_itself_is_limited(linux: Path) -> None:
    (linux / "proc" / "self" / "cgroup").write_text("0::/docker/0123abc\n")
    limit(linux / "cgroup", str(GB), GB // 2, V2)
    assert free_memory(torch.device("cpu")) == GB


def test_memory_is_never_less_than_none(linux: Path) -> None:
    (linux / "proc" / "self" / "cgroup").write_text("0::/\n")
    limit(linux / "cgroup", str(GB), 2 * GB, V2)
    assert free_memory(torch.device("cpu")) == 0


def test_a_system_that_does_not_say_gets_a_careful_guess(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (linux / "proc" / "meminfo").unlink()
    monkeypatch.setattr(
        os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1024**2, "SC_PAGE_SIZE": 4096}[name], raising=False
    )
    assert free_memory(torch.device("cpu")) == 2 * GB
    monkeypatch.delattr(os, "sysconf")
    assert free_memory(torch.device("cpu")) == 4 * GB


def test_this_machine_has_some_memory() -> None:
    assert free_memory(torch.device("cpu")) > 10 * 1024**2


def test_the_allocator_is_told_to_keep_what_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        calls: list[tuple[int, int]] = []  # noqa: RUF012

        def mallopt(self, parameter: int, value: int) -> int:
            self.calls.append((parameter, value))
            return 1

        def malloc_trim(self, pad: int) -> int:
            self.calls.append((0, pad))
            return 1

    monkeypatch.setattr(devices, "_glibc", Libc)
    kept = {(-4, 0), (-1, -1)}  # M_MMAP_MAX, M_TRIM_THRESHOLD in malloc.h
    with keeping_freed_memory(torch.device("cpu")):
        assert set(Libc.calls) == kept
        with keeping_freed_memory(torch.device("cpu")):
            pass
        assert set(Libc.calls) == kept  # somebody still computes
        with keeping_freed_memory(torch.device("meta")):
            assert set(Libc.calls) == kept
        Libc.calls.clear()
    assert set(Libc.calls) == {(-4, 65536), (-3, 2**25), (-1, 2**26)}
    give_memory_back()
    assert Libc.calls[-1] == (0, 0)


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_allocators_are_left_alone(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with keeping_freed_memory(torch.device("cpu")):
        give_memory_back()


@pytest.mark.skipif(devices._glibc() is None, reason="needs glibc")
def test_freed_memory_is_kept_and_given_back() -> None:
    """In a process of its own: what others have freed counts."""
    import subprocess

    script = """
import torch
from napari_tarrow.engine.devices import give_memory_back, keeping_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def faults():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
at_first = resident()
with keeping_freed_memory(torch.device("cpu")):
    block = bytearray(200_000_000); del block
    before = faults()
    block = bytearray(200_000_000); del block
    assert faults() - before < 5_000, faults() - before
    assert resident() - at_first > 150_000_000, resident()
give_memory_back()
assert resident() - at_first < 50_000_000, resident()
block = bytearray(200_000_000); del block
assert resident() - at_first < 50_000_000, resident()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_lack_of_memory_is_recognised(error: BaseException) -> None:
    assert out_of_memory(error)


def test_torch_says_what_we_listen_for() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    assert out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes"), ValueError("out of memory"), KeyboardInterrupt()]
)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not out_of_memory(error)
