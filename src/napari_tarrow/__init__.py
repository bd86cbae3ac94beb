"""Learn what is irreversible in a live-cell movie: time arrow prediction, headless and in napari.

The public names are loaded when they are first used, so that `import napari_tarrow` costs nothing:

>>> import napari_tarrow as tarrow
>>> model = tarrow.models.TimeArrowNet.from_folder(model_folder="runs/my_movie")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .engine.lazy import on_demand

if TYPE_CHECKING:
    from .engine import models
    from .engine.config import TrainConfig
    from .engine.errors import UserError
    from .engine.inference import attribute, embed, find_events
    from .engine.movies import Movie, open_movie
    from .engine.trained import read_trained
    from .engine.training import Control, train

__version__ = "0.1.0"

__all__ = [
    "Control",
    "Movie",
    "TrainConfig",
    "UserError",
    "__version__",
    "attribute",
    "embed",
    "find_events",
    "models",
    "open_movie",
    "read_trained",
    "train",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "Control": "engine.training",
        "Movie": "engine.movies",
        "TrainConfig": "engine.config",
        "UserError": "engine.errors",
        "attribute": "engine.inference",
        "embed": "engine.inference",
        "find_events": "engine.inference",
        "models": "engine.models",
        "open_movie": "engine.movies",
        "read_trained": "engine.trained",
        "train": "engine.training",
    },
)
