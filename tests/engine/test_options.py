"""Values from outside are taken, or refused with a sentence that says what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.options import Options, hint, option, read_options

if TYPE_CHECKING:
    from pathlib import Path


class Cooking(Options):
    """How to cook."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"usual": {}, "quick": {"minutes": 3, "salt": 0.5}}

    preset: Literal["usual", "quick"] = option("usual", "Sets the others.", title="Preset", group="A")
    minutes: int = option(10, "How long.", title="Minutes", group="A", basic=True, flag="-m", ge=1, lt=100)
    salt: float = option(1.0, "How much.", title="Salt", group="B", gt=0, le=2.5)
    lid: bool = option(False, "Covered.", title="Lid", group="B")
    guests: tuple[int, ...] = option((1,), "Who comes.", title="Guests", group="B")
    dish: str | None = option(None, "What.", title="Dish", group="B")


def refusal(values: dict[str, Any], **how: Any) -> str:
    with pytest.raises(UserError) as error:
        Cooking.from_values(values, **how)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("minutes", "5", 5),
        ("minutes", 5.0, 5),
        ("minutes", np.int64(5), 5),
        ("salt", np.float32(0.5), 0.5),
        ("lid", np.True_, True),
        ("guests", np.array([1, 2]), (1, 2)),
        ("guests", range(1, 3), (1, 2)),
        ("guests", iter([1, 2]), (1, 2)),
        ("salt", "1e-1", 0.1),
        ("lid", "yes", True),
        ("guests", ["1", 2], (1, 2)),
        ("dish", 2023, "2023"),
        ("dish", None, None),
    ],
)
def test_a_value_may_come_as_text_or_number(name: str, value: object, taken: object) -> None:
    assert getattr(Cooking.from_values({name: value}), name) == taken


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("minutes", "long", "minutes is 'long'; it should be a whole number."),
        ("minutes", 1.5, "minutes is 1.5; it should be a whole number."),
        ("minutes", None, "minutes is empty; it should be a whole number."),
        ("minutes", True, "minutes is 'yes'; it should be a whole number."),
        ("minutes", [1], "minutes is [1]; it should be a whole number."),
        ("minutes", "0", "minutes is 0; it should be at least 1."),
        ("minutes", 100, "minutes is 100; it should be below 100."),
        ("minutes", "9" * 5000, f"minutes is {'9' * 60}...; it should be a smaller number."),
        ("salt", "much", "salt is 'much'; it should be a number."),
        ("salt", float("inf"), "salt is inf; it should be a finite number."),
        ("salt", 0, "salt is 0; it should be above 0."),
        ("salt", 3, "salt is 3; it should be at most 2.5."),
        ("lid", "maybe", "lid is 'maybe'; it should be yes or no."),
        ("lid", None, "lid is empty; it should be yes or no."),
        ("guests", 3, "guests is 3; it should be a list."),
        ("guests", [1, "x"], "guests holds 'x'; it should be a whole number."),
        ("guests", [1, False], "guests holds 'no'; it should be a whole number."),
        ("dish", ["soup"], "dish is ['soup']; it should be a text (put it in quotes)."),
        ("preset", "quikc", "preset is 'quikc'; it should be 'usual' or 'quick'. Did you mean quick?"),
        ("preset", "xyz", "preset is 'xyz'; it should be 'usual' or 'quick'."),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_should_be(name: str, value: object, sentence: str) -> None:
    assert refusal({name: value}) == sentence


def test_a_refusal_says_where_the_value_comes_from() -> None:
    assert refusal({"salt": 0}, source="a.yaml") == "salt in a.yaml is 0; it should be above 0."
    assert refusal({"salt": 0}, prefix="--") == "--salt is 0; it should be above 0."
    assert refusal({"salt": 0}, prefix="--", called={"salt": "salt in a.yaml"}).startswith("salt in a.yaml is 0;")
    assert refusal({"salt": 0}, prefix="--", called={"lid": "lid in a.yaml"}).startswith("--salt is 0;")


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    assert refusal({"minuts": 3}, prefix="--") == "Unknown option --minuts. Did you mean --minutes?"
    assert refusal({"minuts": 3}, source="a.yaml") == "Unknown option minuts in a.yaml. Did you mean minutes?"
    assert refusal({"qqqq": 3}) == "Unknown option qqqq."


def test_a_preset_sets_defaults_and_gives_way_to_what_is_given() -> None:
    cooking = Cooking.from_values({"preset": "quick", "salt": 2})
    assert (cooking.minutes, cooking.salt, cooking.lid) == (3, 2.0, False)
    assert Cooking.from_values({}) == Cooking()


def test_options_cannot_be_changed() -> None:
    cooking = Cooking()
    with pytest.raises(ValidationError, match="frozen"):
        cooking.salt = 2.0


def test_nearest_proposes_nothing_where_nothing_is_near() -> None:
    assert hint("sise", ["size", "seed"], "--") == " Did you mean --size?"
    assert hint("sise", []) == ""


def test_a_file_s_names_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "cook.yaml"
    path.write_text("minutes: 3\nsalt: 1e-1\n")
    assert read_options(path, Cooking) == {"minutes": 3, "salt": "1e-1"}

    path.write_text("pepper: 3\n")
    with pytest.raises(UserError, match=r"Unknown option pepper in .*cook\.yaml"):
        read_options(path, Cooking)


def test_an_option_carries_what_faces_show() -> None:
    field = Cooking.model_fields["minutes"]
    assert (field.title, field.description) == ("Minutes", "How long.")
    assert field.json_schema_extra == {"group": "A", "basic": True, "flag": "-m"}
