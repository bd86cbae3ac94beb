"""The resolution that is chosen from a movie: large objects are looked at in blocks of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.object_radius import object_radii
from napari_tarrow.engine.movies.resolution import choose_subsample


def discs(radius: int, frames: int = 6) -> np.ndarray:
    """Frames with discs that drift; their autocorrelation falls to one half 0.81 radii apart."""
    side = 16 * radius
    y, x = np.mgrid[:side, :side]
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, side, (20, 2))
    movie = np.zeros((frames, side, side), np.float32)
    for t, frame in enumerate(movie):
        for row, column in centres:
            frame[(y - row) ** 2 + (x - column - t) ** 2 <= radius**2] = 1
    return movie + rng.normal(scale=0.02, size=movie.shape).astype(np.float32)


def prepared(frames: np.ndarray) -> PreparedMovie:
    return PreparedMovie(open_movie(frames), Preparation("smooth"))


@pytest.mark.parametrize(("radius", "block"), [(6, 1), (12, 1), (18, 2), (24, 2), (48, 5)])
def test_the_larger_the_objects_the_larger_the_blocks(radius: int, block: int) -> None:
    found = choose_subsample([prepared(discs(radius))], 99)
    assert found.subsample == block
    assert found.why.startswith("Full resolution" if block == 1 else f"Blocks of {block} x {block} pixels")


def colony(cell: int) -> np.ndarray:
    """Dark rods, `cell` pixels wide, side by side within one bright halo."""
    side = 20 * cell
    y, x = np.mgrid[-side // 2 : side // 2, -side // 2 : side // 2]
    inside = (abs(y) <= 3.1 * cell) & (abs(x) <= 6 * cell)
    cells = inside & ((y + cell / 2) % (1.3 * cell) <= cell) & ((x + 1.8 * cell) % (4.2 * cell) <= 3.6 * cell)
    halo = ndimage.gaussian_filter(cells.astype(float), 1.5 * cell)
    frame = np.where(cells, -1, 1.5 * halo / halo.max())
    noise = np.random.default_rng(0).normal(scale=0.05, size=(6, side, side))
    return (frame + noise).astype(np.float32)


@pytest.mark.parametrize(("cell", "most", "block"), [(20, 99, 1), (36, 99, 2), (36, 1, 1)])
def test_cells_of_a_colony_are_not_averaged_away(cell: int, most: int, block: int) -> None:
    """In phase contrast a dense colony within its halo counts as one object: its cells are what blocks must leave."""
    movie = prepared(colony(cell))
    objects, details = object_radii(movie)
    assert objects > 4 * details
    found = choose_subsample([movie], most)
    assert found.subsample == block
    lost = f"; larger blocks would lose their details, whose radius is about {details:.1f} pixels."
    assert found.why.endswith(lost if block < most else "; larger blocks would leave frames smaller than a patch.")


def test_of_several_movies_the_middle_one_decides_and_patches_must_fit() -> None:
    large, small = prepared(discs(48)), prepared(discs(6))
    assert choose_subsample([small, small, large], 99).subsample == 1
    assert choose_subsample([large, large, small], 99).subsample == 5
    limited = choose_subsample([large], 2)
    assert limited.subsample == 2
    assert "smaller than a patch" in limited.why
    assert choose_subsample([large], 0).subsample == 1
