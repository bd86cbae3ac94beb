"""Which events stand out, found without labels."""

from __future__ import annotations

import numpy as np

from napari_tarrow.engine.inference.events.events import Event
from napari_tarrow.engine.inference.events.threshold import suggest_threshold


def events_of(scores):
    return [Event(0, 0, 0, score, (0, 1)) for score in scores]


def test_the_threshold_parts_strong_from_weak():
    events = events_of([9.0, 8.5, 8.0, 2.0, 1.5, 1.0, 0.5])
    assert suggest_threshold(events) == 5.0
    assert suggest_threshold(events[:1]) == 9.0
    assert suggest_threshold([]) == float("inf")


def test_a_few_that_are_far_stronger_do_not_hide_the_others():
    strong = 1.5 / np.sqrt(1 - (np.arange(45) + 0.5) / 45)  # up to 14, half of them below 2.1
    weak = np.linspace(1, 0.3, 500)
    threshold = suggest_threshold(events_of(np.concatenate([strong, weak])))
    assert weak.max() < threshold
    assert (strong > threshold).sum() > 30


def test_the_threshold_follows_the_scale_of_the_scores_and_not_their_order():
    scores = np.random.default_rng(0).lognormal(0, 1, 200)
    threshold = suggest_threshold(events_of(scores))
    assert np.isclose(suggest_threshold(events_of(1000 * scores[::-1])), 1000 * threshold)
