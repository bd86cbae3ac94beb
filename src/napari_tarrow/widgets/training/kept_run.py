"""A run folder as it was before it was gone on with, for whoever cancels that."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from ...engine.errors import UserError


class KeptRun:
    """A copy of a run folder among the temporary files, which vanishes with this object.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copy: Path | None = None
        self._vanish: weakref.finalize[..., KeptRun] | None = None

    def keep(self) -> None:
        """Make the copy.

        Raises
        ------
        UserError
            If there is no room for it, or the folder cannot be read.
        """
        try:
            place = Path(tempfile.mkdtemp(prefix="napari_tarrow_"))
            self._vanish = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
            self._copy = Path(shutil.copytree(self.folder, place / self.folder.name))
        except OSError as error:  # shutil.Error is one
            self.let_go()
            raise UserError(
                f"{self.folder} cannot be copied to {tempfile.gettempdir()}, from where Cancel would put it back"
                f" ({error.strerror or 'part of it cannot be read'}). Free some space there."
            ) from error

    def put_back(self) -> Path | None:
        """Make the folder what it was; return where the copy lies in case that cannot be done, else None."""
        copy = self._copy
        if copy is None:
            return None
        try:
            shutil.rmtree(self.folder)
            shutil.copytree(copy, self.folder)
        except OSError:
            if self._vanish is not None:
                self._vanish.detach()
            return copy
        return None

    def let_go(self) -> None:
        """Delete the copy."""
        if self._vanish is not None:
            self._vanish()
        self._copy = None
