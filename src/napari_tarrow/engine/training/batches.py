"""Batches of training and validation: what NumPy draws of them, and what the device makes of that."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .augment import Augmentation
from .background import draw_foreground
from .cutting import cut, describe
from .draws import Stream
from .packing import on_device
from .sampling import evenly_spaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from ..config import TrainConfig
    from .dataset import Dataset
    from .sampling import Sampler

# With augmentation "auto", every place of a movie has been seen so often, in the mean, when all patches get the
# strongest: what comes up again and again is learnt by heart.
_LOOKS = 100


@dataclass(frozen=True)
class Batches:
    """Batches as a function of the configuration and the numbers of their samples.

    NumPy draws what a batch is made of, its inputs, and `made` makes it on the device. They are small where the frames
    lie there, else they hold the clips.
    """

    config: TrainConfig
    data: Dataset
    device: torch.device

    @functools.cached_property
    def sequences(self) -> np.ndarray:
        """Positions in a clip of its sequences: (P, T) int64."""
        return evenly_spaced(self.config.clip_frames, self.config.frames)

    @functools.cached_property
    def augmentation(self) -> Augmentation:
        """What is done to training patches."""
        weakest, strongest = self.config.augment_levels
        always = Augmentation(weakest, self.config.transpose, self.config.contrast)
        if strongest == weakest:
            return always
        until = _LOOKS * self.data.train.extent / self.config.clip_frames
        return replace(always, rising_to=strongest, rising_until=until)

    def few(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the first two clips of the first training batch."""
        return replace(self, config=self.config.model_copy(update={"batchsize": 2})).train(0)

    def train(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw and make a training batch."""
        return self.made(on_device(self.inputs(step), self.device))

    def validate(self, step: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw and make a validation batch."""
        return self.made(on_device(self.validation_inputs(step, count), self.device))

    def inputs(self, step: int) -> dict[str, np.ndarray]:
        """Draw the inputs of a training batch: arrays of the same names, shapes and types in every step."""
        samples = np.arange(step * self.config.batchsize, (step + 1) * self.config.batchsize)
        return self._draw(self.data.train, "train", samples, self.augmentation)

    def validation_inputs(self, step: int, count: int) -> dict[str, np.ndarray]:
        """Draw the inputs of the validation batch of this number, the same in every epoch; `count` samples in all."""
        samples = np.arange(step * self.config.batchsize, min((step + 1) * self.config.batchsize, count))
        augmentation = Augmentation(1, self.config.transpose) if self.config.flip_val else Augmentation(0)
        return self._draw(self.data.val, "val", samples, augmentation)

    def made(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Make a batch of its inputs on the device; nothing waits for the device.

        Returns
        -------
        clips : (B, K, C, S, S) float32
        labels : (B, P) int64
        """
        clips = inputs["clips"] if "clips" in inputs else cut(self.data.store, inputs)
        return clips, inputs["labels"]

    def _draw(
        self, sampler: Sampler, phase: str, samples: np.ndarray, augmentation: Augmentation
    ) -> dict[str, np.ndarray]:
        seed, store = self.config.seed, self.data.store
        if self.config.reject_background:
            places = draw_foreground(sampler, store, seed, phase, samples)
        else:
            places = sampler.draw(Stream(seed, f"{phase}/places"), samples)
        drawn = augmentation.draw(Stream(seed, f"{phase}/augment"), samples, sampler.clips.shape[1])
        inputs = describe(store, places, sampler.size, *drawn)
        if store.values.device.type != self.device.type:  # they did not fit there
            inputs = {"clips": cut(store, on_device(inputs, store.values.device)).numpy()}
        labels = Stream(seed, f"{phase}/order").uniform(samples, len(self.sequences)) < 0.5
        return {**inputs, "labels": labels.astype(np.int64)}
