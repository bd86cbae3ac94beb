"""Files are whole or absent, and nothing in them is executed."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.engine import files
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.files import in_words, make_folder, read_yaml, replacing, write_json, write_text, write_yaml

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with replacing(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(error), replacing(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["a.bin"]


def test_a_full_disk_is_said_and_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.txt"
    path.write_text("before")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"The disk is full: .*a\.txt could not be written"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_is_absent_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt cannot be written \(No such file or directory\)"):
        write_text(tmp_path / "absent" / "a.txt", "text")


def test_text_yaml_and_json_are_written_in_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "細胞\n")
    write_yaml(tmp_path / "a.yaml", {"name": "細胞", "epochs": 3, "delta": [1, 2]})
    write_json(tmp_path / "a.json", {"loss": [0.5]})

    assert (tmp_path / "a.txt").read_bytes().decode() == "細胞\n"
    assert (tmp_path / "a.yaml").read_bytes().decode().startswith("name: 細胞\nepochs: 3\n")
    assert (tmp_path / "a.json").read_text() == '{\n "loss": [\n  0.5\n ]\n}\n'


def test_what_was_written_as_yaml_is_read_back(tmp_path: Path) -> None:
    values = {"b": 1, "a": [1.5, None, True], "text": "yes"}
    write_yaml(tmp_path / "a.yaml", values)
    assert read_yaml(tmp_path / "a.yaml") == values
    assert list(read_yaml(tmp_path / "a.yaml")) == ["b", "a", "text"]


@pytest.mark.parametrize("text", ["", "# nothing", "---\n"])
def test_an_empty_yaml_holds_no_options(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml") == {}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("\ufeffsize: 64", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {"size": 64}


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"- 1\n- 2", "holds a list, not options"),
        (b"words", "holds a single value, not options"),
        (b"a: 1\nb: [", "line 2 is no valid YAML"),
        (b"\xff\xfe\x00", "is no valid YAML"),
        (b"a: \x00", "is no valid YAML"),
        (b"a: " + b"[" * 500, "is no valid YAML"),
        (b"a: 1\nb: 2\na: 3", "gives a twice. Keep one of the two."),
        (b"x: {a: 1, a: 2}", "gives a twice"),
        (b"a: !!python/object/apply:os.getcwd []", "is no valid YAML"),
    ],
)
def test_what_is_no_yaml_of_options_is_refused(tmp_path: Path, content: bytes, phrase: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path))
    assert phrase in str(error.value)


def test_a_yaml_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_in_place_of_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(UserError, match=r"cannot be written .*Choose another folder"):
            make_folder(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs permissions that can be lacking")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="cannot be written to"):
        make_folder(locked)


def test_amounts_are_written_in_words() -> None:
    assert [in_words(size) for size in (12, 999.7, 5.19e7, 8.6e9, 3e12)] == [
        "12 bytes",
        "1 kB",
        "51.9 MB",
        "8.6 GB",
        "3 TB",
    ]
