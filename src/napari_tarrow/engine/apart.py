"""Triton beside OpenGL: two libraries that bring LLVM along, in one process."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def import_triton() -> None:
    """Import Triton where it is installed, before torch does, so that its LLVM is not mixed with another.

    torch imports it with its first optimiser. By then napari's canvas has loaded OpenGL, and Mesa's drivers (most but
    NVIDIA's) an LLVM of their own. Triton from 3.7 on (seen up to 3.9) then takes the names of that one for its own,
    and the process ends with a segmentation fault. Bound deeply (``RTLD_DEEPBIND`` of dlopen), it keeps to its own.
    """
    if "triton" in sys.modules or not _llvm_is_loaded() or not importlib.util.find_spec("triton"):
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        with contextlib.suppress(Exception):  # torch goes without it, too
            importlib.import_module("triton")
    finally:
        sys.setdlopenflags(flags)


def _llvm_is_loaded() -> bool:
    with contextlib.suppress(OSError):
        return hasattr(os, "RTLD_DEEPBIND") and "libLLVM" in _MAPS.read_text()
    return False
