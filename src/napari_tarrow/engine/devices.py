"""Where to compute, and how much memory there is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h
_KEEP = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}  # -1: never
# What glibc comes to by itself in a process that uses large blocks; its own law is off once a value is set.
_AS_USUAL = {_M_MMAP_MAX: 65536, _M_MMAP_THRESHOLD: 2**25, _M_TRIM_THRESHOLD: 2**26}
_keeping = threading.RLock()  # a generator's end may come at any moment, by the garbage collector
_keepers: set[object] = set()
_UNKNOWN_MEMORY = 4 * 1024**3  # bytes taken as available where the system does not say
_OF_APPLE = (
    "Apple's GPU has not been tried, and torch before 2.14 is known to compute wrong gradients there without a word:"
    " compare what comes out with device cpu."
)


def choose_device(device: str = "auto", gpu: str | None = None) -> tuple[torch.device, list[str]]:
    """Choose where to compute.

    Parameters
    ----------
    device : str
        ``auto`` (CUDA, else the CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    gpu : str, optional
        The reference's form: a number, a list ``0,1``, an interval ``0-3``, ``cpu`` or ``mps``. It wins over ``auto``.

    Returns
    -------
    device : torch.device
        With its number, if it is a CUDA device.
    notices : list of str
        What the user should know, such as that only one of several GPUs is used, or that Apple's is not known to work.

    Raises
    ------
    UserError
        For a device that is unknown or absent (it names what there is), or where the two contradict each other.
    """
    import torch

    wanted = _from_device(device)
    notices: list[str] = []
    if gpu is not None:
        first, count = _from_gpu(gpu)
        if wanted not in ("auto", first) and not (wanted == "cuda" and first.startswith("cuda")):
            raise UserError(f"device {device} and gpu {gpu} contradict each other. Give one of them.")
        wanted = first
        if count > 1:
            notices.append(f"gpu {gpu} names {count} GPUs; one process uses one: {first}.")
    if wanted == "auto":
        wanted = next(name for name in _present() if name != "mps")
    if wanted == "cuda":
        wanted = "cuda:0"
    if wanted not in _present():
        raise UserError(f"{wanted} is not there: this machine offers {', '.join(_present())}. Choose one, or auto.")
    if wanted == "mps":
        notices.append(_OF_APPLE)
    return torch.device(wanted), notices


def describe(device: torch.device) -> str:
    """Name a device for people: ``NVIDIA H100 (80 GB)``, ``Apple GPU``, ``CPU, 2 threads``."""
    import torch

    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} ({properties.total_memory / 1e9:.0f} GB)"
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on `device` now.

    On the CPU this heeds the limits of the control groups (containers, batch systems) that the process runs in.
    """
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept - _kept_by_graphs(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return max(0, min([_system_memory(), *_group_memory()]))


@contextlib.contextmanager
def keeping_freed_memory(device: torch.device) -> Iterator[None]:
    """Within the block let the allocator keep what is freed instead of handing it back; only on a CPU with glibc.

    Handing back large blocks and faulting them in again, page by page, was more than half of the time of a training
    step on the CPU. It works best in the main thread: other threads have allocators of their own, which take large
    blocks from the system all the same (there it saves two thirds of the faults). `give_memory_back` returns what piled
    up. It holds for the whole process, until the last such block ends: napari goes on after a training.
    """
    libc = _glibc() if device.type == "cpu" else None
    if libc is None:
        yield
        return
    me = object()
    with _keeping:
        _keepers.add(me)
        for parameter, value in _KEEP.items():
            libc.mallopt(parameter, value)
    try:
        yield
    finally:
        with _keeping:
            _keepers.discard(me)
            for parameter, value in (_KEEP if _keepers else _AS_USUAL).items():
                libc.mallopt(parameter, value)


def give_memory_back() -> None:
    """Hand freed memory back to the system and to other programs on the GPU, after a run."""
    if (torch := sys.modules.get("torch")) is not None:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    words = ("out of memory", "DefaultCPUAllocator", "STATUS_ALLOC_FAILED", "Invalid buffer size")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


@contextlib.contextmanager
def exact_convolutions() -> Iterator[None]:
    """Let convolutions in float32 be that on a GPU too, which otherwise rounds their factors to 10 bits (TF32)."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _from_device(text: str) -> str:
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        return re.sub(r":0*(?=\d)", ":", text)
    raise UserError(f"device is {text!r}; it should be auto, cpu, cuda, cuda:1 (or another number) or mps.")


def _from_gpu(text: str) -> tuple[str, int]:
    """First device that the reference's form names, and how many it names."""
    text = text.replace(" ", "")
    if text in ("cpu", "mps"):
        return text, 1
    if re.fullmatch(r"\d+(,\d+)*", text):
        numbers = list(dict.fromkeys(map(int, text.split(","))))
        return f"cuda:{numbers[0]}", len(numbers)
    interval = re.fullmatch(r"(\d+)-(\d+)", text)
    if interval and int(interval[1]) <= int(interval[2]):
        return f"cuda:{int(interval[1])}", int(interval[2]) - int(interval[1]) + 1
    raise UserError(f"gpu is {text!r}; it should be a number, a list such as 0,1, an interval such as 0-3, cpu or mps.")


def _present() -> list[str]:
    """Names of this machine's devices: GPUs first."""
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*gpus, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _kept_by_graphs(device: torch.device) -> int:
    """Bytes without a tensor in memory that CUDA graphs have for themselves."""
    import torch

    index = torch.cuda.current_device() if device.index is None else device.index
    segments = (segment for segment in torch.cuda.memory_snapshot() if segment["device"] == index)
    of_graphs = (segment for segment in segments if tuple(segment["segment_pool_id"]) != (0, 0))
    return sum(segment["total_size"] - segment["allocated_size"] for segment in of_graphs)


def _system_memory() -> int:
    with contextlib.suppress(OSError, AttributeError, StopIteration, ValueError):
        if sys.platform == "win32":
            return _windows_memory()
        if (_PROC / "meminfo").exists():
            lines = (_PROC / "meminfo").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        # macOS does not say simply how much is free: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _UNKNOWN_MEMORY


def _group_memory() -> Iterator[int]:
    """Room below the limit of every control group around this process (versions 2 and 1)."""
    with contextlib.suppress(OSError):
        for line in (_PROC / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _rooms(_CGROUPS, path, "memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _rooms(_CGROUPS / "memory", path, *names)


def _rooms(root: Path, path: str, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        with contextlib.suppress(OSError, ValueError):  # no limit, or a container that does not see its own group
            room = int((group / limit).read_text()) - int((group / usage).read_text())
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield room + int(statistics.get(reclaimable, 0))
        if group == root:
            return


def _windows_memory() -> int:
    class Status(ctypes.Structure):  # MEMORYSTATUSEX
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.free)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            return libc
    return None


def widest_float(device: torch.device) -> torch.dtype:
    """Return the most exact floating point type that a device has."""
    import torch

    return torch.float32 if device.type == "mps" else torch.float64
