"""Projections of the frames that are needed again soon: in memory, or in a temporary file."""

from __future__ import annotations

import shutil
import tempfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from ...devices import free_memory, give_memory_back
from ...errors import UserError
from ...files import in_words, other_temporary_folder

if TYPE_CHECKING:
    from ...models.tiles import Window
    from .projector import Projector

_FLOAT = 4  # bytes
_SHARE = 0.5  # of the free main memory that projections made on a GPU may take


class ProjectionCache:
    """Projections of some frames, each made once.

    They are kept in memory where the projector's budget allows it, else in a temporary file without a name, which is
    gone with the process.

    Parameters
    ----------
    projector : Projector
    frames_at_once : int
        How many frames are held at most; who asks for more forgets others first.

    Raises
    ------
    UserError
        If there is not enough room on the disk either.
    """

    def __init__(self, projector: Projector, frames_at_once: int) -> None:
        self._projector = projector
        self._store = _store(projector, frames_at_once)
        self._known: set[int] = set()

    def block(self, index: int, window: Window) -> torch.Tensor:
        """Return the projections of a frame in one of the projector's windows, on the model's device.

        The first time all windows of the frame are made.

        Raises
        ------
        UserError
            If the frame cannot be read, the memory does not suffice, or the disk is full.
        """
        if index not in self._known:
            for one, values in self._projector.blocks(index):
                self._store.put(index, one, values)
                del values
            self._known.add(index)
        return self._store.get(index, window).to(self._projector.device)

    def forget(self, index: int) -> None:
        """Let go of a frame, if it is known."""
        if index in self._known:
            self._known.remove(index)
            self._store.forget(index)

    def close(self) -> None:
        """Let go of everything."""
        self._known.clear()
        self._store.close()
        give_memory_back()


class _Store(Protocol):
    def put(self, index: int, window: Window, values: torch.Tensor) -> None: ...
    def get(self, index: int, window: Window) -> torch.Tensor: ...
    def forget(self, index: int) -> None: ...
    def close(self) -> None: ...


def _store(projector: Projector, frames: int) -> _Store:
    size = frames * prod(projector.shape) * _FLOAT
    if size <= projector.spare:
        return _InMemory(projector.device)
    if projector.device.type != "cpu" and size <= _SHARE * free_memory(torch.device("cpu")):
        return _InMemory(torch.device("cpu"))
    return _InFile(projector, size)


class _InMemory:
    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._values: dict[int, dict[Window, torch.Tensor]] = {}

    def put(self, index: int, window: Window, values: torch.Tensor) -> None:
        self._values.setdefault(index, {})[window] = values.to(self._device)

    def get(self, index: int, window: Window) -> torch.Tensor:
        return self._values[index][window]

    def forget(self, index: int) -> None:
        del self._values[index]

    def close(self) -> None:
        self._values.clear()


class _InFile:
    """Every frame has a place in the file, every window a place in that of its frame.

    It is read and written, not mapped: mapped pages count as memory of the process for as long as they stay.
    """

    def __init__(self, projector: Projector, size: int) -> None:
        folder = Path(tempfile.gettempdir())
        _check_space(folder, size)
        self._folder = folder
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115, open until `close`
        self._frame = prod(projector.shape) * _FLOAT
        self._places: dict[int, int] = {}
        self._free: list[int] = []
        self._offsets: dict[Window, int] = {}
        self._features = projector.shape[0]
        offset = 0
        for window in projector.windows:
            self._offsets[window] = offset
            offset += prod(window.shape) * self._features * _FLOAT

    def put(self, index: int, window: Window, values: torch.Tensor) -> None:
        if index not in self._places:
            self._places[index] = self._free.pop() if self._free else len(self._places)
        data = values.permute(1, 2, 0).contiguous().cpu().numpy().data.cast("B")
        self._seek(index, window)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise UserError(
                f"Projections do not fit into {self._folder}, the folder for temporary files ({error.strerror})."
                f" {_advice()}"
            ) from error

    def get(self, index: int, window: Window) -> torch.Tensor:
        values = torch.empty((*window.shape, self._features), dtype=torch.float32)
        data = values.numpy().data.cast("B")
        self._seek(index, window)
        while data:
            count = self._file.readinto(data)
            if not count:
                raise EOFError("The temporary file of projections has become shorter.")
            data = data[count:]
        return values.permute(2, 0, 1)

    def forget(self, index: int) -> None:
        self._free.append(self._places.pop(index))

    def close(self) -> None:
        self._file.close()

    def _seek(self, index: int, window: Window) -> None:
        self._file.seek(self._places[index] * self._frame + self._offsets[window])


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"Projections take {in_words(size)}, more than there is memory for and than the {in_words(free)} that are"
            f" free in {folder}, the folder for temporary files. {_advice()}"
        )


def _advice() -> str:
    return f"Free some space there, {other_temporary_folder()}, allow more memory, or use subsample."
