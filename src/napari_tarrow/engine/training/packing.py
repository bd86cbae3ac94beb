"""Small arrays on their way to a device: to CUDA, all in one copy."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALIGNED = 16  # bytes: where every array begins


def on_device(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Return arrays as tensors on a device; on the CPU they share their memory. CUDA goes on with what it is doing."""
    if device.type != "cuda":
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    layout = Layout.of(arrays)
    return layout.views(layout.pinned(arrays).to(device, non_blocking=True))


@dataclass(frozen=True)
class Layout:
    """Names, types and shapes of arrays, and with that where each lies when all are packed into one buffer."""

    entries: tuple[tuple[str, np.dtype, tuple[int, ...]], ...]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Layout:
        """Return the layout of these arrays."""
        return cls(tuple((name, array.dtype, array.shape) for name, array in arrays.items()))

    @property
    def size(self) -> int:
        """Bytes of the buffer."""
        return self._starts[-1]

    def pinned(self, arrays: Mapping[str, np.ndarray]) -> torch.Tensor:
        """Return arrays packed in memory that CUDA copies from on its own; torch gives it to others after that copy."""
        buffer = torch.empty(self.size, dtype=torch.uint8, pin_memory=True)
        self.pack(arrays, buffer)
        return buffer

    def pack(self, arrays: Mapping[str, np.ndarray], buffer: torch.Tensor) -> None:
        """Write arrays of this layout into a buffer, (size,) uint8, in memory."""
        flat = buffer.numpy()
        for name, dtype, shape, where in self._places():
            flat[where].view(dtype).reshape(shape)[...] = arrays[name]

    def views(self, buffer: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what is packed in a buffer, (size,) uint8, on any device; nothing is copied."""
        return {
            name: buffer[where].view(torch.from_numpy(np.empty(0, dtype)).dtype).view(shape)
            for name, dtype, shape, where in self._places()
        }

    def _places(self) -> Iterator[tuple[str, np.dtype, tuple[int, ...], slice]]:
        for (name, dtype, shape), start in zip(self.entries, self._starts, strict=False):
            yield name, dtype, shape, slice(start, start + math.prod(shape) * dtype.itemsize)

    @functools.cached_property
    def _starts(self) -> tuple[int, ...]:
        """Where each array begins, and the end."""
        sizes = (math.prod(shape) * dtype.itemsize for _, dtype, shape in self.entries)
        return tuple(itertools.accumulate((-(-size // _ALIGNED) * _ALIGNED for size in sizes), initial=0))
