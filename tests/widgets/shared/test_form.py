"""The form: the same fields, values and sentences as the command line and a YAML file."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_tarrow.commands.arguments import CommandParser, add_options, given_values
from napari_tarrow.engine.config import INTERACTIVE, TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.options import read_options
from napari_tarrow.widgets.shared.editors import SUGGESTED, Editor, bounds_of, kind_of, written
from napari_tarrow.widgets.shared.form import OptionsForm
from napari_tarrow.widgets.training import recipes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QWidget

parts = st.tuples(st.integers(0, 49), st.integers(50, 100)).map(lambda pair: [pair[0] / 100, pair[1] / 100])
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
paths = st.tuples(words, words).map(" ".join)  # with a space in it

SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "split_train": st.lists(parts, min_size=1, max_size=3),
    "split_val": st.lists(parts, min_size=1, max_size=3),
    "delta": st.lists(st.integers(1, 10**6), min_size=1, max_size=4, unique=True) | st.just("auto"),
    "subsample": st.integers(1, 2**31 - 1) | st.just("auto"),
    "augment": st.integers(0, 5) | st.just("auto"),
    "z": st.integers(0, 2**31 - 1) | st.sampled_from(["max", "mean"]),
    "input_train": st.lists(paths, min_size=1, max_size=3, unique=True),
    "input_val": st.lists(paths, min_size=1, max_size=2, unique=True),
}


def values_of(name: str) -> st.SearchStrategy[Any]:
    """Values that an option takes, by its type and bounds."""
    field = TrainConfig.model_fields[name]
    kind, optional = kind_of(field.annotation)
    if name in SPECIAL:
        return SPECIAL[name]
    low, high = bounds_of(field)
    if get_origin(kind) is Literal:
        found = st.sampled_from(get_args(kind))
    elif kind is bool:
        found = st.booleans()
    elif kind is int:
        found = st.integers(low or 0, 2**31 - 1 if high is None else high)
    elif kind is float:
        positive = any(getattr(part, "gt", None) == 0 for part in field.metadata)
        found = st.floats(1e-6 if positive else low or 0, 1e6 if high is None else high)
    else:
        found = st.sampled_from(SUGGESTED[name]) if name in SUGGESTED else paths
    return st.none() | found if optional else found


VALUES = {name: values_of(name) for name in TrainConfig.model_fields}


@pytest.fixture(scope="module")
def form(qapp: Any) -> OptionsForm:
    """One form for all values: each example begins with it as it was."""
    return OptionsForm(TrainConfig)


def edit(editor: Editor, value: Any) -> None:
    """Do as a user does who types or chooses a value."""
    editor.put(value)
    editor.edited.emit()


def parsed(line: str) -> TrainConfig:
    parser = CommandParser("napari-tarrow-train", "")
    add_options(parser, TrainConfig)
    return TrainConfig.from_values(given_values(parser.read(shlex.split(line)[1:]), TrainConfig))


@pytest.mark.parametrize("name", TrainConfig.model_fields)
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_form_yaml_and_command_line_give_the_same(
    name: str, data: st.DataObject, form: OptionsForm, tmp_path: Path
) -> None:
    value = data.draw(VALUES[name])
    preset = value if name == "preset" else data.draw(st.sampled_from(["paper", "interactive"]))
    form.set_values({"preset": preset}, alone=True)
    expected = TrainConfig.from_values({"preset": preset, name: value})
    edit(form.editor(name), getattr(expected, name))
    assert form.problem is None
    config = form.config()
    assert config == expected
    assert TrainConfig.from_values(form.given()) == expected
    recipes.save(config, tmp_path / "train.yaml")
    assert TrainConfig.from_values(read_options(tmp_path / "train.yaml", TrainConfig)) == expected
    again = parsed(recipes.as_command(config))
    free = {"preset", "epochs"} if config.minutes is not None else {"preset"}  # minutes win over epochs
    left_out = free | ({"input_train"} if not config.input_train else set())
    assert again.model_dump(exclude=left_out) == config.model_dump(exclude=left_out)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.fixed_dictionaries({}, optional=VALUES))
def test_many_values_at_once_come_back(values: dict[str, Any], form: OptionsForm, tmp_path: Path) -> None:
    expected = TrainConfig.from_values(values)
    form.set_values(values, alone=True)
    assert form.config() == expected
    recipes.save(expected, tmp_path / "train.yaml")
    form.set_values(recipes.load(tmp_path / "train.yaml"), alone=True)
    assert form.config() == expected


def test_titles_and_descriptions_are_those_of_the_options(form: OptionsForm) -> None:
    for name, field in TrainConfig.model_fields.items():
        editor = form.editor(name)
        assert field.description in editor.toolTip()
        assert editor.inner.accessibleName() == field.title


def test_training_may_start_from_the_network_of_the_package(
    form: OptionsForm, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/a/run")
    packaged, folder = form.editor("init").button.menu().actions()
    assert (packaged.text(), folder.text()) == ("General nuclei", "Choose a folder…")
    with qtbot.waitSignal(form.changed):
        packaged.trigger()
    assert form.config().init == "general_nuclei"
    folder.trigger()
    assert form.config().init == "/a/run"


def test_a_preset_changes_what_was_not_touched(qtbot: QtBot) -> None:
    form = OptionsForm(TrainConfig)
    qtbot.addWidget(form)
    edit(form.editor("size"), 80)
    edit(form.editor("preset"), "interactive")
    assert form.config() == TrainConfig(preset="interactive", size=80)
    assert form.editor("batchsize").get() == INTERACTIVE["batchsize"]
    edit(form.editor("preset"), "paper")
    assert form.config() == TrainConfig(size=80)
    assert form.given() == {"preset": "paper", "size": 80}


def test_proposals_win_over_the_preset_and_lose_to_the_user(qtbot: QtBot) -> None:
    form = OptionsForm(TrainConfig)
    qtbot.addWidget(form)
    edit(form.editor("channels"), 2)
    form.propose({"preset": "interactive", "device": "cpu", "channels": 3, "size": 32})
    assert form.config() == TrainConfig(preset="interactive", device="cpu", channels=2, size=32)


def test_a_wrong_value_is_said_below_its_field_and_mended(qtbot: QtBot) -> None:
    form = OptionsForm(TrainConfig)
    qtbot.addWidget(form)
    form.show()
    line = form.editor("delta").inner
    line.clear()
    qtbot.keyClicks(line, "1 zwei")
    assert form.problem == form.problem_of("delta") == "Time steps holds 'zwei'; it should be a whole number."
    with pytest.raises(UserError, match="Time steps holds 'zwei'"):
        form.config()
    qtbot.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(line, "1, 2")
    assert form.problem is None
    assert form.config().model_dump()["delta"] == (1, 2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("split_train", "0.9 0.1", "Training part is 0.9 0.1; give a start below an end, both between 0 and 1."),
        ("split_val", "0.9", "Validation part: one number cannot be paired; give a start and an end for each part."),
        ("minutes", "-3", "Minutes is -3; it should be above 0."),
        ("lr", "", "Learning rate is ''; it should be a number."),
        ("lr", "nan", "Learning rate is nan; it should be a finite number."),
        ("seed", "1.5", "Seed is 1.5; it should be a whole number."),
        ("delta", "", "Time steps is empty; give whole numbers from 1 on."),
    ],
)
def test_what_is_wrong_is_a_sentence(name: str, text: str, said: str, form: OptionsForm) -> None:
    form.set_values({}, alone=True)
    line = form.editor(name).inner
    line.setText(text)
    form.editor(name).edited.emit()
    assert form.problem_of(name).replace("delta is", "Time steps is") == said


def test_several_wrong_fields_are_all_marked(form: OptionsForm) -> None:
    form.set_values({}, alone=True)
    for name in ("lr", "minutes"):
        form.editor(name).inner.setText("x")
        form.editor(name).edited.emit()
    assert form.problem_of("lr")
    assert form.problem_of("minutes")
    form.set_values({}, alone=True)
    assert form.problem is None


def test_wrong_settings_from_a_file_change_nothing(form: OptionsForm) -> None:
    form.set_values({"size": 64}, alone=True)
    before = form.values()
    with pytest.raises(UserError, match="sizze"):
        form.set_values({"sizze": 3})
    with pytest.raises(UserError, match="size is 3"):
        form.set_values({"size": 3})
    assert form.values() == before


def test_the_wheel_changes_nothing_by_accident(qtbot: QtBot, turn_wheel: Callable[[QWidget], None]) -> None:
    form = OptionsForm(TrainConfig)
    qtbot.addWidget(form)
    before = form.values()
    for name in ("size", "preset", "backbone"):
        turn_wheel(form.editor(name).inner)
    assert form.values() == before


def test_suggestions_are_what_the_engine_knows() -> None:
    from napari_tarrow.engine.models import BACKBONES, CLASSIFICATION_HEADS, PROJECTION_HEADS

    assert SUGGESTED["backbone"] == BACKBONES
    assert SUGGESTED["projhead"] == PROJECTION_HEADS
    assert SUGGESTED["classhead"] == CLASSIFICATION_HEADS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (1e-4, "0.0001"),
        (2.0, "2"),
        ((1, 2), "1 2"),
        (((0.0, 0.5),), "0 0.5"),
        (("a b",), "'a b'"),
    ],
)
def test_values_are_written_as_on_the_command_line(value: Any, text: str) -> None:
    assert written(value) == text
