"""How much memory the process takes, and how much a network will."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ...devices import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHARE = 0.8  # of the free memory, where nobody says how much may be taken
_INDEX = 8  # bytes; pooling notes for each pixel of its result where it came from
_PROBE = 96  # pixels; sides of the small images that tell what a network takes


class Budget:
    """Memory that may be taken: by the process as a whole, or, on a GPU, by what it holds there.

    Parameters
    ----------
    device : torch.device
    memory : int, optional
        Bytes; without it, most of what is free, besides what is taken already.

    Attributes
    ----------
    total : int
        Bytes.
    given : bool
        Whether somebody asked for it.
    """

    def __init__(self, device: torch.device, memory: int | None = None) -> None:
        self.device = device
        self.given = memory is not None
        self.total = used_memory(device) + int(_SHARE * free_memory(device)) if memory is None else memory

    @property
    def left(self) -> int:
        """Bytes that may still be taken now; negative, if it is too much already."""
        return self.total - used_memory(self.device)


def used_memory(device: torch.device) -> int:
    """Bytes of memory that the process takes now: resident memory, or what it holds on a GPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    if sys.platform == "win32":
        return _windows_memory()
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes, and the most it ever was


def peak_bytes(function: Callable[[torch.Tensor], Any], image: torch.Tensor, backward: bool = False) -> int:
    """Run a function; return the most bytes that its input and what it made were together.

    What libraries take inside of an operation, and what an allocator loses, is not in it.

    Parameters
    ----------
    function : callable
        Run without gradients, unless it enables them.
    image : Tensor
    backward : bool
        Whether there are backward passes in it.
    """
    storages = _Storages([image])
    with torch.no_grad(), (_Operations if backward else _Functions)(storages):
        function(image)
    return storages.peak


def bytes_per_pixel(
    function: Callable[[torch.Tensor], Any], channels: int, multiple: int, device: torch.device, backward: bool = False
) -> int:
    """Return how many bytes a function of images (1, C, H, W) takes per input pixel when images are large.

    Two small images are put through it. What it takes is nearly ``a s^2 + b s`` for images of side s, the second part
    being borders, which may be more or less than nothing.

    Parameters
    ----------
    function, backward
        As in `peak_bytes`.
    channels : int
    multiple : int
        Sides of images are multiples of it.
    device : torch.device
    """
    small = -(-_PROBE // multiple) * multiple
    images = (torch.zeros((1, channels, side, side), dtype=torch.float32, device=device) for side in (small, 2 * small))
    first, second = (peak_bytes(function, image, backward) / image.shape[-1] ** 2 for image in images)
    return int(max(first, second, 2 * second - first)) + 1


class _Storages:
    """Follows storages until nobody holds them any more."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.add(tensors)

    def add(self, values: Iterable[Any], hidden: int = 0) -> None:
        """Take note of what was made just now, and of bytes that were taken only while it was made."""
        self._alive = {key: value for key, value in self._alive.items() if not value[0].expired()}
        for value in values:
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, hidden + sum(size for _, size in self._alive.values()))


class _Functions(TorchFunctionMode):
    """Sees what functions of torch return; of what they drop inside, in our networks only pooling has to be added."""

    def __init__(self, storages: _Storages) -> None:
        super().__init__()
        self._storages = storages

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        pooled = getattr(function, "__name__", "") == "max_pool2d"
        self._storages.add(tree_leaves(result), result.numel() * _INDEX if pooled else 0)
        return result


class _Operations(TorchDispatchMode):
    """Sees every operation, those of a backward pass too, but imports a second's worth of modules."""

    def __init__(self, storages: _Storages) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._storages = storages

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        self._storages.add(tree_leaves(result))
        return result


def _windows_memory() -> int:
    class Counters(ctypes.Structure):  # PROCESS_MEMORY_COUNTERS
        _fields_ = (
            ("size", ctypes.c_ulong),
            ("faults", ctypes.c_ulong),
            ("peak", ctypes.c_size_t),
            ("resident", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 6),
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    process = ctypes.c_void_p(-1)  # this one
    ctypes.windll.kernel32.K32GetProcessMemoryInfo(  # type: ignore[attr-defined,unused-ignore]
        process, ctypes.byref(counters), counters.size
    )
    return int(counters.resident)
