"""Components follow from all pixels of a movie in one pass, with a sign, an order and a scale that never change."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.embeddings import components as module
from napari_tarrow.engine.inference.embeddings.components import fit_components

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(6, 6)) * np.array([5, 3, 1, 0.3, 0.1, 0.01])
FRAMES = (np.einsum("fk,tkyx->tfyx", MIXING, RANDOM.normal(size=(5, 6, 20, 24))) + 1000).astype(np.float32)


def test_components_are_those_of_all_pixels_together() -> None:
    found = fit_components(FRAMES, 3)
    pixels = np.moveaxis(FRAMES, 1, -1).reshape(-1, 6).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, values[::-1][:3], rtol=1e-9)
    np.testing.assert_allclose(found.explained, values[::-1][:3] / values.sum(), rtol=1e-9)
    np.testing.assert_allclose(abs(found.vectors @ vectors[:, ::-1][:, :3]), np.eye(3), atol=1e-9)


def test_the_largest_entry_of_every_component_is_positive() -> None:
    for frames in (FRAMES, -FRAMES, FRAMES[::-1]):
        vectors = fit_components(frames, 6).vectors
        assert (vectors[np.arange(6), abs(vectors).argmax(1)] > 0).all()


def test_it_does_not_matter_in_which_parts_frames_come(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_components(FRAMES)
    monkeypatch.setattr(module, "_AT_ONCE", 37)
    parts = [frame[:, y : y + 7, x : x + 11] for frame in FRAMES for y in range(0, 20, 7) for x in range(0, 24, 11)]
    again = fit_components(parts)
    np.testing.assert_allclose(again.vectors, whole.vectors, rtol=1e-9)
    np.testing.assert_allclose(again.low, whole.low, rtol=1e-6)
    np.testing.assert_array_equal(again.apply(FRAMES[2]), whole.apply(FRAMES[2]))


def test_the_same_parts_give_the_same_components() -> None:
    first, second = fit_components(FRAMES), fit_components(FRAMES)
    for name in ("mean", "vectors", "low", "high"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_black_and_white_are_percentiles_of_the_movie() -> None:
    found = fit_components(FRAMES, 2)
    scores = np.stack([found.scores(frame) for frame in FRAMES], 1)
    np.testing.assert_allclose(found.low, np.percentile(scores.reshape(2, -1), 1, axis=1), rtol=1e-3)
    grey = np.stack([found.apply(frame) for frame in FRAMES], 1)
    assert grey.dtype == np.uint8
    for channel in grey:
        assert np.mean(channel == 0) == pytest.approx(0.01, abs=0.004)
        assert np.mean(channel == 255) == pytest.approx(0.01, abs=0.004)


def test_the_sample_for_the_percentiles_stays_small_and_even(monkeypatch: pytest.MonkeyPatch) -> None:
    movie = [FRAMES[t % 5] + np.float32(100 * t) for t in range(60)]  # early frames count as much as late ones
    exact = fit_components(movie, 1)
    monkeypatch.setattr(module, "_SAMPLE", 2000)
    fit = module.ComponentFit(1)
    for frame in movie:
        fit.add(frame)
    assert 500 < sum(part.shape[1] for part in fit._sample) <= 2000
    span = exact.high - exact.low
    assert (abs(fit.result().low - exact.low) < 0.05 * span).all()
    assert (abs(fit.result().high - exact.high) < 0.05 * span).all()


def test_embeddings_may_be_views_and_read_only() -> None:
    embedding = np.random.default_rng(0).random((5, 12, 14)).astype(np.float32)
    found = fit_components([embedding])
    flipped, only_read = embedding[:, ::-1, ::-1], embedding.copy()
    only_read.flags.writeable = False
    np.testing.assert_allclose(fit_components([flipped]).vectors, found.vectors, atol=1e-6)
    np.testing.assert_array_equal(found.apply(flipped), found.apply(embedding)[:, ::-1, ::-1])
    np.testing.assert_array_equal(found.scores(only_read), found.scores(embedding))


def test_a_constant_feature_stays_black() -> None:
    flat = np.ones((4, 8, 8), np.float32)
    found = fit_components([flat], 2)
    assert (found.apply(flat) == 0).all()
    assert np.isfinite(found.explained).all()


def test_half_precision_is_summed_in_double() -> None:
    large = (FRAMES[0] - 1000 + 200).astype(np.float16)
    found = fit_components([large] * 3, 1)
    np.testing.assert_allclose(found.mean, large.reshape(6, -1).astype(np.float64).mean(1), rtol=1e-12)


def test_more_components_than_features_are_refused() -> None:
    with pytest.raises(UserError, match="7 components are asked for, but the embedding has 6 features"):
        fit_components(FRAMES, 7)
    with pytest.raises(ValueError, match="nothing"):
        fit_components([])
