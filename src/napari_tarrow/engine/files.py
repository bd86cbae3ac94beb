"""Files that are whole or absent: write beside, flush, rename; YAML and JSON read safely."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from .errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


def user_path(path: str | Path) -> Path:
    """Take a path as a user gives it, with ``~`` for a home folder; it need not be there.

    Raises
    ------
    UserError
        If the system can have no such path: a name that is too long, a home that is unknown, links in a circle.
    """
    try:
        expanded = Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            expanded.lstat()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        shown = str(path) if len(str(path)) <= 60 else f"{str(path)[:60]}..."
        raise UserError(f"{shown} is no path that can be used ({reason}). Check the path.") from error
    return expanded


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `path` that takes its place when the block ends well, and vanishes otherwise.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _explained(error, path) from error
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _put(beside: Path, path: Path) -> None:
    """Rename; Windows refuses while another program has the file open, which seldom lasts."""
    for patience in (0.1, 0.4, 1.5):
        try:
            beside.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(patience)
        else:
            return
    beside.replace(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within the block, what the system says against writing `path` becomes a sentence.

    Raises
    ------
    UserError
        If the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def check_writable(folder: Path) -> None:
    """Refuse a folder that could not be made or written to, without making it.

    Raises
    ------
    UserError
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{there} is a file, not a folder. Choose another folder.")
    if not os.access(there, os.W_OK):
        raise UserError(f"{there} cannot be written to. Choose another folder.")


@contextlib.contextmanager
def only_one(beside: Path, output: Path, busy: str = "") -> Iterator[None]:
    """Within the block no other process fills `beside`, which becomes `output`; what a killed one held is free again.

    Parameters
    ----------
    beside, output : Path
    busy : str
        What is said if another is at it, where the output cannot simply be another.

    Raises
    ------
    UserError
        If another process is at it.
    """
    lock = beside.with_name(f"{beside.name.removesuffix('.part')}.lock")
    with writing(output):
        file = lock.open("ab")
    with file:
        if not _hold(file):
            raise UserError(busy or f"Another run is writing {output}. Wait until it ends, or choose another output.")
        try:
            yield
        finally:
            if os.name == "nt":  # nothing that is open can be deleted there
                file.close()
            with contextlib.suppress(OSError):
                lock.unlink()


def _hold(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, by this process or its death; where a disk knows no locks, everybody may."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def sweep(folder: Path) -> None:
    """Take away what a killed process left half-written below a folder."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the text file at `path` (UTF-8)."""
    with replacing(path) as file:
        file.write(text.encode())


def write_yaml(path: Path, values: dict[str, Any]) -> None:
    """Replace the YAML file at `path`, keys in the order given."""
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def write_json(path: Path, values: Any) -> None:
    """Replace the JSON file at `path`."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; nothing in it is ever executed.

    Raises
    ------
    UserError
        If the file cannot be read, is no YAML, is not a mapping of names to values, or gives a name twice.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}). Check the path.") from error
    except _RepeatedNameError as error:
        raise UserError(f"{path} gives {error} twice. Keep one of the two.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        place = f", line {where.line + 1}" if where else ""
        raise UserError(f"{path}{place} is no valid YAML. Write one `name: value` per line.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else "a single value"
        raise UserError(f"{path} holds {found}, not options. Write one `name: value` per line.")
    return values


def in_words(size: float) -> str:
    """Write an amount of bytes: ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def other_temporary_folder() -> str:
    """Say, within a sentence, how temporary files get to another disk."""
    variable = "TEMP" if os.name == "nt" else "TMPDIR"  # what Python's tempfile asks for there
    return f"set the environment variable {variable} to a folder on a larger disk and start again"


def make_folder(path: Path) -> None:
    """Make a folder and its parents; a folder that is there already is fine.

    Raises
    ------
    UserError
        If it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(error, path) from error
    if not os.access(path, os.W_OK):
        raise UserError(f"{path} cannot be written to. Choose another folder.")


def free_path(path: Path) -> Path:
    """Return the first of ``NAME_1``, ``NAME_2`` and so on beside `path` that is not there, its ending as it is."""
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def claim_folder(path: Path) -> bool:
    """Make a folder that was not there before; return whether it was made, False if somebody else has it.

    Raises
    ------
    UserError
        If it cannot be made.
    """
    try:
        path.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise _explained(error, path) from error
    return True


class _RepeatedNameError(Exception):
    """A mapping names the same thing twice; YAML forbids it, PyYAML silently keeps the last."""


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise _RepeatedNameError(name)
        return super().construct_mapping(node, deep=deep)

    def construct_tuple(self, node: yaml.SequenceNode) -> list[Any]:
        """Read a tuple, which the reference writes into train_args.yaml, as a list: a plain value like all others."""
        return self.construct_sequence(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_tuple)


def _explained(error: OSError, path: Path) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk is full: {path} could not be written. Free some space or choose another folder.")
    return UserError(f"{path} cannot be written ({error.strerror or error}). Choose another folder.")
