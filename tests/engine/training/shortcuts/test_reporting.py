"""The report as the last thing a run does."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import torch

from napari_tarrow.commands.progress import ProgressPrinter
from napari_tarrow.engine.inference.descriptions.description import describe_model
from napari_tarrow.engine.inference.descriptions.rows import model_rows
from napari_tarrow.engine.training import (
    Control,
    EpochEnded,
    Finished,
    Notice,
    Progress,
    ShortcutsFound,
    Started,
    resume,
    train,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from napari_tarrow.engine.config import TrainConfig
    from napari_tarrow.engine.training import Update

    Make = Callable[..., TrainConfig]

LOOK = "napari_tarrow.engine.training.shortcuts.reporting.look"


def last(updates: list[Update]) -> Finished:
    assert isinstance(updates[-1], Finished)
    return updates[-1]


def test_a_run_ends_with_the_report_which_is_also_in_its_folder(tiny: Make) -> None:
    updates = list(train(tiny(shortcuts=True)))
    reports = [update for update in updates if isinstance(update, ShortcutsFound)]
    finished = last(updates)
    assert updates[-2:] == [*reports, finished]
    values = json.loads((finished.run_folder / "shortcuts.json").read_text())
    assert tuple(values["lines"]) == reports[0].lines
    assert describe_model(finished.run_folder).shortcuts == reports[0].lines
    rows = model_rows(describe_model(finished.run_folder))
    assert ("Shortcuts", reports[0].lines[0].removeprefix("Shortcuts: ")) in rows
    printed = io.StringIO()
    ProgressPrinter(stream=printed).show(reports[0])
    assert tuple(printed.getvalue().splitlines()) == reports[0].lines
    assert values["pairs"] == 10  # 12 frames, none across the border of the two parts


def test_switched_off_there_is_none(tiny: Make) -> None:
    updates = list(train(tiny(shortcuts=False)))
    assert not any(isinstance(update, ShortcutsFound) for update in updates)
    assert not (last(updates).run_folder / "shortcuts.json").exists()


def test_the_model_and_the_random_numbers_stay_as_they_are(tiny: Make) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    folders = [last(list(train(tiny(shortcuts=shortcuts)))).run_folder for shortcuts in (False, True)]
    assert torch.equal(torch.get_rng_state(), state)
    for name in ("model_state.pt", "checkpoints/last.pt"):
        without, with_it = (torch.load(folder / name, weights_only=True) for folder in folders)
        weights = [saved.get("model", saved) for saved in (without, with_it)]
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_weights_that_the_folder_holds_are_looked_at(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(LOOK, lambda model, *_: iter(seen.append(model.state_dict()) or ()))
    folder = last(list(train(tiny(shortcuts=True, epochs=3, keep="best")))).run_folder
    stored = torch.load(folder / "model_state.pt", weights_only=True)
    assert all(torch.equal(seen[0][key], stored[key]) for key in stored)


def test_a_report_that_fails_does_not_fail_the_run(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(LOOK, broken)
    updates = list(train(tiny(shortcuts=True)))
    assert last(updates).reason == "done"
    assert Notice("Shortcuts could not be looked for: no") in updates


def test_stopped_during_the_report_the_run_is_done_without_one(tiny: Make) -> None:
    control, updates, after = Control(), [], 0
    for update in train(tiny(shortcuts=True), control):
        updates.append(update)
        if isinstance(update, Progress) and in_the_report(updates):
            control.stop()
            after += 1
    assert after == 1
    assert last(updates).reason == "done"
    assert not any(isinstance(update, ShortcutsFound) for update in updates)
    assert not (last(updates).run_folder / "shortcuts.json").exists()


def test_a_damaged_report_leaves_the_model_usable(tiny: Make) -> None:
    folder = last(list(train(tiny()))).run_folder
    for text in ("", "[]", '{"lines": 3}', '{"lines": [1, "one"]}'):
        (folder / "shortcuts.json").write_text(text)
        assert describe_model(folder).shortcuts == (("one",) if "one" in text else ())


def test_closed_during_the_report_the_folder_is_whole(tiny: Make) -> None:
    run, updates = train(tiny(shortcuts=True)), []
    for update in run:
        updates.append(update)
        if isinstance(update, Progress) and in_the_report(updates):
            run.close()
    assert isinstance(updates[-1], Progress)
    folder = next(update.run_folder for update in updates if isinstance(update, Started))
    assert last(list(resume(folder))).reason == "done"
    assert (folder / "shortcuts.json").is_file()


def in_the_report(updates: list[Update]) -> bool:
    return sum(isinstance(update, EpochEnded) for update in updates) == 2  # all there are


def test_it_takes_a_share_of_the_time_only(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORTEST", "_SHARE", "_PATIENCE"):
        monkeypatch.setattr(f"napari_tarrow.engine.training.shortcuts.reporting.{name}", 0.0)
    path = tmp_path / "noise.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 99, (20, 24, 28)).astype(np.uint16))
    finished = last(list(train(tiny(shortcuts=True, input_train=str(path), axes="TYX"))))
    assert json.loads((finished.run_folder / "shortcuts.json").read_text())["pairs"] == 1
