"""Consumers of training's updates that write what a run looked like into its folder."""

from __future__ import annotations

from .losses import LossFile
from .monitor import Monitor, monitors_for
from .picture import CurvePicture
from .table import MetricsTable
from .tensorboard import TensorBoard

__all__ = ["CurvePicture", "LossFile", "MetricsTable", "Monitor", "TensorBoard", "monitors_for"]
