from __future__ import annotations

import numpy as np

from napari_tarrow.engine.training.draws import Stream


def test_a_sample_draws_the_same_in_every_batch() -> None:
    stream = Stream(42, "train/places")
    whole = stream.uniform(np.arange(100), 5)
    assert np.array_equal(stream.uniform(np.arange(40, 60), 5), whole[40:60])
    assert np.array_equal(stream.uniform(np.arange(100), 3), whole[:, :3])


def test_seeds_and_purposes_are_independent() -> None:
    samples = np.arange(5000)
    draws = [Stream(s, p).uniform(samples, 4).ravel() for s, p in ((0, "a"), (1, "a"), (0, "b"), (2**63 - 1, "a"))]
    correlation = np.corrcoef(draws) - np.eye(4)
    assert np.abs(correlation).max() < 0.03


def test_numbers_are_uniform_over_samples_and_over_draws() -> None:
    table = Stream(3, "x").uniform(np.arange(400), 400)
    assert table.min() >= 0
    assert table.max() < 1
    for axis in (0, 1):
        assert np.abs(table.mean(axis) - 0.5).max() < 0.08
        assert np.abs(table.var(axis) - 1 / 12).max() < 0.025
    counts = np.histogram(table, 64, (0, 1))[0]
    expected = table.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 120  # chi square, 63 degrees of freedom: p about 2e-5


def test_neighbouring_samples_are_not_correlated() -> None:
    table = Stream(3, "x").uniform(np.arange(5000), 1)[:, 0]
    assert abs(np.corrcoef(table[1:], table[:-1])[0, 1]) < 0.05


def test_the_stream_never_changes_between_versions() -> None:
    # a run that was stopped under one version is resumed under the next
    drawn = Stream(42, "train/places").uniform(np.array([0, 1, 10**12]), 2)
    assert drawn.tolist() == [
        [0.4942686303395475, 0.998756442212578],
        [0.11248918049843348, 0.3248418187545443],
        [0.9726666191048925, 0.6592844011725253],
    ]
