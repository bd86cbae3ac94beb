"""Attribution maps of whole movies: every frame is projected once and serves all pairs it is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn import functional

from ..models.attribution import gradcam_weights
from ..models.tiles import project_tiled
from ..movies import sequences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..models import TimeArrowNet
    from ..movies import PreparedMovie

MapKind = Literal["evidence", "change", "gradcam"]
_TILE = 512


@dataclass(frozen=True)
class AttributionMap:
    """The map of one sequence.

    Attributes
    ----------
    frames : tuple of int
        Indices in the movie of the sequence's frames.
    map : (h, w) float32
        On the prepared movie's pixel grid.
    done, total : int
        How many maps are done, this one included, of how many.
    """

    frames: tuple[int, ...]
    map: np.ndarray = field(repr=False)
    done: int = 0
    total: int = 0


def attribute(
    model: TimeArrowNet,
    movie: PreparedMovie,
    delta: int = 1,
    *,
    kind: MapKind = "evidence",
    firsts: Sequence[int] | None = None,
) -> Iterator[AttributionMap]:
    """Yield the attribution map of every sequence of a movie, in the order of time.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode.
    movie : PreparedMovie
    delta : int
        Frame numbers from one frame of a sequence to the next.
    kind : {"evidence", "change", "gradcam"}
        With projections ``A_t``, logits ``z`` and ``alpha_tf`` the sum over space of ``d z_0 / d A_tf``:

        - ``evidence``: the positive part of ``e_0 - e_1``, the difference of the head's logits at every pixel before
          the mean over space; its mean over space is ``z_0 - z_1``.
        - ``change``: ``|sum_t sum_f alpha_tf A_tf|``; weights of the two frames nearly cancel, what changed remains.
        - ``gradcam``: ``|sum_f alpha_0f A_0f|``, Grad-CAM of the first frame (Gallusser et al. 2023).
    firsts : sequence of int, optional
        Indices of the first frames of the sequences that are wanted; all without it.
    """
    rows = sequences(movie.movie.frame_numbers, range(movie.shape[0]), model.n_frames, delta)
    if firsts is not None:
        rows = rows[np.isin(rows[:, 0], np.asarray(firsts))]
    known: dict[int, torch.Tensor] = {}
    for done, row in enumerate(rows.tolist(), 1):
        known = {index: known[index] for index in known if index >= row[0]}
        for index in row:
            if index not in known:
                frame = torch.from_numpy(movie.frame(index)).to(model.device)
                known[index] = project_tiled(model, frame, _TILE)
        values = _MAPS[kind](model, torch.stack([known[index] for index in row]))
        yield AttributionMap(tuple(row), _enlarged(values, movie.shape[2:]), done, len(rows))


@torch.no_grad()
def _evidence(model: TimeArrowNet, projections: torch.Tensor) -> torch.Tensor:
    dense = model.evidence(projections[None])[0]
    return (dense[0] - dense[1]).clamp(min=0)


def _change(model: TimeArrowNet, projections: torch.Tensor) -> torch.Tensor:
    return torch.einsum("tf,tfyx->yx", gradcam_weights(model, projections), projections).abs()


def _gradcam(model: TimeArrowNet, projections: torch.Tensor) -> torch.Tensor:
    return torch.einsum("f,fyx->yx", gradcam_weights(model, projections)[0], projections[0]).abs()


_MAPS = {"evidence": _evidence, "change": _change, "gradcam": _gradcam}


def _enlarged(values: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    if values.shape != size:
        values = functional.interpolate(values[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]
    enlarged: np.ndarray = values.float().cpu().numpy()
    return enlarged
