"""What benchmarks share: turns, the floor of a network on this machine, and the reference implementation."""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib.abc
import importlib.machinery
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def in_turns(
    work: dict[str, Callable[[], Any]],
    rounds: int,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each piece of work, one after the other, `rounds` times; a first round is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, run in work.items():
            gc.collect()
            start = clock()
            run()
            synchronise(device or torch.device("cpu"))
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> str:
    """Return the median of the ratios of two pieces of work, turn by turn, with the smallest and the largest."""
    ratios = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]
    return f"{statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"


def operations(network: nn.Module, frames: torch.Tensor) -> float:
    """Count the floating point operations of the convolutions, forward and backward, for these frames.

    A product and a sum are two. Backward takes as many for the weights and, except in the first layer, for the input.
    The operations counted are those of the network as it is written down; in channels_last ours makes do with fewer.
    """
    counted = 0.0
    network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    frames = frames.contiguous()

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(layer, nn.Conv2d)
        weights = layer.weight[0].numel()
        first = inputs[0].shape[1] == frames.shape[1]
        counted += (2 if first else 3) * 2.0 * output.numel() * weights

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        network(frames)
    for hook in hooks:
        hook.remove()
    return counted


def best_rate(device: torch.device, dtype: torch.dtype, rounds: int = 5) -> float:
    """Return the operations per second of a large matrix product or a large 3 x 3 convolution, whichever is faster.

    On a GPU both round as the convolutions of training do (TF32, in 32 bits).
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    large = device.type != "cpu"
    side = 8192 if large else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    count = 64 if large else 8
    x = torch.randn(count, 256, 64, 64, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    layer = nn.Conv2d(256, 256, 3, padding=1).to(device, dtype)
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        seconds = in_turns({"product": lambda: a @ b, "convolution": lambda: layer(x)}, rounds, device)
    return max(2.0 * side**3 / min(seconds["product"]), 2.0 * x.numel() * 256 * 9 / min(seconds["convolution"]))


@contextlib.contextmanager
def autocast(device: torch.device, precision: str) -> Any:
    """Compute in bfloat16 where `precision` is bf16."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def reference_package(folder: str) -> bool:
    """Make the reference importable as `tarrow`; return whether its augmentations, which need torchvision, are too."""
    sys.path.insert(0, folder)
    sys.meta_path.append(_Absent())
    register, torch.library.register_fake = torch.library.register_fake, _registered  # only its warps are needed
    try:
        import torchvision.transforms.functional
    except (ImportError, RuntimeError):
        return False
    finally:
        torch.library.register_fake = register
    return torchvision.__spec__.origin is not None


def _registered(*_: Any, **__: Any) -> Callable[[Any], Any]:
    """Stand in for `torch.library.register_fake`: a torchvision of another build lacks the operators it names."""
    return lambda function: function


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Puts a stand-in where the reference imports a package that is not installed; U-Nets need none of them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in ("torchvision", "dill", "imageio", "gputil", "configargparse", "git"):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> Any:
        return MagicMock(__path__=[], __spec__=spec, __name__=spec.name)

    def exec_module(self, module: Any) -> None:
        pass
