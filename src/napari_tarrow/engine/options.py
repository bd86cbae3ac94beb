"""What every set of options shares: strict fields, presets, and error messages a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from .errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails


def option(
    default: Any, description: str, *, title: str, group: str, basic: bool = False, flag: str = "", **limits: Any
) -> Any:
    """Describe one option: the only place that command line, YAML, form and docs take it from.

    Parameters
    ----------
    default
        The value where neither the user nor a preset gives one.
    description
        One sentence for help, form and docs.
    title
        Label in the form.
    group
        Heading it stands under in help, form and docs.
    basic
        Whether the form shows it outside "Advanced".
    flag
        A short form for the command line, such as ``-e``.
    **limits
        Bounds as pydantic takes them (``ge``, ``le``, ``gt``, ``lt``).
    """
    extra: dict[str, Any] = {"group": group, "basic": basic, "flag": flag}
    return Field(default=default, title=title, description=description, json_schema_extra=extra, **limits)


class Options(BaseModel):
    """A frozen set of options that refuses what it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=False,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,  # a YAML `name: 2023` or `gpu: 0` means the text
        defer_build=True,  # `--help` describes options without checking any
    )

    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def from_values(
        cls,
        values: Mapping[str, Any],
        *,
        source: str = "",
        prefix: str = "",
        called: Mapping[str, str] | None = None,
    ) -> Self:
        """Check values that come from outside.

        Parameters
        ----------
        values : mapping of option names to values
            A preset among them (``preset``) sets the defaults of the others.
        source : str
            Where the values come from (a file name), for error messages.
        prefix : str
            Written before an option's name in error messages, such as ``--``.
        called : mapping of option names to what error messages call them
            Where values come from several places: ``{"size": "--size", "lr": "lr in hela.yaml"}``. An option in it
            takes neither `source` nor `prefix`.

        Raises
        ------
        UserError
            For an unknown name (with the nearest known one) or a value of the wrong type or outside its bounds.
        """
        cls.check_names(values, source=source, prefix=prefix)
        try:
            return cls(**values)
        except ValidationError as error:
            raise UserError(_explain(error.errors(), source, prefix, called or {})) from None

    @classmethod
    def check_names(cls, names: Iterable[str], *, source: str = "", prefix: str = "") -> None:
        """Refuse a name that is no option.

        Raises
        ------
        UserError
            With the nearest known name.
        """
        for name in names:
            if name not in cls.model_fields:
                place = f" in {source}" if source else ""
                raise UserError(f"Unknown option {prefix}{name}{place}.{hint(str(name), cls.model_fields, prefix)}")

    @field_validator("*", mode="before")
    @classmethod
    def _as_plain_values(cls, value: Any, info: ValidationInfo) -> Any:
        field, value = cls.model_fields[cast("str", info.field_name)], _of_python(value)
        return value if field.annotation is bool else _without_booleans(value)

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, values: Any) -> Any:
        field = cls.model_fields.get("preset")
        if field is None or not isinstance(values, dict):
            return values
        preset = values.get("preset", field.default)
        return {**(cls.presets.get(preset, {}) if isinstance(preset, str) else {}), **values}


def hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return `` Did you mean NAME?``, or where nothing is near, an empty text."""
    close = nearest(name, known)
    return f" Did you mean {prefix}{close}?" if close else ""


def read_options(path: Path, options: type[Options]) -> dict[str, Any]:
    """Read a YAML file of options and check their names.

    Raises
    ------
    UserError
        If the file cannot be read, is no mapping, or holds an unknown option.
    """
    from .files import read_yaml

    values = read_yaml(path)
    options.check_names(values, source=str(path))
    return values


# What pydantic's kinds of error ask for, in words; a name in braces is filled in from the error.
_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "yes or no",
    "bool_parsing": "yes or no",
    "string_type": "a text (put it in quotes)",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
}


def _explain(errors: Sequence[ErrorDetails], source: str, prefix: str, called: Mapping[str, str]) -> str:
    error = errors[0]
    errors = [one for one in errors if one["loc"][:1] == error["loc"][:1]]  # of the same option
    name = str(error["loc"][0]) if error["loc"] else ""
    place = f" in {source}" if source else ""
    label = called.get(name, f"{prefix}{name}{place}")
    context = error.get("ctx", {})
    if error["type"] == "value_error":  # written by a validator of ours: already a sentence
        return f"{label}: {context['error']}" if name else str(context["error"])
    wanted = _WANTED.get(error["type"], "").format_map(_plain(context)) or error["msg"]
    verb = "holds" if any(isinstance(part, int) for part in error["loc"]) else "is"
    words = next((one["ctx"]["expected"] for one in errors if one["type"] == "literal_error"), "")
    if verb == "is" and words and error["type"] != "literal_error":
        wanted = f"{wanted} or {words}"
    alone = words.split("'")[1::2]
    if verb == "holds" and error["input"] in alone:
        return f"{label} holds {_shown(error['input'])} beside other values; give it alone."
    guess = hint(_shown(error["input"]).strip("'"), alone)
    return f"{label} {verb} {_shown(error['input'])}; it should be {wanted}.{guess}"


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}


def _shown(value: Any) -> str:
    """Show a value as it was written: numbers bare, text in quotes, nothing as empty, nothing longer than a line."""
    if value is None:
        return "empty"
    try:
        text = str(value)
    except ValueError:  # Python refuses to write whole numbers of thousands of digits
        return "a number of thousands of digits"
    if len(text) > 60:
        return f"{text[:60]}..."
    return repr(value) if isinstance(value, str) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_python(value: Any) -> Any:
    """Take numbers and short arrays of NumPy, ranges and iterators as Python's own numbers and lists."""
    if hasattr(value, "tolist") and getattr(value, "ndim", 1) <= 2:  # more is a movie
        return value.tolist()
    return list(value) if isinstance(value, range | Iterator) else value


def _without_booleans(value: Any, levels: int = 2) -> Any:
    """Write booleans as words: pydantic would take a YAML `epochs: yes` for one epoch."""
    if isinstance(value, (list, tuple)) and levels:
        return type(value)(_without_booleans(item, levels - 1) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def said(value: Any) -> Any:
    """Return the value of an option as sentences name it."""
    return "none" if value is None else value
