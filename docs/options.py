"""Tables of all options, made from their one description, in `options.md`.

    python docs/options.py

writes them anew; the tests say where they are not what the code has.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from napari_tarrow.engine.config import AttributeConfig, EmbedConfig, TrainConfig

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from napari_tarrow.engine.options import Options

SETS: dict[str, type[Options]] = {"train": TrainConfig, "embed": EmbedConfig, "attribute": AttributeConfig}
PAGE = Path(__file__).with_suffix(".md")
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def with_tables(source: str) -> str:
    """Put the tables in their places in a page: between ``<!-- options of train -->`` and ``<!-- end -->``."""

    def filled(found: re.Match[str]) -> str:
        return f"{found[1]}\n\n{tables(SETS[found[2]])}\n{found[3]}"

    return re.sub(r"(<!-- options of (\w+) -->).*?(<!-- end -->)", filled, source, flags=re.DOTALL)


def tables(options: type[Options]) -> str:
    """One table per group of options, in the order of the form."""
    groups: dict[str, list[str]] = {}
    for name, field in options.model_fields.items():
        extra: Any = field.json_schema_extra
        groups.setdefault(extra["group"], []).append(_row(options, name, field, extra))
    return "\n".join(f"### {group}\n\n{_head(options)}{''.join(rows)}" for group, rows in groups.items())


def _head(options: type[Options]) -> str:
    columns = ["option", *(f"`{preset}`" for preset in options.presets or ()), "what it does"]
    if not options.presets:
        columns.insert(1, "default")
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"


def _row(options: type[Options], name: str, field: FieldInfo, extra: dict[str, Any]) -> str:
    option = f"`--{name}`" if not extra["flag"] else f"`{extra['flag']}`, `--{name}`"
    if extra["basic"]:
        option = f"**{option}**"
    meaning = " ".join(part for part in (field.description, _choices(field), _limits(field)) if part)
    cells = (text.replace("|", r"\|") for text in (option, *_values(options, name, field), meaning))
    return f"| {' | '.join(cells)} |\n"


def _values(options: type[Options], name: str, field: FieldInfo) -> list[str]:
    """Return what an option is where it is not given: in each preset, empty where that is as in the first."""
    if name == "preset":
        return [f"`{preset}`" for preset in options.presets]
    first, *others = [_value(preset.get(name, field.default)) for preset in options.presets.values() or ({},)]
    return [first, *("" if other == first else other for other in others)]


def _choices(field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"One of {', '.join(f'`{choice}`' for choice in choices)}." if len(choices) > 1 else ""


def _limits(field: FieldInfo) -> str:
    found = [
        f"{words} {getattr(limit, bound)}"
        for limit in field.metadata
        for bound, words in _BOUNDS.items()
        if abs(getattr(limit, bound, 2**63)) < 2**62  # beyond, it is no bound that anybody meets
    ]
    return f"({', '.join(found)})" if found else ""


def _value(value: Any) -> str:
    text = _written(value)
    return f"`{text}`" if text else ""


def _written(value: Any) -> str:
    """Write a value as it would be given on the command line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return " ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
