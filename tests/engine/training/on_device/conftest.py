"""A device of its own, computed on the CPU: what mixes its tensors with those of the CPU is an error, as on a GPU.

Its tensors hold values, so that whole trainings run on it. torch's dispatcher hands every operation to `_compute`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from napari_tarrow.engine import devices

if TYPE_CHECKING:
    from collections.abc import Iterator

# On a GPU too, these take tensors of the CPU beside those of the device.
_CROSSING = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
_NAME = "elsewhere"


class ElsewhereTensor(torch.Tensor):
    """A tensor of the device; `inner` holds its values on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> ElsewhereTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=torch.device(_NAME, 0),
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(operation, args, kwargs or {})

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("NumPy gets no tensor of another device")

    def tolist(self) -> Any:
        return self.inner.tolist()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.detach().__reduce_ex__(protocol)

    def __deepcopy__(self, known: dict[int, Any]) -> torch.Tensor:
        if id(self) not in known:
            copied = self.detach().clone()
            known[id(self)] = torch.nn.Parameter(copied) if isinstance(self, torch.nn.Parameter) else copied
        return known[id(self)]


class _Factories(TorchDispatchMode):
    """Operations without a tensor of the device, which may make one."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(operation, args, kwargs or {})


@pytest.fixture(scope="session")
def registered() -> torch.device:
    """Let torch know the device; there is one such place in a process."""

    class Module(backend_registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

    backend_registration._setup_privateuseone_for_python_backend(_NAME, backend_module=Module())
    return torch.device(_NAME, 0)


@pytest.fixture
def elsewhere(registered: torch.device, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A machine with such a device."""
    monkeypatch.setattr(devices, "_present", lambda: [str(registered), "cpu"])
    monkeypatch.setattr(devices, "_from_device", str)
    with _Factories():
        yield registered


def _compute(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    there = [tensor for tensor in given if isinstance(tensor, ElsewhereTensor)]
    here = [tensor for tensor in given if not isinstance(tensor, ElsewhereTensor)]
    if there and operation not in _CROSSING and any(tensor.dim() for tensor in here):  # plain numbers may cross
        raise RuntimeError(f"{operation} got tensors of the CPU and of another device")
    device = kwargs.get("device")
    stays = bool(there) if device is None else torch.device(device).type == _NAME
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    args, kwargs = tree_map(_inner, (args, kwargs))
    result = operation(*args, **kwargs)
    outer = {id(tensor.inner): tensor for tensor in there}  # what was changed in place is the very tensor
    return tree_map(lambda value: outer.get(id(value), _outer(value)) if stays else value, result)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, ElsewhereTensor) else value


def _outer(value: Any) -> Any:
    return ElsewhereTensor(value) if isinstance(value, torch.Tensor) else value
