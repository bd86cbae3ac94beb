"""A network that uses one shortcut, on a movie that has it: the report names that one and no other."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.training.shortcuts import look, shortcut_report
from napari_tarrow.engine.training.shortcuts.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

KINDS = {"bleaching": "brightness", "lamp": "brightness", "drift": "shift", "focus": "focus", "crowd": "crowd"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_shortcut_is_named_and_no_other(kind: str, watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses(kind), *watch(planted(kind)))
    assert [finding.kind for finding in report.findings] == [KINDS[kind]]
    assert report.findings[0].share > 0.5
    assert report.right > 0.8 * report.pairs
    assert len(report.lines) == 3


@pytest.mark.parametrize("normalize", ["movie", "channel"])
@pytest.mark.parametrize("kind", ["drift", "focus"])
def test_a_channel_that_is_mostly_blank_hides_no_shortcut_of_another(
    kind: str, normalize: str, watch: Make, planted: Make, uses: Make
) -> None:
    frames = planted(kind)
    blank = np.full_like(frames, 100)
    blank[::5] = 20 * frames[::5]
    network = uses(kind)
    feature = network.feature
    network.feature = lambda x: feature(x[:, :1])
    report = shortcut_report(network, *watch(np.stack([frames, blank], 1), channels=2, normalize=normalize))
    assert KINDS[kind] in [finding.kind for finding in report.findings]


@pytest.mark.parametrize("movie", ["noise", "still"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_direction_nothing_is_claimed(kind: str, movie: str, watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses(kind), *watch(planted(movie)))
    assert report.findings == ()
    assert report.offered == {}
    assert report.lines[0].startswith("No shortcut was found")


def test_a_clock_in_a_corner_is_named_by_its_place(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("clock"), *watch(planted("clock")))
    assert [finding.kind for finding in report.findings] == ["place"]
    assert "top, left" in report.findings[0].text
    assert report.by_place[0][0] == 1


def test_what_is_not_used_is_only_mentioned(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("crowd"), *watch(planted("drift")))
    assert report.findings == ()
    assert "shift" in report.offered
    assert "drifts by 0.8" in report.lines[0]


def test_of_several_movies_each_drifts_by_itself(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("lamp"), *watch(planted("lamp"), planted("lamp", 1)))
    assert [finding.kind for finding in report.findings] == ["brightness"]
    both_ways = shortcut_report(uses("lamp"), *watch(planted("lamp"), planted("bleaching")))
    assert both_ways.findings == ()


def test_accuracies_say_where_and_when(watch: Make, planted: Make, uses: Make) -> None:
    frames = planted("still").copy()
    frames[18:] = planted("lamp")[18:]  # a direction in the second half only
    report = shortcut_report(uses("lamp"), *watch(frames))
    early, late = report.by_time[0], report.by_time[3]
    assert early is not None
    assert late is not None
    assert early < 0.65 < 0.85 < late
    assert report.scalars["mean intensity"] >= 17


def test_the_accuracy_without_drifts_is_that_of_guessing(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("lamp"), *watch(planted("lamp")))
    assert report.accuracy is not None
    assert report.accuracy_without is not None
    assert report.accuracy > 0.9
    assert 0.35 < report.accuracy_without < 0.65


def test_few_frames_are_too_few_to_tell(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("lamp"), *watch(planted("lamp")[:8]))
    assert report.lines == ("Shortcuts: only 7 pairs of frames were looked at, too few to tell.",)
    assert report.findings == ()


@pytest.mark.parametrize("frames", [2, 3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_any_network_is_looked_at_and_left_as_it_was(frames: int, symmetric: bool, planted: Make, watch: Make) -> None:
    torch.manual_seed(0)
    model = TimeArrowNet("unet_16fmaps", n_frames=frames, n_input_channels=2, symmetric=symmetric).train()
    movie = np.stack([planted("lamp")[:14, :40, :48]] * 2, 1)
    watched, config = watch(movie, channels=2, frames=frames, augment=2)
    rows = np.arange(14 - frames + 1)[:, None] + np.arange(frames)
    watched = [type(one)(one.movie, rows) for one in watched]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    report = shortcut_report(model, watched, config)
    assert report.pairs == len(rows)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert shortcut_report(model, watched, config) == report


def test_long_movies_cost_no_more_than_short_ones(watch: Make, planted: Make, uses: Make) -> None:
    watched, config = watch(np.concatenate([planted("lamp")] * 4))
    seen = list(look(uses("lamp"), watched, config))
    assert sum(one is not None for one in seen) == 40
    assert seen.count(None) <= 41


def test_the_report_is_plain_values(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("drift"), *watch(planted("drift")))
    values = json.loads(json.dumps(report.values()))
    assert values["lines"] == list(report.lines)
    assert values["findings"][0]["kind"] == "shift"


@pytest.mark.parametrize("kind", ["brightness", "shift", "focus", "crowd", "still", "place"])
@pytest.mark.parametrize("normalize", ["frame", "movie", "smooth"])
@pytest.mark.parametrize("augment", [0, 1, 5, "auto"])
def test_a_remedy_names_an_option_that_exists_and_is_not_set_already(
    kind: str, normalize: str, augment: int | str
) -> None:
    config = TrainConfig.from_values({"normalize": normalize, "augment": augment})
    if kind == "shift" and augment:
        pytest.skip("with flips it is never named")
    for name, value in re.findall(r"--(\w+) (\w+)", remedy(kind, config)):
        assert TrainConfig.from_values({name: value}) is not None
        assert str(getattr(config, name)) != value


def test_each_frame_scaled_by_itself_is_a_drift_of_brightness(watch: Make, planted: Make, uses: Make) -> None:
    frames = planted("still").astype(np.float32)
    frames[:, 40:52, 40:52] += 400 * np.arange(len(frames))[:, None, None]  # one bright object dims its whole frame
    by_itself = shortcut_report(uses("bleaching"), *watch(frames, normalize="frame"))
    assert [finding.kind for finding in by_itself.findings] == ["brightness"]
    assert "--normalize smooth" in by_itself.findings[0].remedy


def test_with_flips_a_drift_is_no_shortcut(watch: Make, planted: Make, uses: Make) -> None:
    report = shortcut_report(uses("drift"), *watch(planted("drift"), augment=1))
    assert "shift" not in [finding.kind for finding in report.findings]
    assert "shift" in report.offered
