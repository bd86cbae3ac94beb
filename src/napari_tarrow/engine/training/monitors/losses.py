"""`losses.json`, as the reference writes it."""

from __future__ import annotations

from ...files import write_json
from .epoch_file import EpochFile

KEYS = "loss", "loss_decorr", "accuracy", "pred1_ratio", "lr", "steps"


class LossFile(EpochFile):
    """Keep `losses.json`: for train and val, a list with one value per epoch for each of `KEYS`."""

    def _write(self) -> None:
        train, val = [e.train for e in self._epochs], [e.val for e in self._epochs]
        parts = (("train", train), ("val", val))
        write_json(self._path, {name: {key: [getattr(m, key) for m in part] for key in KEYS} for name, part in parts})
