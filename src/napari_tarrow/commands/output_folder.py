"""A folder of outputs that is filled at once: until all is there, what an earlier run left stays as it is."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from ..engine.errors import UserError
from ..engine.files import check_writable, free_path, make_folder, only_one, user_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class OutputFolder:
    """Where a command writes several files that belong together.

    Parameters
    ----------
    path : path
    ours : sequence of str
        Patterns of the names of all files and folders that the command may write there.
    work : str
        Name of the folder inside it in which they are made; what a killed run left there is taken away.
    """

    def __init__(self, path: str | Path, ours: Sequence[str], work: str) -> None:
        self.path = user_path(path)
        self._ours = ours
        self.work = self.path / work
        self._stuck = False  # what was made could not leave `work`

    def there(self) -> list[Path]:
        """List what is there already."""
        return [path for pattern in self._ours for path in sorted(self.path.glob(pattern))]

    def check(self, movie: str | Path, model: str | Path, *, overwrite: bool, kept: str = "") -> None:
        """Refuse a folder that cannot be used, without making it.

        Parameters
        ----------
        movie : path
            What the outputs are made from: it must not be among what is replaced, nor get files into it.
        model : path
            What they are made with: nothing is put into it.
        overwrite : bool
            Whether what is there may be replaced.
        kept : str
            What is kept of it all the same, for the error message.

        Raises
        ------
        UserError
        """
        from ..engine.inference.stores import check_apart

        check_writable(self.path)
        check_apart(self.path, [("movie", movie), ("model", model)], may_hold=True)
        there, source = self.there(), user_path(movie).resolve()
        if not there and _holds_frames(self.path):
            raise UserError(
                f"{self.path} holds the frames of a movie, which could no longer be read with other files among them."
                " Choose another output."
            )
        if any(path.resolve() in (source, *source.parents) for path in there):
            raise UserError(f"The movie {movie} would be replaced by an output of this name. Choose another output.")
        if there and not overwrite:
            raise UserError(
                f"{there[0]} is there already. Choose another output, or give --overwrite to replace it{kept}."
            )

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Within the block there is an empty folder `work`; afterwards it is gone.

        Raises
        ------
        UserError
            If it cannot be made, or another process is filling it.
        """
        before = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        make_folder(self.path)
        try:
            with only_one(self.work, self.path):
                shutil.rmtree(self.work, ignore_errors=True)
                make_folder(self.work)
                try:
                    yield
                finally:
                    if not self._stuck:
                        shutil.rmtree(self.work, ignore_errors=True)
        finally:
            for folder in before:  # those made for nothing
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def put(self, last: str) -> None:
        """Move what was made into its place; what else is there of ours goes.

        Parameters
        ----------
        last : str
            Name of a file in which users write: it is never away, but replaced when all else is in its place.

        Raises
        ------
        UserError
            If something cannot be replaced, since another program has it open or it is somebody else's. Then all that
            was there is as it was, and what was made is kept beside it.
        """
        old = self.work / ".old"
        made = sorted(path for path in self.work.iterdir() if path.name != last)
        with contextlib.ExitStack() as undo:
            try:
                old.mkdir()
                for path in self.there():
                    if path.name != last:
                        _move(path, old, undo)
                for path in made:
                    _move(path, self.path, undo)
                (self.work / last).replace(self.path / last)
            except OSError as error:
                raise UserError(
                    f"{self.path} cannot be filled ({error.strerror or error}): what was made is kept in"
                    f" {self._kept_aside(undo, old)}. Close what is open of the old outputs, and put it in their place."
                ) from error
            undo.pop_all()

    def _kept_aside(self, undo: contextlib.ExitStack, old: Path) -> Path:
        """Take back what was moved, and return where what was made is out of the way."""
        kept = free_path(self.path / "not_placed")
        try:
            undo.close()
            if old.exists():
                old.rmdir()
            self.work.replace(kept)
        except OSError:
            self._stuck = True
            return self.work
        return kept


def _holds_frames(folder: Path) -> bool:
    from ..engine.movies.folder import numbered_files

    try:
        return folder.is_dir() and len(numbered_files(folder)[0]) > 1
    except UserError:
        return False


def _move(path: Path, folder: Path, undo: contextlib.ExitStack) -> None:
    place = folder / path.name
    path.replace(place)
    undo.callback(place.replace, path)
