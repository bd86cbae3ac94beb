"""Drawings: pure functions from NumPy arrays to figures and PNG files, on a canvas of their own."""

from __future__ import annotations

from .blend import blended, contrast, grey
from .contact_sheet import contact_sheet
from .curve import learning_curve
from .grid import patch_grid
from .insets import Inset, attribution_figure, cut_inset, strongest_places

__all__ = [
    "Inset",
    "attribution_figure",
    "blended",
    "contact_sheet",
    "contrast",
    "cut_inset",
    "grey",
    "learning_curve",
    "patch_grid",
    "strongest_places",
]
