from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from napari_tarrow.engine.pictures import learning_curve
from napari_tarrow.engine.pictures.curve import TRAIN, VAL


@dataclass
class Epoch:
    loss: float
    loss_decorr: float = 1.0
    accuracy: float = 0.6
    accuracy_change: float = 0.7
    lr: float = 1e-4


def share(image, colour):
    """How many pixels have a colour."""
    return (np.abs(image - 255 * np.array(to_rgb(colour))).max(-1) < 30).sum()


@pytest.mark.parametrize("n", [1, 200])
def test_training_and_validation_are_drawn(tmp_path, open_png, n):
    train, val = ([Epoch(offset + 0.7 / i) for i in range(1, n + 1)] for offset in (0.0, 0.1))

    learning_curve(train, val, 1, tmp_path / "both.png", title="A $run_1")
    learning_curve([], [], 1, tmp_path / "none.png")

    both, none = open_png(tmp_path / "both.png"), open_png(tmp_path / "none.png")
    assert 1200 <= both.shape[1] <= 1600
    for colour in (TRAIN, VAL):
        assert share(both, colour) > share(none, colour) + 15


def test_nothing_but_the_picture_is_left_in_the_folder(tmp_path):
    learning_curve([Epoch(0.7)], [Epoch(0.7)], 1, tmp_path / "curve.png")

    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]


def test_the_curve_follows_the_values(tmp_path, open_png):
    for name, losses in (("falling", (0.7, 0.6, 0.5)), ("rising", (0.5, 0.6, 0.7))):
        learning_curve([Epoch(v) for v in losses], [], 0, tmp_path / f"{name}.png")

    def height(image, columns):
        rows = np.nonzero((np.abs(image - 255 * np.array(to_rgb(TRAIN))).max(-1) < 30)[100:, columns])[0]
        return -rows.mean()

    left, right = slice(90, 220), slice(360, 490)  # of the loss's panel
    for name, sign in (("falling", -1), ("rising", 1)):
        image = open_png(tmp_path / f"{name}.png")
        assert sign * (height(image, right) - height(image, left)) > 50


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_that_diverged_can_be_drawn(tmp_path, value):
    epochs = [Epoch(0.7), Epoch(value, value, value, value, value)]

    learning_curve(epochs, epochs, 1, tmp_path / "curve.png")

    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_the_users_own_settings_and_pyplot_are_left_alone(tmp_path):
    program = f"""
import pathlib, sys, matplotlib
matplotlib.rcParams["axes.facecolor"] = "black"
before = dict(matplotlib.rcParams)
from napari_tarrow.engine.pictures import learning_curve
assert "matplotlib.pyplot" not in sys.modules
learning_curve([], [], 0, pathlib.Path({str(tmp_path)!r}) / "curve.png")
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)
