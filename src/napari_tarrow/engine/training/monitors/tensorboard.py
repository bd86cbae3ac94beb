"""TensorBoard's event files, with the reference's folders and tags."""

from __future__ import annotations

import contextlib
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...pictures import attribution_figure, grey, patch_grid, strongest_places
from ...pictures.page import pixels
from ..updates import EpochEnded, FeaturesShown, Finished, MapsShown, PatchesShown
from .event_file import EventFile, require_tensorboard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..updates import Update

PATCHES, INSETS, INSET_SIZE = 64, 8, 48


class TensorBoard:
    """Write scalars and example patches (`tb/train`, `tb/val`), maps (`tb/cams`) and the embedding (`tb/features`).

    A resumed run adds files to those that are there. TensorBoard forgets what the earlier ones hold from a given step
    on; scalars of the last epoch of `history` are written again, since the kill may have come before they were.
    """

    def __init__(self, folder: Path, history: Sequence[EpochEnded] = ()) -> None:
        self._folder = folder
        require_tensorboard()
        self._files: dict[str, EventFile] = {}
        self._resumed = history[-1].epoch if history else 0
        self._continued = {file.parent.name for file in folder.glob("*/events.out.tfevents.*")}
        self._failed = False
        if history:
            self.take(history[-1])

    def take(self, update: Update) -> None:
        """Write what is to be seen of an update, and make sure that it is on the disk.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        with self._explained():
            match update:
                case EpochEnded():
                    self._write_scalars(update)
                case PatchesShown():
                    self._write_patches(update)
                case MapsShown():
                    self._write_map(update)
                case FeaturesShown():
                    self._write_features(update)
                case Finished():
                    self._close()
                case _:
                    return
            for file in self._files.values():
                file.flush()

    def close(self) -> None:
        """Close the files; after an error of theirs, which was told already, without a word."""
        with contextlib.suppress(UserError) if self._failed else contextlib.nullcontext(), self._explained():
            self._close()

    def _write_scalars(self, ended: EpochEnded) -> None:
        for part, metrics in (("train", ended.train), ("val", ended.val)):
            for key, value in asdict(metrics).items():
                self._file(part).scalar(key, value, ended.epoch)

    def _write_patches(self, shown: PatchesShown) -> None:
        """Write one grid per frame of the patches, its place in the sequence as the step.

        Where files are continued, only the steps that TensorBoard was told to forget.
        """
        patches = shown.patches[:PATCHES].mean(2)
        for frame in range(self._resumed if shown.split in self._continued else 0, patches.shape[1]):
            rgb = grey(patch_grid(patches[:, frame]))
            self._write_picture(shown.split, f"example_images/{shown.split}", rgb, frame)

    def _write_map(self, shown: MapsShown) -> None:
        places = strongest_places(shown.map, INSETS, INSET_SIZE)
        title = f"Movie {shown.movie}, frame {shown.frame}, epoch {shown.epoch}"
        figure = attribution_figure(shown.images, shown.map, places, title, size=INSET_SIZE)
        self._write_picture("cams", f"dataset_{shown.movie}/{shown.place}", pixels(figure), shown.epoch)

    def _write_features(self, shown: FeaturesShown) -> None:
        for number, feature in enumerate(shown.features):
            self._write_picture("features", "features_0/0", grey(feature), number)

    def _write_picture(self, part: str, tag: str, rgb: NDArray[Any], step: int) -> None:
        from PIL import Image

        picture = rgb if rgb.dtype == np.uint8 else (255 * rgb).round().astype(np.uint8)
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        self._file(part).png(tag, data.getvalue(), picture.shape[:2], step)

    def _file(self, part: str) -> EventFile:
        """Open a part's file when it is first written to: only then is anything of an earlier one forgotten."""
        if part not in self._files:
            again_from = {"train": self._resumed, "val": self._resumed, "cams": self._resumed + 1, "features": 0}[part]
            forget_from = (again_from if self._resumed else 0) if part in self._continued else None
            self._files[part] = EventFile(self._folder / part, forget_from)
        return self._files[part]

    def _close(self) -> None:
        with contextlib.ExitStack() as stack:
            for file in self._files.values():
                stack.callback(file.close)
            self._files = {}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed = True
            reason = error.strerror or error
            raise UserError(
                f"TensorBoard's files in {self._folder} cannot be written ({reason}). Free some space, choose another"
                " folder, or switch them off with tensorboard: false."
            ) from error
