"""What a U-Net and its heads do on a GPU in as few passes over the memory as can be, with kernels of our own.

torch's own kernels, one after the other, go over the memory some four times as often, and that is most of what a small
network costs on a GPU. The kernels are written in Triton, which comes with torch for CUDA under Linux. They agree with
torch's in Triton's interpreter, and compile, but have not run on a GPU yet: until they have, they are used only where
the environment variable `NAPARI_TARROW_KERNELS` is 1.
"""

from __future__ import annotations

import functools
import os

import torch

from ...apart import import_triton

ROOM = 32  # features of heads that there are kernels for, at most: more take more shared memory than some GPUs have
_CAPABILITY = (8, 0)  # of the first GPUs with bfloat16 and enough shared memory


def available(device: torch.device, training: bool) -> bool:
    """Return whether there are kernels for a device, and they are wanted; batch norm in use has no gradient there."""
    learns = training or not torch.is_grad_enabled()
    return learns and device.type == "cuda" and os.environ.get("NAPARI_TARROW_KERNELS") == "1" and _work(device)


@functools.cache
def _work(device: torch.device) -> bool:
    """Try the kernels on a few pixels: without Triton or a compiler for it torch's own do the work."""
    if torch.cuda.get_device_capability(device) < _CAPABILITY:
        return False
    import_triton()
    try:
        from .trial import try_kernels

        try_kernels(device)
    except Exception:  # whatever Triton raises, of which there is no list
        return False
    return True
