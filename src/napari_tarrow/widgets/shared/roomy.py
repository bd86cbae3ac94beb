"""Room for results that layers show while they are written: in memory, or in a file where that would be too much."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import UserError

if TYPE_CHECKING:
    import torch
    from numpy.typing import DTypeLike, NDArray

_SHARE = 0.4  # of the free memory that one result may take


def roomy(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros in memory, or where they would take too much of it, in a temporary file that vanishes with them.

    Raises
    ------
    UserError
        If the disk has no room for it either.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _SHARE * _free():
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:  # the mapping keeps the file open; it is sparse until it is written to
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise UserError(
            f"The result takes {size / 1e9:.3g} GB, for which neither memory nor {tempfile.gettempdir()} has room"
            f" ({error.strerror or error}). Take fewer frames, or subsample the movie."
        ) from error


def left_beside(result: NDArray[Any] | None, device: torch.device, memory: int | None) -> int | None:
    """Return the bytes that work may plan with, as engines take it: a result takes its memory only when it is written.

    Parameters
    ----------
    result
        What `roomy` or ``zeros`` gave; None for nothing in memory.
    device
        Of the network.
    memory
        Bytes that the process may take as a whole; None for most of what is free.
    """
    from ...engine.inference.projections.memory import Budget

    if device.type != "cpu" or result is None or isinstance(result, np.memmap):
        return memory
    return Budget(device, memory).total - result.nbytes


def _free() -> int:
    import torch

    from ...engine.devices import free_memory

    return free_memory(torch.device("cpu"))
