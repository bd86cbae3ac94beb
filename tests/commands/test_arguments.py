"""Options of the engine become options of a command, all of them and with the same meaning."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import pytest

from napari_tarrow.commands.arguments import CommandParser, add_options, given_values
from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError


@pytest.fixture
def parser() -> CommandParser:
    parser = CommandParser("train-it", "Trains it.")
    add_options(parser, TrainConfig)
    return parser


def given(parser: CommandParser, *words: str) -> dict[str, Any]:
    return given_values(parser.read(words), TrainConfig)


# Two values for every option that type and bounds alone do not suggest.
SPECIAL = {
    "preset": "interactive",
    "input_train": ("a.tif", "b"),
    "input_val": ("c.tif",),
    "split_train": ((0.0, 0.1), (0.2, 0.5)),
    "split_val": ((0.9, 0.95),),
    "delta": (2, 4),
    "ndim": 2,
    "frames": 3,
    "cam_size": 64,
    "contrast": 2.5,
    "z": 3,
}


def another(name: str) -> Any:
    """Return a valid value of an option that is not its default."""
    if name in SPECIAL:
        return SPECIAL[name]
    field = TrainConfig.model_fields[name]
    text = str(field.annotation)
    if get_origin(field.annotation) is Literal:
        return next(choice for choice in get_args(field.annotation) if choice != field.default)
    if field.annotation is bool:
        return not field.default
    if "int" in text:
        return 4 if field.default is None else (field.default or 4) - 1 or 2
    if "float" in text:
        return 0.25
    return "some-text"


def as_words(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [word for item in value for word in as_words(item)]
    return [{True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)]


@pytest.mark.parametrize("name", TrainConfig.model_fields)
@pytest.mark.parametrize("hyphens", [False, True])
def test_every_option_means_on_the_command_line_what_it_means_in_python(
    parser: CommandParser, name: str, hyphens: bool
) -> None:
    option = f"--{name.replace('_', '-')}" if hyphens else f"--{name}"

    values = given(parser, option, *as_words(another(name)))

    assert list(values) == [name]
    config = TrainConfig.from_values(values, prefix="--")
    assert config == TrainConfig.from_values({name: another(name)})
    assert getattr(config, name) == another(name)
    assert name == "ndim" or another(name) != TrainConfig.model_fields[name].default


def test_only_what_is_given_is_returned(parser: CommandParser) -> None:
    assert given(parser) == {}
    assert set(given(parser, "--size", "64", "--delta", "1", "2")) == {"size", "delta"}


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["-e", "5"], "epochs", "5"),
        (["-e5"], "epochs", "5"),
        (["-g", "0-3"], "gpu", "0-3"),
        (["-o", "my-runs"], "outdir", "my-runs"),
        (["--input-train=my-movie.tif"], "input_train", ["my-movie.tif"]),
        (["--n_images", "7", "--n-images", "8"], "n_images", "8"),
        (["--input_train", "a.tif", "--input-train", "b.tif", "c.tif"], "input_train", ["a.tif", "b.tif", "c.tif"]),
    ],
)
def test_short_joined_and_repeated_forms_are_read(
    parser: CommandParser, words: list[str], name: str, value: object
) -> None:
    assert given(parser, *words) == {name: value}


@pytest.mark.parametrize("word", ["yes", "true", "t", "y", "1", "YES", "True", None])
def test_a_flag_is_set_by_any_yes_or_alone(parser: CommandParser, word: str | None) -> None:
    values = given(parser, "--binarize", *([word] if word else []), "--size", "64")
    assert TrainConfig.from_values(values).binarize is True


@pytest.mark.parametrize("word", ["no", "false", "f", "n", "0", "NO", "False"])
def test_a_flag_is_cleared_by_any_no(parser: CommandParser, word: str) -> None:
    assert TrainConfig.from_values(given(parser, "--perm_equiv", word)).perm_equiv is False


@pytest.mark.parametrize(
    "words",
    [
        ["--split_train", "0", ".1", "--split_train", ".2", ".5"],
        ["--split_train", "0", ".1", ".2", ".5"],
    ],
)
def test_parts_may_be_repeated_or_listed(parser: CommandParser, words: list[str]) -> None:
    assert TrainConfig.from_values(given(parser, *words)).split_train == ((0.0, 0.1), (0.2, 0.5))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--sise", "3"], "Unknown option --sise. Did you mean --size?"),
        (["--batch-size", "3"], "Unknown option --batch_size. Did you mean --batchsize?"),
        (["--epoch=3"], "Unknown option --epoch. Did you mean --epochs?"),
        (["-x"], "Unknown option -x. See --help for all of them."),
        (["--size", "8", "movie.tif"], "'movie.tif' belongs to no option. Movies are given as --input_train MOVIE."),
        (["--size"], "--size needs a value. Write it after the name; --help describes every option."),
        (["--input-train", "--size", "8"], "--input_train needs a value."),
        (["-e"], "--epochs needs a value."),
        (["--version=3"], "--version takes no value."),
        (["-outdir", "x"], "-outdir has one hyphen too few. Write --outdir."),
        (["-split-train", "0", "1"], "-split-train has one hyphen too few. Write --split_train."),
    ],
)
def test_a_slip_gets_its_sentence(parser: CommandParser, words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        parser.read(words)
    assert str(error.value).startswith(sentence)


def test_no_option_may_be_abbreviated(parser: CommandParser) -> None:
    with pytest.raises(UserError, match="Unknown option --epoch"):
        parser.read(["--epoch", "3"])


def test_help_describes_every_option_with_its_defaults(parser: CommandParser) -> None:
    text = " ".join(parser.format_help().split())
    for name, field in TrainConfig.model_fields.items():
        assert f"--{name} " in text
        assert field.description is not None
        assert " ".join(field.description.split()) in text
    assert "(default: unet; interactive: unet_16fmaps)" in text
    assert "(default: 0 0.9)" in text
    assert "Weight of the decorrelation loss. (default: 0.01)" in text
    assert "(default: no; interactive: yes)" in text


@pytest.fixture
def placed() -> CommandParser:
    parser = CommandParser("score-it", "Scores it.", words={"EVENTS.csv": "What was found.", "KNOWN": "What is known."})
    parser.add_argument("--many", nargs="+")
    return parser


@pytest.mark.parametrize("words", ["a b --many 1 2", "a --many=1 b", "--many=1 a b"])
def test_words_are_told_by_their_place_wherever_options_stand(placed: CommandParser, words: str) -> None:
    namespace = placed.read(words.split())
    assert (namespace.events, namespace.known) == ("a", "b")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The following arguments are required: EVENTS.csv, KNOWN. Write: score-it EVENTS.csv KNOWN [options]"),
        (["a"], "The following arguments are required: KNOWN. Write: score-it EVENTS.csv KNOWN [options]"),
        (["a", "b", "c"], "'c' is one word too many. Write: score-it EVENTS.csv KNOWN [options]"),
        (
            ["--many", "1", "a", "b"],
            "The following arguments are required: EVENTS.csv, KNOWN. Write: score-it EVENTS.csv KNOWN [options]."
            " What follows an option of several values belongs to it: give it last.",
        ),
        (["a", ""], "KNOWN is empty. Write something there; is a variable of the shell not set?"),
        (["a", "b", "--many", "1", ""], "--many is empty. Write something there; is a variable of the shell not set?"),
        (["a", "b", "--manny"], "Unknown option --manny. Did you mean --many?"),
    ],
)
def test_words_missing_or_too_many_are_a_sentence(placed: CommandParser, words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        placed.read(words)
    assert str(refused.value) == sentence
