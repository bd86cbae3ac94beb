"""Rows of a csv file as people save it: with a byte order mark, semicolons and decimal commas, or extra columns."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UserError, nearest
from ..files import user_path, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_TOO_LARGE = 10**18  # for the number of a frame


@dataclass(frozen=True)
class CsvRow:
    """One row.

    Attributes
    ----------
    path : Path
    line : int
        Where it ends in the file, from 1.
    cells : dict
        Text by column name, stripped. The names of columns asked for are as they were asked for; all others as they
        stand in the file.
    commas : bool
        Whether commas may be decimal ones, because they do not separate the columns.
    """

    path: Path
    line: int
    cells: dict[str, str]
    commas: bool = False

    def number(self, name: str) -> float:
        """Return a finite number.

        Raises
        ------
        UserError
            If the cell holds anything else.
        """
        text = self.cells[name].replace(",", ".") if self.commas else self.cells[name]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(name, "a number")
        return value

    def frame_number(self, name: str) -> int:
        """Return a whole number of at most 18 digits.

        Raises
        ------
        UserError
            If the cell holds anything else.
        """
        text = self.cells[name]
        value = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else self.number(name)
        if value != int(value) or abs(value) >= _TOO_LARGE:
            raise self.wrong(name, "a whole number of at most 18 digits")
        return int(value)

    def wrong(self, name: str, wanted: str) -> UserError:
        """Return the error for a cell that is not as it should be."""
        text = self.cells[name]
        found = repr(text if len(text) <= 40 else f"{text[:40]}...") if text else "empty"
        return UserError(f"{self.path}, line {self.line}: {name} is {found}, but has to be {wanted}. Correct the file.")


def read_rows(path: str | Path, needed: Sequence[str], known: Sequence[str] = ()) -> tuple[list[str], list[CsvRow]]:
    """Read a csv file with a line of column names; columns are separated by commas, semicolons or tabs.

    Parameters
    ----------
    path
        The file, in UTF-8.
    needed
        Columns that have to be there; capitals do not matter.
    known
        Columns that may be there.

    Returns
    -------
    columns : list of str
        Their names: those asked for as they were asked for, all others as they stand in the file; ``column 8`` where
        the eighth has none but holds something.
    rows : list of CsvRow
        Without empty lines.

    Raises
    ------
    UserError
        If the file cannot be read or is empty, a column is missing or there twice, or a row has more values than
        there are columns.
    """
    path = user_path(path)
    delimiter, found = _lines(path)
    filled = [(line, [cell.strip() for cell in cells]) for line, cells in found if _says_something(cells)]
    if not filled:
        raise UserError(f"{path} is empty. Its first line has to name the columns: {','.join(needed)}.")
    names = filled[0][1]
    for place in {place for _, cells in filled for place, cell in enumerate(cells[: len(names)]) if cell}:
        names[place] = names[place] or f"column {place + 1}"
    columns = _columns(path, names, needed, known)
    return columns, [_row(path, line, columns, cells, delimiter != ",") for line, cells in filled[1:]]


def write_cells(path: str | Path, columns: Mapping[str, Sequence[str | None]]) -> None:
    """Write into columns of a table, and leave everything else as it stands.

    Parameters
    ----------
    path
        A table that `read_rows` reads.
    columns
        By name, what goes into each of its rows; None leaves a cell. A column that is not there comes last, if anything
        is to be written into it.

    Raises
    ------
    UserError
        If the file cannot be read or written.
    """
    path = user_path(path)
    delimiter, found = _lines(path)
    head, *rows = (cells for _, cells in found if _says_something(cells))
    for name, values in columns.items():
        if all(value is None for value in values):
            continue
        names = [cell.strip().lower() for cell in head]
        place = names.index(name) if name in names else max(map(len, (head, *rows)))
        for cells, value in zip((head, *rows), (None if name in names else name, *values), strict=True):
            if value is not None:
                cells += [""] * (place + 1 - len(cells))
                cells[place] = value
    before, text = path.read_bytes(), io.StringIO()
    ending = "\r\n" if b"\r\n" in before else "\n"
    csv.writer(text, delimiter=delimiter, lineterminator=ending).writerows(cells for _, cells in found)
    write_text(path, "\ufeff" * before.startswith(codecs.BOM_UTF8) + text.getvalue())


def _says_something(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _lines(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return what separates the columns, and for every line of the table its number and its cells as they stand."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return delimiter, [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} is no line of a table ({error}). Save it as csv.") from error


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8. Save the table as csv (UTF-8).") from error


def _columns(path: Path, names: list[str], needed: Sequence[str], known: Sequence[str]) -> list[str]:
    asked = {name.lower(): name for name in (*needed, *known)}
    columns = [asked.get(name.lower(), name) for name in names]
    for name in needed:
        if name not in columns:
            raise UserError(f"{path} has no column {name}.{_meant(name, columns, asked)}")
    for name in columns:
        if name and columns.count(name) > 1:
            raise UserError(f"{path} has two columns {name}. Keep one of them.")
    return columns


_OTHER_NAMES = {"frame": ("t", "time", "slice", "frames"), "score": ("value", "intensity")}


def _meant(name: str, columns: Sequence[str], asked: Iterable[str]) -> str:
    """Return what to do: the column that may be the one, or the list of those there."""
    free = {column.lower(): column for column in columns if column and column.lower() not in asked}
    other = next((free[alias] for alias in _OTHER_NAMES.get(name, ()) if alias in free), None)
    close = other or free.get(nearest(name, free) or "")
    if close:
        return f" If {close} is that, rename it to {name}."
    return f" It has: {', '.join(column for column in columns if column) or 'none'}."


def _row(path: Path, line: int, columns: Sequence[str], cells: list[str], commas: bool) -> CsvRow:
    if any(cells[len(columns) :]):
        raise UserError(
            f"{path}, line {line} has {len(cells)} values, but there are {len(columns)} columns. Correct the file."
        )
    cells = cells + [""] * (len(columns) - len(cells))
    return CsvRow(path, line, dict(zip(columns, cells, strict=False)), commas)
