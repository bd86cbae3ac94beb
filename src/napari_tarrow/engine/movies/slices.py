"""One picture of the Z slices of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Slices = int | Literal["max", "mean"]


def checked_slices(z: Any) -> Slices:
    """Return what is to become of Z slices: a number as Python's own, not NumPy's.

    Raises
    ------
    UserError
        If it is not ``max``, ``mean`` or a number from 0 on.
    """
    if z in ("max", "mean"):
        return "max" if z == "max" else "mean"
    if isinstance(z, int | np.integer) and not isinstance(z, bool) and z >= 0:
        return int(z)
    raise UserError(f"z is {z!r}. Give max, mean, or the number of one Z slice, from 0.")


def stacked(shape: tuple[int, ...], slices: int) -> tuple[int, ...]:
    """Shape in which a picture (C, H, W) is read: with several Z slices (C, Z, H, W)."""
    return shape if slices == 1 else (shape[0], slices, *shape[1:])


def flat_dtype(dtype: np.dtype[Any], z: Slices) -> np.dtype[Any]:
    """Type of one picture of Z slices of type `dtype`: their own, but for the mean floating point."""
    if z != "mean" or dtype.kind == "f":
        return dtype
    return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)


def flattened(stack: Array, z: Slices) -> Array:
    """Make one picture (C, H, W) of all Z slices (C, Z, H, W), or of the only one that was read (C, 1, H, W)."""
    picture: Array
    if z == "max":
        picture = stack.max(axis=1)
    elif z == "mean":
        picture = stack.mean(axis=1, dtype=np.float64)
    else:
        picture = stack[:, 0]
    return picture


def said_of_slices(slices: int, z: Slices) -> str:
    """Say in a few words what a frame is made of; nothing where there are no slices and nobody asked for one."""
    if slices == 1:
        return "" if z == "max" else f"one picture without Z slices (z {z} changes nothing)"
    if isinstance(z, int):
        return f"Z slice {z} (of 0 to {slices - 1})"
    return f"{'the brightest' if z == 'max' else 'the mean'} of {slices} Z slices at each pixel"
