from __future__ import annotations

import json

from napari_tarrow.engine.training.monitors import LossFile


def test_the_file_has_the_layout_of_the_reference(tmp_path, updates, epochs):
    monitor = LossFile(tmp_path / "losses.json")
    for update in updates:
        monitor.take(update)

    content = json.loads((tmp_path / "losses.json").read_text())

    assert list(content) == ["train", "val"]
    for part in ("train", "val"):
        assert list(content[part]) == ["loss", "loss_decorr", "accuracy", "pred1_ratio", "lr", "steps"]
        for key, values in content[part].items():
            assert values == [getattr(getattr(epoch, part), key) for epoch in epochs]


def test_the_file_is_whole_after_every_epoch(tmp_path, epochs):
    monitor = LossFile(tmp_path / "losses.json")
    for n, epoch in enumerate(epochs, 1):
        monitor.take(epoch)
        assert len(json.loads((tmp_path / "losses.json").read_text())["val"]["loss"]) == n


def test_nothing_is_written_before_the_first_epoch(tmp_path, updates):
    monitor = LossFile(tmp_path / "losses.json")
    for update in updates[:4]:
        monitor.take(update)
    monitor.close()

    assert list(tmp_path.iterdir()) == []
