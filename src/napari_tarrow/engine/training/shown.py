"""What training shows of itself: example patches, attribution maps, features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
from torch.nn import functional

from ..files import make_folder, replacing
from ..models.attribution import against_the_others, dense_head
from ..models.tiles import project_tiled
from ..movies import sequences, spread
from .updates import FeaturesShown, FrameMapShown, MapsShown, PatchesShown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..config import TrainConfig
    from ..models import TimeArrowNet
    from .dataset import Footage
    from .session import Session

_EXAMPLES = 64
_LARGEST_SIDE = 1024  # pixels, of a map that is asked for while training waits for it
_TILE = 512


def example_patches(session: Session) -> Iterator[PatchesShown]:
    """Yield the first patches of training and validation."""
    for split, batch in (("train", session.batches.train(0)), ("val", session.batches.validate(0, _EXAMPLES))):
        clips = batch[0][:_EXAMPLES, : session.config.frames]
        yield PatchesShown("train" if split == "train" else "val", clips.cpu().numpy())


class Showcase:
    """The sequences of the validation movies whose attribution maps are shown, evenly spread over time."""

    def __init__(self, config: TrainConfig, footage: Footage) -> None:
        self._config = config
        self._footage = footage
        self._sequences = list(_sequences(config, footage))

    def maps(self, model: TimeArrowNet, epoch: int) -> Iterator[MapsShown]:
        """Yield the map of every sequence that is shown."""
        for movie, indices in self._sequences:
            for place, row in enumerate(indices[spread(len(indices), self._config.cam_subsampling)]):
                images = self._images(movie, row)
                cam = model.gradcam(images)
                yield MapsShown(epoch, movie, place, int(row[0]), images, np.ascontiguousarray(cam))

    def frame_map(self, model: TimeArrowNet, frame: int) -> Iterator[FrameMapShown]:
        """Yield the evidence map of the sequence of the first movie that begins with `frame`, or last before it."""
        movie = self._footage.movies[0]
        numbers = movie.movie.frame_numbers
        rows = sequences(numbers, range(len(numbers)), self._config.frames, min(self._config.deltas))
        row = rows[max(0, int(np.searchsorted(rows[:, 0], frame, "right")) - 1)]
        top, left = (max(0, (side - _LARGEST_SIDE) // 2) for side in movie.shape[2:])
        window = np.s_[:, top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]
        images = np.stack([movie.frame(int(index))[window] for index in row])
        block = movie.preparation.subsample
        yield FrameMapShown(tuple(map(int, row)), (top, left), block, _evidence(model, images))

    def features(self, model: TimeArrowNet) -> Iterator[FeaturesShown]:
        """Yield the embedding of the first frame that is shown."""
        for movie, indices in self._sequences[:1]:
            image = torch.from_numpy(self._images(movie, indices[0][:1])[0]).to(model.device)
            training = model.training
            with torch.no_grad():
                features = project_tiled(model.eval(), image, _TILE)
            model.train(training)
            yield FeaturesShown(features.float().cpu().numpy())

    def write_all(self, model: TimeArrowNet, folder: Path) -> Iterator[MapsShown]:
        """Write frame and map of every validation sequence below `folder`, as the reference lays them out."""
        for movie, indices in self._sequences:
            for part in ("raws", "cam"):
                make_folder(folder / f"dataset_{movie}" / part)
            for number, row in enumerate(indices):
                images = self._images(movie, row)
                cam = model.gradcam(images)
                name = f"{row[0]:05d}"
                _write_tif(folder / f"dataset_{movie}" / "raws" / f"{name}_{0:05d}.tiff", images[0])
                _write_tif(folder / f"dataset_{movie}" / "cam" / f"{name}_{0:05d}.tiff", cam)
                yield MapsShown(0, movie, number, int(row[0]), images, np.ascontiguousarray(cam))

    def _images(self, movie: int, indices: np.ndarray) -> np.ndarray:
        """Return prepared frames, (T, C, H, W) float32, cut to their central part where the configuration says so."""
        frames = np.stack([self._footage.movies[movie].frame(int(i)) for i in indices])
        side = self._config.cam_size
        if side is None:
            return frames
        top, left = (max(0, (n - side) // 2) for n in frames.shape[2:])
        return np.ascontiguousarray(frames[:, :, top : top + side, left : left + side])


@torch.no_grad()
def _evidence(model: TimeArrowNet, images: np.ndarray) -> np.ndarray:
    """Return the map ``evidence`` of the true order, as using a model shows it: (h, w) float32, at least 0."""
    training = model.training
    frames = torch.from_numpy(np.ascontiguousarray(images)).to(model.device)
    projections = torch.stack([project_tiled(model.eval(), frame, _TILE) for frame in frames])
    dense = dense_head(model).values([*projections], against_the_others(len(frames), device=model.device))
    model.train(training)
    values = dense.clamp(min=0)[None, None]
    if values.shape[2:] != images.shape[2:]:
        values = functional.interpolate(values, size=images.shape[2:], mode="bilinear", align_corners=True)
    evidence: np.ndarray = values[0, 0].float().cpu().numpy()
    return evidence


def _sequences(config: TrainConfig, footage: Footage) -> Iterator[tuple[int, np.ndarray]]:
    """Give, for every validation movie, its sequences at the first delta: (S, T) indices of frames."""
    for movie in dict.fromkeys(part.movie for part in footage.val):
        clips = [part.clips for part in footage.val if part.movie == movie and part.delta == config.deltas[0]]
        found = np.concatenate(clips)[:, : config.frames]
        if len(found):
            yield movie, found


def _write_tif(path: Path, image: np.ndarray) -> None:
    with replacing(path) as file:
        tifffile.imwrite(file, image.astype(np.float32, copy=False))
