"""Movies by imageio-ffmpeg: with a stand-in for the encoder, which few have installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.pictures import mp4
from napari_tarrow.engine.pictures.mp4 import check_mp4, write_mp4


@pytest.fixture
def encoder(monkeypatch):
    """Write raw pictures instead of compressing them."""
    asked = {}

    def write_frames(path, size, **options):
        asked.update(size=tuple(size), path=path, **options)
        with open(path, "wb") as file:
            yield
            try:
                while True:
                    file.write((yield))
            finally:
                file.flush()

    monkeypatch.setitem(
        sys.modules, "imageio_ffmpeg", SimpleNamespace(write_frames=lambda *a, **k: write_frames(*a, **k))
    )
    monkeypatch.setattr(mp4, "check_mp4", lambda: None)
    return asked


def test_pictures_are_passed_on_with_even_sides(tmp_path, encoder):
    pictures = np.random.default_rng(0).integers(0, 255, (3, 21, 30, 3)).astype(np.uint8)

    assert list(write_mp4(tmp_path / "a.mp4", iter(pictures), 5)) == [1, 2, 3]

    assert encoder["size"] == (30, 20)
    assert encoder["fps"] == 5
    assert encoder["path"].endswith(".mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_movie_that_is_broken_off_leaves_nothing(tmp_path, encoder):
    writing = write_mp4(tmp_path / "a.mp4", iter(np.zeros((3, 20, 30, 3), np.uint8)))
    next(writing)
    writing.close()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_encoder_is_told(tmp_path, encoder, monkeypatch):
    def broken(*words, **options):
        raise OSError("no libx264")
        yield

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", SimpleNamespace(write_frames=broken))
    with pytest.raises(UserError, match=r"a\.mp4 cannot be written \(no libx264\)"):
        list(write_mp4(tmp_path / "a.mp4", iter(np.zeros((3, 20, 30, 3), np.uint8))))


def test_without_an_encoder_it_is_said_how_to_get_one(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install imageio-ffmpeg"):
        check_mp4()
