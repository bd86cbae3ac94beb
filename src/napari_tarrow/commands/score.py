"""`napari-tarrow-score`: how well a table of events agrees with known divisions."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from ..engine.errors import UserError
from ..engine.options import Options, option
from .arguments import CommandParser, add_options, given_values
from .running import run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.inference.events.scoring import Cut, Score

PROGRAM = "napari-tarrow-score"
_DESCRIPTION = """
Compare a table of events with divisions that are known: which of them are found, and how high in the list. Events and
divisions are matched one to one, nearest first.
"""
_EPILOG = f"""
Example: `{PROGRAM} events.csv my_divisions.csv` compares what napari-tarrow-attribute found with your list. Both files
need a first line of column names: frame, y, x (and score for events); other columns are left alone. The frame of a
division is the last one before it; y and x are in pixels.
"""
_WORDS = {
    "EVENTS.csv": "Table of events, as napari-tarrow-attribute writes it.",
    "DIVISIONS.csv": "Table of known divisions: columns frame (the last before the division), y and x (in pixels).",
}


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


class ScoreConfig(Options):
    """How near an event has to be to a division to be it."""

    distance: float = option(15.0, "Farthest distance in pixels.", title="Distance", group="Matching", gt=0)
    frames: Annotated[tuple[Annotated[int, Field(ge=0, le=10**9)], ...], BeforeValidator(_several)] = option(
        (1, 6),
        "Farthest distance in frames; one column of scores for each.",
        title="Frames",
        group="Matching",
        min_length=1,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Score as a command line says.

    Parameters
    ----------
    argv
        The words after the command's name; those of this process where nothing is given.

    Returns
    -------
    int
        Exit code: 0 compared, 2 something to mend (said in one line), 130 stopped.
    """
    return run_command(PROGRAM, lambda: _score(sys.argv[1:] if argv is None else argv))


def _score(argv: Sequence[str]) -> int:
    parser = CommandParser(PROGRAM, _DESCRIPTION, _EPILOG, _WORDS)
    parser.general.add_argument("--json", action="store_true", help="Print one JSON object instead of a table.")
    add_options(parser, ScoreConfig)
    namespace = parser.read(argv)
    config = ScoreConfig.from_values(given_values(namespace, ScoreConfig), prefix="--")
    events, divisions = namespace.events, namespace.divisions
    scores = _scores(events, divisions, config)
    if "json" in namespace:
        print(json.dumps(_values(events, divisions, scores), indent=1))
    else:
        print("\n".join(_lines(events, divisions, scores)))
    return 0


def _scores(events: str, divisions: str, config: ScoreConfig) -> list[Score]:
    from ..engine.inference.events.scoring import read_divisions, score
    from ..engine.inference.events.table import read_events

    table, known = read_events(events), read_divisions(divisions)
    if not known:
        raise UserError(f"{divisions} holds no division. Without one there is nothing to compare with.")
    return [
        score(table.events, known, distance=config.distance, frames=frames, threshold=table.threshold)
        for frames in config.frames
    ]


def _values(events: str, divisions: str, scores: Sequence[Score]) -> dict[str, Any]:
    rows = [{name: value for name, value in asdict(one).items() if name != "matches"} for one in scores]
    return {"events": events, "divisions": divisions, "scores": rows}


def _lines(events: str, divisions: str, scores: Sequence[Score]) -> list[str]:
    first = scores[0]
    n, chosen = first.known, first.chosen
    rows = [
        ("within", [_count(one.frames, "frame") for one in scores]),
        (f"recall, {n} strongest (N)", [f"{one.recall_at_n:.3f}" for one in scores]),
        (f"recall, {2 * n} strongest (2 N)", [f"{one.recall_at_2n:.3f}" for one in scores]),
        (f"precision, {n} strongest (N)", [f"{one.precision_at_n:.3f}" for one in scores]),
        ("average precision", [f"{one.average_precision:.3f}" for one in scores]),
        *_cut_rows("best threshold", [one.best for one in scores]),
        *(_cut_rows("threshold of the table", [one.chosen for one in scores if one.chosen]) if chosen else []),
    ]
    widths = [max(len(label) for label, _ in rows), *(max(len(row[1][i]) for row in rows) for i in range(len(scores)))]
    return [
        f"{_count(first.events, 'event')} in {events}, {_count(n, 'division')} in {divisions}; matched within"
        f" {first.distance:g} pixels.",
        "",
        *("   ".join([label.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for label, cells in rows),
        *([] if chosen else ["", f"{events} says of no event whether it is above a threshold (column above)."]),
    ]


def _cut_rows(name: str, cuts: Sequence[Cut]) -> list[tuple[str, list[str]]]:
    return [
        (f"{name}: F1", [f"{cut.f1:.3f}" for cut in cuts]),
        ("  precision", [f"{cut.precision:.3f}" for cut in cuts]),
        ("  recall", [f"{cut.recall:.3f}" for cut in cuts]),
        ("  events", [f"{cut.events}" for cut in cuts]),
        ("  weakest score", ["" if cut.threshold is None else f"{cut.threshold:.4g}" for cut in cuts]),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
