from __future__ import annotations

import csv

from napari_tarrow.engine.training.monitors import MetricsTable


def test_a_row_per_epoch_holds_every_number_in_full_precision(tmp_path, updates, epochs):
    monitor = MetricsTable(tmp_path / "metrics.csv")
    for update in updates:
        monitor.take(update)

    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 4
    for row, epoch in zip(rows, epochs, strict=True):
        assert int(row["epoch"]) == epoch.epoch
        assert int(row["pairs_seen"]) == epoch.pairs_seen
        assert float(row["seconds"]) == epoch.seconds
        assert row["is_best"] == str(int(epoch.is_best))
        for key in ("loss", "loss_decorr", "accuracy", "accuracy_change", "pred1_ratio", "lr", "steps"):
            assert float(row[f"train_{key}"]) == getattr(epoch.train, key)
            assert float(row[f"val_{key}"]) == getattr(epoch.val, key)


def test_lines_end_alike_on_every_system(tmp_path, epochs):
    MetricsTable(tmp_path / "metrics.csv", epochs)

    assert b"\r" not in (tmp_path / "metrics.csv").read_bytes()
