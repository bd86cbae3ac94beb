"""What an embedding was made with: the settings that change its values, by name."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...movies import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from ...models import TimeArrowNet
    from ...movies import PreparedMovie


def embedding_settings(model: TimeArrowNet, movie: PreparedMovie, **options: Any) -> dict[str, Any]:
    """Return all that changes the values of an embedding.

    Parameters
    ----------
    model : TimeArrowNet
    movie : PreparedMovie
        With the preparation that is used, be it the model's or another.
    **options
        Layer, grid, frames and the like.
    """
    return {
        "model": network_digest(model),
        "movie": fingerprint(movie.movie, whole=True),
        **asdict(movie.preparation),
        **options,
    }


def network_digest(model: TimeArrowNet) -> str:
    """Digest (16 hexadecimal digits) of what a network is and of its weights."""
    kind = {name: value for name, value in model.config.items() if name not in ("outdir", "commit")}
    return _digest(sorted(kind.items()), weights_digest(model))


def weights_digest(model: nn.Module) -> str:
    """Digest (16 hexadecimal digits) of a module's parameters and buffers: names, types, shapes and values."""
    state: Mapping[str, Any] = model.state_dict()
    digest = hashlib.sha256()
    for name, tensor in state.items():
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
