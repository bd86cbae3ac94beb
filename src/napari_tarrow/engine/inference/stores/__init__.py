"""Where embeddings are kept: OME-Zarr that a killed run can go on with, and tif."""

from __future__ import annotations

from ...files import in_words
from .calibration import Calibration
from .filling import EmbeddingPlan, fill, plan_embedding
from .identity import embedding_settings
from .image import ImageStore, StoredPart, stored_parts
from .ome_zarr import ZarrStore, open_store
from .space import check_apart, check_space
from .tif import TifStore, open_tif_store

__all__ = [
    "Calibration",
    "EmbeddingPlan",
    "ImageStore",
    "StoredPart",
    "TifStore",
    "ZarrStore",
    "check_apart",
    "check_space",
    "embedding_settings",
    "fill",
    "in_words",
    "open_store",
    "open_tif_store",
    "plan_embedding",
    "stored_parts",
]
