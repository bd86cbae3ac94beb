from __future__ import annotations

import pytest
import zarr

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import expand_inputs


@pytest.fixture
def tree(tmp_path):
    for folder in ("a/10", "a/9", "b"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("a/x.tif", "a/notes.txt", "b/y2.tif", "b/y10.TIF", "b/y1.tiff", "a/.hidden.tif"):
        (tmp_path / file).touch()
    zarr.create_array(tmp_path / "b" / "z.zarr", shape=(2, 3, 3), dtype="u1")
    return tmp_path


def names(tree, paths):
    return [path.removeprefix(str(tree)).replace("\\", "/") for path in paths]


def test_level_zero_takes_the_paths_as_they_are(tree):
    assert expand_inputs([str(tree / "b"), tree / "a"], 0) == [str(tree / "b"), str(tree / "a")]


def test_one_path_needs_no_list(tree):
    path = tree / "b"
    assert expand_inputs(str(path), 0) == expand_inputs(path, 0) == expand_inputs(iter([path]), 0) == [str(path)]


def test_every_level_replaces_folders_by_the_movies_and_folders_inside(tree):
    assert names(tree, expand_inputs([tree], 1)) == ["/a", "/b"]
    below = ["/a/9", "/a/10", "/a/x.tif", "/b/y1.tiff", "/b/y2.tif", "/b/y10.TIF", "/b/z.zarr"]
    assert names(tree, expand_inputs([tree], 2)) == below
    assert names(tree, expand_inputs([tree], 3)) == ["/a/x.tif", *below[3:]]


def test_files_stay_where_they_were_given(tree):
    assert names(tree, expand_inputs([tree / "b" / "y2.tif", tree / "a"], 1)) == [
        "/b/y2.tif",
        *["/a/9", "/a/10", "/a/x.tif"],
    ]


def test_names_with_digits_that_are_no_numbers(tmp_path):
    for name in ("10²", "9", "10"):
        (tmp_path / name).mkdir()
    assert [path.split("/")[-1] for path in expand_inputs([str(tmp_path)], 1)] == ["9", "10", "10²"]


def test_a_folder_that_may_not_be_read_is_a_sentence(tree, monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("napari_tarrow.engine.movies.inputs.is_zarr", closed)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\). Check its rights."):
        expand_inputs([str(tree)], 1)


def test_nothing_found_is_said(tree):
    with pytest.raises(UserError, match="read_recursion_level"):
        expand_inputs([tree / "a" / "9"], 1)
    with pytest.raises(UserError, match=r"no does not exist"):
        expand_inputs([tree / "no"], 0)
