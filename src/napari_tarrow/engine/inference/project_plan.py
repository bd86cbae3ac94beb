"""How large tiles may be: the division of a frame that costs least and fits into the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..models.tiles import Tiles

_LEAST = 64  # pixels; smaller tiles save no memory worth the name


@dataclass(frozen=True)
class Cost:
    """What a tile takes, in bytes: what is the same for all, per pixel that is read, per pixel of the result."""

    fixed: float
    read: float
    made: float

    def of(self, rows: Side, columns: Side) -> int:
        """Bytes for a tile of these sides."""
        return int(self.fixed + self.read * rows.read * columns.read + self.made * rows.made * columns.made)


@dataclass(frozen=True)
class Side:
    """One side of tiles: how many there are, the network's pixels that each makes, and the pixels that it reads."""

    count: int
    made: int
    read: int


def best_tile(tiles: Tiles, cost: Cost, room: float) -> tuple[tuple[int, int], int]:
    """Return the sides of the tiles with which a frame takes the fewest computed pixels, and what one takes.

    It is the smallest sensible tile, if nothing fits into `room` bytes.
    """
    rows, columns = (list(_sides(tiles, axis)) for axis in (0, 1))
    fitting = [(y, x) for y in rows for x in columns if cost.of(y, x) <= room] or [(rows[-1], columns[-1])]
    y, x = min(fitting, key=lambda sides: _computed(*sides))
    return (y.made, x.made), cost.of(y, x)


def smaller(tiles: Tiles, tile: tuple[int, int]) -> tuple[int, int] | None:
    """Return a tile of half the sides, None if there is no smaller one that makes sense."""
    if not tiles.backbone.local:
        return None
    height, width = (max(-(-side // 2), min(side, _least(tiles, axis))) for axis, side in enumerate(tile))
    return None if (height, width) == tile else (height, width)


def _computed(rows: Side, columns: Side) -> int:
    return rows.count * rows.read * columns.count * columns.read


def _sides(tiles: Tiles, axis: int) -> Iterator[Side]:
    """Yield the whole side, then all that divide it evenly into more and more tiles."""
    length = tiles.whole.shape[axis]
    yield Side(1, length, tiles.reads(axis, 0, length))
    if not tiles.backbone.local:
        return
    count, last = 2, length
    while (made := -(-length // count)) >= min(length, _least(tiles, axis)):
        if made < last:
            count = -(-length // made)
            middle = (count - 1) // 2 * made
            yield Side(count, made, tiles.reads(axis, middle, min(middle + made, length)))
        last, count = made, count + 1


def _least(tiles: Tiles, axis: int) -> int:
    """Side of the smallest sensible tile in the network's pixels: it makes as much as it reads around that."""
    grid, downscale = tiles.backbone.grid, tiles.backbone.downscale
    cell = grid // downscale
    middle = tiles.whole.shape[axis] // 2 // cell * cell
    around = tiles.reads(axis, middle, middle + 1) - grid
    return -(-max(_LEAST, around) // grid) * cell
