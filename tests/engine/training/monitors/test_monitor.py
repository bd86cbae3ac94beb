from __future__ import annotations

import pytest

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.training.monitors import monitors_for, picture


@pytest.fixture(autouse=True)
def quick_drawing(monkeypatch):
    monkeypatch.setattr(picture, "learning_curve", lambda train, val, best, path, **_: path.write_text("drawn"))


def run(folder, updates, history=(), **options):
    folder.mkdir(exist_ok=True)
    monitors = monitors_for(folder, TrainConfig(**options), history)
    for update in updates:
        for monitor in monitors:
            monitor.take(update)
    for monitor in monitors:
        monitor.close()


def test_a_run_leaves_all_its_files_and_nothing_beside_them(tmp_path, updates):
    run(tmp_path / "run", updates)

    assert {p.name for p in (tmp_path / "run").iterdir()} == {"losses.json", "metrics.csv", "learning_curve.png", "tb"}
    assert {p.name for p in (tmp_path / "run" / "tb").iterdir()} == {"train", "val", "cams", "features"}


def test_tensorboard_can_be_switched_off(tmp_path, updates):
    run(tmp_path / "run", updates, tensorboard=False)

    assert not (tmp_path / "run" / "tb").exists()


def test_a_killed_and_resumed_run_leaves_the_same_files_as_an_uninterrupted_one(tmp_path, updates, epochs):
    second = updates.index(epochs[1])
    run(tmp_path / "whole", updates, tensorboard=False)
    # Killed after the second checkpoint was written, before the monitors heard of it.
    run(tmp_path / "killed", updates[:second], tensorboard=False)
    run(tmp_path / "killed", updates[second + 1 :], epochs[:2], tensorboard=False)

    for name in ("losses.json", "metrics.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_resumed_run_with_nothing_left_to_do_mends_its_files(tmp_path, updates, epochs):
    run(tmp_path / "whole", updates, tensorboard=False)
    run(tmp_path / "bare", [], epochs, tensorboard=False)

    for name in ("losses.json", "metrics.csv"):
        assert (tmp_path / "bare" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "bare" / "learning_curve.png").exists()
