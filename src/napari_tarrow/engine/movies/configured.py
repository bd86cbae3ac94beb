"""Movies as a configuration asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .opening import open_movie
from .prepared import Preparation, PreparedMovie

if TYPE_CHECKING:
    from ..config import TrainConfig


def preparation_of(config: TrainConfig) -> Preparation:
    """Return what a network trained with this configuration wants of a movie; it is stored with the model."""
    alike = ("normalize", "binarize", "channels", "z", "channel")
    scaled = "each" if config.scale_channels == "auto" else config.scale_channels
    return Preparation(subsample=config.block, scale_channels=scaled, **{name: getattr(config, name) for name in alike})


def open_prepared(config: TrainConfig, source: Any) -> PreparedMovie:
    """Open what `open_movie` takes, with the configuration's axes, channels, frames and preparation.

    Raises
    ------
    UserError
        As `open_movie` and `PreparedMovie`.
    """
    movie = open_movie(
        source,
        channels=config.channels,
        channel=config.channel,
        frame_numbers=config.frame_numbers,
        n_images=config.n_images,
        axes=config.axes,
    )
    return PreparedMovie(movie, preparation_of(config))
