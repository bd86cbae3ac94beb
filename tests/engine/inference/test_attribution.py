from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tarrow.engine.inference import attribute
from napari_tarrow.engine.inference import attribution as module
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie


@pytest.fixture
def movie() -> PreparedMovie:
    frames = np.random.default_rng(0).integers(0, 1000, (6, 24, 30)).astype(np.uint16)
    numbers = [0, 1, 2, 4, 5, 6]  # one is missing
    return PreparedMovie(open_movie(frames, frame_numbers=numbers), Preparation())


@pytest.fixture
def model() -> TimeArrowNet:
    torch.manual_seed(0)
    return TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True).eval()


def sequence(movie: PreparedMovie, frames: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.stack([movie.frame(index) for index in frames]))


def test_only_real_time_steps_are_compared(model: TimeArrowNet, movie: PreparedMovie) -> None:
    assert [m.frames for m in attribute(model, movie, 1)] == [(0, 1), (1, 2), (3, 4), (4, 5)]
    assert [m.frames for m in attribute(model, movie, 2)] == [(0, 2), (2, 3), (3, 5)]
    assert [m.frames for m in attribute(model, movie, 1, firsts=[1, 3])] == [(1, 2), (3, 4)]


def test_the_map_of_evidence_adds_up_to_the_logits(
    model: TimeArrowNet, movie: PreparedMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "clamp", lambda tensor, min: tensor)  # its negative part too
    for one in attribute(model, movie, 1, kind="evidence"):
        with torch.no_grad():
            logits = model(sequence(movie, one.frames)[None])[0]
        assert one.map.shape == (24, 30)
        assert one.map.mean() == pytest.approx(float(logits[0] - logits[1]), abs=1e-5)


def test_evidence_is_never_negative(model: TimeArrowNet, movie: PreparedMovie) -> None:
    assert all(one.map.min() >= 0 for one in attribute(model, movie, 1))


def test_gradcam_is_the_models_own(model: TimeArrowNet, movie: PreparedMovie) -> None:
    for one in attribute(model, movie, 2, kind="gradcam"):
        expected = model.gradcam(sequence(movie, one.frames))
        assert np.allclose(one.map, expected, atol=1e-5 * expected.max())


def test_every_frame_is_projected_once(
    model: TimeArrowNet, movie: PreparedMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(
        module, "project_tiled", lambda m, frame, tile: calls.append(1) or m.project(frame[None])[0].detach()
    )
    list(attribute(model, movie, 1))
    assert len(calls) == 6


def test_maps_are_on_the_prepared_grid_whatever_the_tile(
    model: TimeArrowNet, movie: PreparedMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [one.map for one in attribute(model, movie, 1)]
    monkeypatch.setattr(module, "_TILE", 16)
    tiled = [one.map for one in attribute(model, movie, 1)]
    assert np.allclose(whole, tiled, atol=1e-5 * np.max(whole))
