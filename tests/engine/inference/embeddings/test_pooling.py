"""The table of objects holds the mean over each object's pixels, whatever blocks the embedding comes in."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.embeddings import pooling as module
from napari_tarrow.engine.inference.embeddings.object_table import check_table, joined, table_writer, write_table
from napari_tarrow.engine.inference.embeddings.pooling import FramePool, open_labels, pool, read_labels
from napari_tarrow.engine.movies import open_movie

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.integers(0, 5, (6, 8)) * 1000).repeat(4, 0).repeat(4, 1)[:22, :31]
EMBEDDING = RANDOM.normal(size=(3, 22, 31)).astype(np.float32)


def test_rows_are_the_means_over_the_pixels_of_each_object() -> None:
    table = pool(LABELS, EMBEDDING, frame=7)
    ids = [1000, 2000, 3000, 4000]
    assert table.label.tolist() == ids
    assert table.frame.tolist() == [7] * 4
    assert table.area.tolist() == [np.count_nonzero(one == LABELS) for one in ids]
    centres = np.array(ndimage.center_of_mass(np.ones_like(LABELS), LABELS, ids))
    np.testing.assert_allclose(np.stack([table.y, table.x], 1), centres)
    for feature in range(3):
        means = ndimage.mean(EMBEDDING[feature].astype(np.float64), LABELS, ids)
        np.testing.assert_allclose(table.embedding[:, feature], means, rtol=1e-10)


@pytest.mark.parametrize("tile", [(22, 31), (5, 7), (1, 31), (16, 16)])
@pytest.mark.parametrize("at_once", [2**20, 40])
def test_blocks_add_up_to_the_whole(tile: tuple[int, int], at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    pooling = FramePool(LABELS)
    pooling.add(0, 0, EMBEDDING[:, :3] + 9)  # begun, and then begun again
    for y in range(0, 22, tile[0]):
        for x in range(0, 31, tile[1]):
            pooling.add(y, x, EMBEDDING[:, y : y + tile[0], x : x + tile[1]])
    whole = pool(LABELS, EMBEDDING)
    np.testing.assert_allclose(pooling.table().embedding, whole.embedding, rtol=1e-10)
    np.testing.assert_array_equal(pooling.table().area, whole.area)


@pytest.mark.parametrize("lead", [0, 3])
@pytest.mark.parametrize("grid", [(5, 7), (7, 9)])
def test_a_coarser_embedding_counts_as_if_it_were_repeated(grid: tuple[int, int], lead: int) -> None:
    coarse = RANDOM.normal(size=(3, *grid)).astype(np.float16)
    rows, columns = (np.minimum((np.arange(side) + lead) // 4, n - 1) for side, n in zip((22, 31), grid, strict=True))
    expected = pool(LABELS, coarse[:, rows][:, :, columns])
    found = pool(LABELS, coarse, sources=(rows, columns))
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=1e-12)
    np.testing.assert_array_equal(found.area, expected.area)
    pooling = FramePool(LABELS, sources=(rows, columns))
    for y in range(0, grid[0], 2):
        for x in range(0, grid[1], 3):
            pooling.add(y, x, coarse[:, y : y + 2, x : x + 3])
    np.testing.assert_allclose(pooling.table().embedding, expected.embedding, rtol=1e-12)
    np.testing.assert_allclose(pooling.table().y, expected.y)


def test_a_frame_without_objects_has_no_rows() -> None:
    assert len(pool(np.zeros((22, 31), int), EMBEDDING)) == 0
    assert len(pool(np.full((22, 31), -1), EMBEDDING)) == 0


def test_tables_of_frames_are_joined() -> None:
    one, two = pool(LABELS, EMBEDDING, frame=0), pool(LABELS, EMBEDDING, frame=1)
    both = joined([one, two])
    assert both.frame.tolist() == [0] * 4 + [1] * 4
    assert list(both.columns()) == ["frame", "label", "y", "x", "area", "f0", "f1", "f2"]


def test_the_csv_holds_the_columns_and_is_whole_or_absent(tmp_path: Path) -> None:
    table = pool(LABELS, EMBEDDING, frame=3)
    write_table(tmp_path / "new" / "t.csv", table)
    found = np.genfromtxt(tmp_path / "new" / "t.csv", delimiter=",", names=True)
    for name, column in table.columns().items():
        np.testing.assert_allclose(found[name], column, rtol=1e-6, atol=5e-4)
    with contextlib.suppress(KeyError), table_writer(tmp_path / "t.csv", 3) as add:
        add(table)
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["new"]


def test_a_table_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    with table_writer(tmp_path / "t.csv", 2):
        pass
    assert (tmp_path / "t.csv").read_text() == "frame,label,y,x,area,f0,f1\n"


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pool(LABELS, EMBEDDING, frame=3)
    with table_writer(tmp_path / "t.parquet", 3) as add:
        add(table)
        add(pool(LABELS * 0, EMBEDDING))
        add(table)
    found = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    for name, column in joined([table, table]).columns().items():
        np.testing.assert_array_equal(found[name], column)


def test_parquet_without_pyarrow_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install pyarrow, or write a \.csv"):
        check_table(tmp_path / "t.parquet")


def test_tables_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends with \.txt; a table ends with \.csv or \.parquet"):
        check_table(tmp_path / "t.txt")
    (tmp_path / "t.csv").write_text("precious")
    with pytest.raises(UserError, match="is there already"):
        check_table(tmp_path / "t.csv")
    assert check_table(tmp_path / "t.csv", overwrite=True) == tmp_path / "t.csv"
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_table(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("shape", "said"),
    [((4, 22, 31), "have 4 frames, the movie has 5"), ((5, 22, 30), "are 22 x 30, the movie is 22 x 31")],
)
def test_labels_of_another_movie_are_refused(shape: tuple[int, ...], said: str) -> None:
    movie = open_movie(np.zeros((5, 22, 31), np.uint8))
    with pytest.raises(UserError, match=said):
        open_labels(np.zeros(shape, np.uint16), movie)


@pytest.mark.parametrize("numbers", [[1, 2, 3, 5], [0, 1, 2, 3], [0, 2, 3, 4]])
def test_labels_of_other_frames_are_refused(numbers: list[int]) -> None:
    movie = open_movie(np.zeros((4, 22, 31), np.uint8), frame_numbers=[0, 1, 2, 4])
    with pytest.raises(UserError, match=r"have no frame \d, which the movie has"):
        open_labels(open_movie(np.zeros((4, 22, 31), np.uint16), frame_numbers=numbers), movie)


def test_labels_in_a_folder_belong_to_the_frames_of_their_numbers(tmp_path: Path) -> None:
    for folder, numbers in ("movie", (1, 2, 4, 7)), ("labels", range(1, 9)):
        (tmp_path / folder).mkdir()
        for number in numbers:
            tifffile.imwrite(tmp_path / folder / f"t{number:03d}.tif", np.full((22, 31), number, np.uint16))
    movie = open_movie(tmp_path / "movie")
    for count in (4, 3):
        labels = open_labels(tmp_path / "labels", movie.limited(count), n_images=count)
        assert [int(read_labels(labels, index)[0, 0]) for index in range(len(labels))] == [1, 2, 4, 7][:count]


def test_labels_in_a_stack_are_taken_in_order() -> None:
    stack = np.zeros((4, 22, 31), np.uint8)
    for movie, labels in ([0, 1, 2, 4], None), (None, [1, 2, 3, 5]), (None, None):
        open_labels(open_movie(stack, frame_numbers=labels), open_movie(stack, frame_numbers=movie))


def test_labels_whose_axes_are_wrong_are_read_as_the_movie_is(tmp_path: Path) -> None:
    movie = open_movie(np.zeros((2, 22, 31), np.uint8))
    tifffile.imwrite(tmp_path / "labels.tif", np.stack([LABELS, LABELS]).astype(np.uint16), metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match="axes"):
        open_labels(tmp_path / "labels.tif", movie)
    for axes in ("TYX", "tcyx"):
        labels = open_labels(tmp_path / "labels.tif", movie, axes=axes)
        np.testing.assert_array_equal(read_labels(labels, 1), LABELS)


def test_labels_keep_their_numbers_in_every_type(tmp_path: Path) -> None:
    movie = open_movie(np.zeros((2, 22, 31), np.uint8))
    for dtype in (np.uint16, np.int32, np.int64, np.float32, np.uint64):
        values = np.stack([LABELS, LABELS]).astype(dtype)
        tifffile.imwrite(tmp_path / "labels.tif", values, metadata={"axes": "TYX"})
        labels = open_labels(tmp_path / "labels.tif", movie)
        np.testing.assert_array_equal(read_labels(labels, 1), LABELS)
        assert read_labels(labels, 1).dtype.kind in "iu"
    masks: Any = np.stack([LABELS, LABELS]) > 0
    assert pool(read_labels(open_labels(masks, movie), 0), EMBEDDING).label.tolist() == [1]


def test_labels_with_a_fraction_are_refused() -> None:
    movie = open_movie(np.zeros((2, 4, 4), np.uint8))
    labels = open_labels(np.full((2, 4, 4), 0.5), movie)
    with pytest.raises(UserError, match="numbers with a fraction"):
        read_labels(labels, 0)
