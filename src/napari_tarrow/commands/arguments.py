"""Options of the engine as options of a command: argparse splits the line, the engine checks the values."""

from __future__ import annotations

import argparse
import re
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, cast, get_args, get_origin

from .. import __version__
from ..engine.errors import UserError
from ..engine.options import hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from ..engine.options import Options


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are sentences, and that keeps only what was given.

    Long options may be written with underscores or hyphens. Values stay text: what is wrong with them is said in one
    place, by the options themselves.

    Parameters
    ----------
    program, description, epilog
        What the help shows: the command's name, what it does, and examples.
    words
        Values that are given by their place instead of by a name, all of them required: ``{"MODEL": "its help"}``.
        They end up in the namespace in lower case, without a file ending.
    """

    def __init__(
        self, program: str, description: str, epilog: str = "", words: Mapping[str, str] | None = None
    ) -> None:
        self._words = words or {}
        self._takes_several = False  # whether the line has an option that may have swallowed words
        super().__init__(
            prog=program,
            usage=" ".join([program, *self._words, "[options]"]),
            description=description,
            epilog=epilog,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            add_help=False,
            exit_on_error=False,
            formatter_class=_HelpFormatter,
        )
        for name, text in self._words.items():
            self.add_argument(name.partition(".")[0].lower(), metavar=name, help=text)
        self.general = self.add_argument_group("General")
        self.general.add_argument("-h", "--help", action="help", help="Show this help and leave.")
        version = f"{program} {__version__}"
        self.general.add_argument("--version", action="version", version=version, help="Show the version and leave.")

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Split a command line into the options given.

        Raises
        ------
        UserError
            For an unknown option (with the nearest known one), one without its value, a word missing or too many, or
            an empty one, such as an unset variable of the shell leaves.
        """
        known = [name for action in self._actions for name in action.option_strings]
        words = [_underscored(word, known) for word in argv]
        several = {name for action in self._actions if action.nargs == "+" for name in action.option_strings}
        self._takes_several = any(word in several for word in words)
        try:
            namespace, rest = self.parse_known_args(words)
        except argparse.ArgumentError as error:
            if error.argument_name is None:  # a word is missing: newer Pythons raise where older ones call `error`
                self.error(error.message)
            raise UserError(_sentence(error)) from None
        if rest:
            raise UserError(self._left(rest, known))
        self._refuse_empty(namespace)
        return namespace

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print under a page of usage."""
        how = f" Write: {self.usage}" if self._words else ""
        if how and self._takes_several:
            how += ". What follows an option of several values belongs to it: give it last."
        raise UserError(f"{message[:1].upper()}{message[1:]}.{how}")

    def _refuse_empty(self, namespace: argparse.Namespace) -> None:
        names = {name.partition(".")[0].lower(): name for name in self._words}
        for name, value in vars(namespace).items():
            if "" in (value if isinstance(value, list) else [value]):
                shown = names.get(name, f"--{name}")
                raise UserError(f"{shown} is empty. Write something there; is a variable of the shell not set?")

    def _left(self, rest: Sequence[str], known: Sequence[str]) -> str:
        if self._words and not any(word.startswith("-") for word in rest):
            return f"{rest[0]!r} is one word too many. Write: {self.usage}"
        return _unknown(rest, known)


def add_options(parser: argparse.ArgumentParser, options: type[Options], *, besides: str = "interactive") -> None:
    """Add every field of `options`, under its group's heading.

    Parameters
    ----------
    parser
        Gets one option per field, named with underscores.
    options
        Described by `napari_tarrow.engine.options.option`.
    besides
        Preset whose values the help shows where they differ from the defaults.
    """
    headings: dict[str, argparse._ArgumentGroup] = {}
    preset = options.presets.get(besides, {})
    for name, field in options.model_fields.items():
        extra = cast("dict[str, Any]", field.json_schema_extra)
        group = extra["group"]
        if group not in headings:
            headings[group] = parser.add_argument_group(group)
        flags = [flag for flag in (extra["flag"], f"--{name}") if flag]
        values = {"default": field.default}
        if preset.get(name, field.default) != field.default:
            values[besides] = preset[name]
        headings[group].add_argument(*flags, dest=name, help=_help(field, values), **_shape(field.annotation))


def given_values(namespace: argparse.Namespace, options: type[Options]) -> dict[str, Any]:
    """Return the fields of `options` that were given, still as text (lists of it, or a lone flag's True)."""
    return {name: value for name, value in vars(namespace).items() if name in options.model_fields}


class _HelpFormatter(argparse.HelpFormatter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_help_position": 34, **kwargs})


def _shape(annotation: Any) -> dict[str, Any]:
    """How many values an option of this type takes, and what the help calls them."""
    kind = _plain(annotation)
    if kind is bool:
        return {"nargs": "?", "const": True, "metavar": "yes|no"}
    if get_origin(kind) is Literal:
        return {"metavar": "|".join(map(str, get_args(kind)))}
    if get_origin(kind) is tuple:
        item = _plain(get_args(kind)[0])
        if get_origin(item) is tuple:  # start and end; repeatable, and told apart by `split_train` given twice
            return {"nargs": "+", "action": "append", "metavar": "START END"}
        return {"nargs": "+", "action": "extend", "metavar": "PATH" if item is str else "N"}
    return {"metavar": {int: "N", float: "X"}.get(kind, "TEXT")}


def _plain(annotation: Any) -> Any:
    """Strip ``| None`` and ``Annotated`` from a type."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def _help(field: FieldInfo, values: dict[str, Any]) -> str:
    shown = [f"{label}: {_written(value)}" for label, value in values.items() if value not in (None, (), "")]
    end = f" ({'; '.join(shown)})" if shown else ""
    return f"{field.description}{end}".replace("%", "%%")


def _written(value: Any) -> str:
    """Write a value as it would be given on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _underscored(word: str, known: Iterable[str]) -> str:
    name, equals, value = word.partition("=")
    if re.fullmatch(r"--\w[\w-]*", name):
        return f"--{name[2:].replace('-', '_')}{equals}{value}"
    double = f"-{name}".replace("-", "_").replace("__", "--", 1)
    if re.fullmatch(r"-\w[\w-]+", name) and double in known:  # `-outdir x` would be read as `-o utdir`
        raise UserError(f"{name} has one hyphen too few. Write {double}.")
    return word


def _sentence(error: argparse.ArgumentError) -> str:
    name = (error.argument_name or "").split("/")[-1]
    if "explicit" in error.message:
        return f"{name} takes no value. Give it alone."
    return f"{name} needs a value. Write it after the name; --help describes every option."


def _unknown(rest: Sequence[str], known: Sequence[str]) -> str:
    option = next((word for word in rest if word.startswith("-")), None)
    if option is None:
        return f"{rest[0]!r} belongs to no option. Movies are given as --input_train MOVIE."
    name = option.partition("=")[0]
    bare = {long[2:]: long for long in known if long.startswith("--")}
    return f"Unknown option {name}.{hint(name.lstrip('-'), bare, '--') or ' See --help for all of them.'}"
