from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from napari_tarrow.engine.training.monitors import CurvePicture, picture


@pytest.fixture
def drawn(monkeypatch):
    """How many epochs each drawing showed, and which it named the best."""
    calls = []
    monkeypatch.setattr(picture, "learning_curve", lambda train, val, best, path, **_: calls.append((len(train), best)))
    return calls


def test_the_picture_shows_something(tmp_path, epochs):
    monitor = CurvePicture(tmp_path / "learning_curve.png")
    monitor.take(epochs[0])

    with Image.open(tmp_path / "learning_curve.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_it_is_drawn_after_every_epoch_when_there_is_time(tmp_path, updates, drawn):
    monitor = CurvePicture(tmp_path / "curve.png", every=0)
    for update in updates:
        monitor.take(update)
    monitor.close()

    assert drawn == [(1, 1), (2, 2), (3, 2), (4, 4), (4, 4)]


def test_short_epochs_are_drawn_at_first_and_at_the_end_only(tmp_path, updates, drawn):
    monitor = CurvePicture(tmp_path / "curve.png", every=math.inf)
    for update in updates:
        monitor.take(update)
    monitor.close()

    assert drawn == [(1, 1), (4, 4)]


def test_closing_draws_what_was_put_off(tmp_path, epochs, drawn):
    monitor = CurvePicture(tmp_path / "curve.png", every=math.inf)
    for epoch in epochs[:3]:
        monitor.take(epoch)
    monitor.close()
    monitor.close()

    assert drawn == [(1, 1), (3, 2)]


def test_a_run_without_epochs_has_no_picture(tmp_path, updates, drawn):
    monitor = CurvePicture(tmp_path / "curve.png")
    monitor.take(updates[-1])
    monitor.close()

    assert drawn == []


def test_a_resumed_run_shows_its_whole_past(tmp_path, epochs, drawn):
    monitor = CurvePicture(tmp_path / "curve.png", epochs[:2])
    monitor.take(epochs[2])
    monitor.close()

    assert drawn == [(3, 2)]
