"""Choosing a model: what is remembered, and what a folder says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QFileDialog

from napari_tarrow.engine.bundled import BUNDLED
from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.files import write_yaml
from napari_tarrow.engine.models import PROJECTION_HEADS, TimeArrowNet
from napari_tarrow.widgets.shared.models import ModelChooser, model_facts, recent_runs, remember_run
from napari_tarrow.widgets.shared.preferences import read_preferences
from napari_tarrow.widgets.shared.runs import HEAD_LAYERS, runs_in

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "configuration" / "recent_runs.json"


@pytest.fixture
def chooser(qtbot: QtBot) -> ModelChooser:
    chooser = ModelChooser("Model")
    qtbot.addWidget(chooser)
    return chooser


def copied(folder: Path, name: str) -> Path:
    other = folder.with_name(name)
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    return other


def test_the_latest_run_comes_first_and_each_only_once(tmp_path):
    runs = [tmp_path / name for name in "abc"]
    for run in (*runs, runs[0]):
        run.mkdir(exist_ok=True)
        remember_run(run)
    assert recent_runs() == [runs[0], runs[2], runs[1]]


def test_a_run_that_is_gone_is_not_listed(tmp_path):
    (tmp_path / "a").mkdir()
    remember_run(tmp_path / "a")
    (tmp_path / "a").rmdir()
    assert recent_runs() == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"runs": 3}', '{"runs": [3, null]}', '{"other": []}', "\xff"])
def test_a_damaged_list_is_an_empty_one_and_can_be_written_again(stored, tmp_path, text):
    stored.parent.mkdir()
    stored.write_text(text, encoding="latin1")
    assert recent_runs() == []
    remember_run(tmp_path)
    assert recent_runs() == [tmp_path]
    assert json.loads(stored.read_text()) == {"runs": [str(tmp_path)]}


def test_a_list_that_cannot_be_written_is_no_error(stored, tmp_path, chooser, model_folder):
    stored.parent.write_text("a file where a folder should be")
    remember_run(model_folder)
    assert recent_runs() == []


def test_a_model_of_ours_says_what_it_is(model_folder):
    config = TrainConfig(input_train=["movies/hela.tif"], delta=(1, 4))
    write_yaml(
        model_folder / "run.yaml",
        {"format": 1, "config": config.model_dump(mode="json"), "plan": {"epochs": 7}, "movies": [{"name": "hela"}]},
    )
    facts = model_facts(model_folder)
    assert facts.sentence == "unet_16fmaps with 4 features; trained on hela at delta 1 and 4, 7 epochs."
    assert (facts.deltas, facts.channels, facts.features, facts.frames) == ((1, 4), 1, 4, 2)


def test_the_epochs_are_those_that_were_done_and_not_those_that_were_planned(model_folder):
    write_yaml(model_folder / "run.yaml", {"format": 1, "config": {}, "plan": {"epochs": 7}, "movies": []})
    curve = {"loss": [0.7, 0.6], "accuracy": [0.5, 0.6]}
    (model_folder / "losses.json").write_text(json.dumps({"train": curve, "val": curve}))
    assert model_facts(model_folder).sentence.endswith(", 2 epochs.")
    (model_folder / "losses.json").write_text("damaged")
    assert model_facts(model_folder).sentence.endswith(", 7 epochs.")


def test_a_model_of_the_reference_says_what_it_is(model_folder):
    movies = ["C:\\data\\a.tif", "/data/b", "/data/c.tif"]
    write_yaml(model_folder / "train_args.yaml", {"input_train": movies, "delta": [2], "epochs": 1})
    facts = model_facts(model_folder)
    assert facts.problem is None
    assert facts.sentence == "unet_16fmaps with 4 features; trained on a.tif, b and 1 more at delta 2, 1 epoch."


def test_a_model_without_a_word_about_its_training_can_be_used(model_folder):
    facts = model_facts(model_folder)
    assert facts.problem is None
    assert facts.deltas == (1,)


def test_what_is_no_model_gets_a_sentence(tmp_path, model_folder):
    assert "is not there" in model_facts(tmp_path / "none").problem
    assert "model_kwargs.yaml" in model_facts(tmp_path).problem
    (model_folder / "model_kwargs.yaml").write_text("a: [")
    assert "no valid YAML" in model_facts(model_folder).problem


def test_layers_of_a_head_are_those_of_the_network():
    assert set(HEAD_LAYERS) == set(PROJECTION_HEADS)
    for name, layers in HEAD_LAYERS.items():
        head = TimeArrowNet("unet_16fmaps", projection_head=name, n_features=2).projection_head
        head.until(len(layers) - 1)
        with pytest.raises(UserError, match=f"{len(layers)} feature layer"):
            head.until(len(layers))


def test_runs_in_the_folder_of_runs_are_found(model_folder):
    (model_folder.parent / "no model").mkdir()
    assert runs_in(model_folder.parent) == [model_folder]
    assert runs_in(model_folder / "nowhere") == []


def test_without_a_run_the_network_of_the_package_is_chosen(chooser):
    assert chooser.folder == BUNDLED["general_nuclei"].folder
    assert chooser.list.currentText() == "General nuclei"
    assert chooser.sentence.text().startswith(BUNDLED["general_nuclei"].summary)


def test_the_network_of_the_package_comes_after_runs(chooser, model_folder):
    remember_run(model_folder)
    assert [chooser.list.itemText(i) for i in range(chooser.list.count())] == ["tiny", "General nuclei"]


def test_browsing_does_not_begin_within_the_package(chooser, monkeypatch):
    asked = []
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *given: asked.append(given[-1]) or "")
    chooser.browse_button.click()
    assert asked == [str(read_preferences().run_folder)]


def test_an_open_dock_lists_a_new_run_at_once(chooser, model_folder, qtbot):
    with qtbot.waitSignal(chooser.changed):
        remember_run(model_folder)
    assert chooser.folder == model_folder
    assert chooser.list.currentText() == "tiny"
    assert "4 features" in chooser.sentence.text()


def test_a_new_run_does_not_take_the_place_of_what_the_user_chose(chooser, model_folder):
    chooser.choose(model_folder)
    remember_run(copied(model_folder, "later"))
    assert chooser.folder == model_folder
    assert {chooser.list.itemText(i) for i in range(chooser.list.count())} == {"tiny", "later", "General nuclei"}


def test_browsing_takes_any_model_folder_and_remembers_it(chooser, model_folder, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(model_folder))
    chooser.browse_button.click()
    assert chooser.folder == model_folder
    assert recent_runs() == [model_folder]


def test_a_folder_without_a_model_is_shown_with_the_reason_and_not_remembered(chooser, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    chooser.browse_button.click()
    assert chooser.folder is None
    assert "model_kwargs.yaml" in chooser.sentence.text()
    assert recent_runs() == []


def test_browsing_may_be_given_up(chooser, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    before = chooser.facts
    chooser.browse_button.click()
    assert chooser.facts == before


def test_describing_a_model_loads_no_torch(model_folder):
    code = f"""
import sys
from napari_tarrow.widgets.shared.models import model_facts
assert model_facts({str(model_folder)!r}).problem is None
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
