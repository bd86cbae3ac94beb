"""How large tiles may be: the division of a frame that costs least and fits into the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...models.tiles import Tiles

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
    """One side of tiles: the network's pixels that each makes, the pixels that one reads at most, and that all read."""

    made: int
    read: int
    total: int


def best_tile(tiles: Tiles, cost: Cost, room: float) -> tuple[tuple[int, int], int]:
    """Return the sides of the tiles with which a frame takes the fewest computed pixels, and what one takes.

    It is the smallest sensible tile, if nothing fits into `room` bytes.
    """
    whole = _side(tiles, 0, tiles.whole.y1), _side(tiles, 1, tiles.whole.x1)
    if (needed := cost.of(*whole)) <= room:
        return tiles.whole.shape, needed
    rows, columns = (list(_sides(tiles, axis)) for axis in (0, 1))
    fitting = [(y, x) for y in rows for x in columns if cost.of(y, x) <= room] or [(rows[-1], columns[-1])]
    y, x = min(fitting, key=lambda sides: sides[0].total * sides[1].total)
    return (y.made, x.made), cost.of(y, x)


def smaller(tiles: Tiles, tile: tuple[int, int]) -> tuple[int, int] | None:
    """Return a tile of half the sides, None if there is no smaller one that makes sense."""
    if not tiles.backbone.local:
        return None
    height, width = (max(-(-side // 2), min(side, _least(tiles, axis))) for axis, side in enumerate(tile))
    return None if (height, width) == tile else (height, width)


def _sides(tiles: Tiles, axis: int) -> Iterator[Side]:
    """Yield the whole side, then all that divide it about evenly into more and more tiles."""
    length = tiles.whole.shape[axis]
    yield _side(tiles, axis, length)
    if not tiles.backbone.local:
        return
    cell, last = tiles.backbone.grid // tiles.backbone.downscale, length
    for count in range(2, length + 1):
        made = -(-length // (count * cell)) * cell
        if made < _least(tiles, axis):
            return
        if made < last:
            yield _side(tiles, axis, made)
        last = made


def _side(tiles: Tiles, axis: int, made: int) -> Side:
    length = tiles.whole.shape[axis]
    reads = [tiles.reads(axis, first, min(first + made, length)) for first in range(0, length, made)]
    return Side(made, max(reads), sum(reads))


def _least(tiles: Tiles, axis: int) -> int:
    """Side of the smallest sensible tile in the network's pixels: it makes as much as it reads around that."""
    grid, downscale = tiles.backbone.grid, tiles.backbone.downscale
    cell = grid // downscale
    middle = tiles.whole.shape[axis] // 2 // cell * cell
    around = tiles.reads(axis, middle, middle + 1) - grid
    return -(-max(_LEAST, around) // grid) * cell
