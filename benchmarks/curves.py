"""Time to accuracy of finished runs: a table of where they ended, and a picture of how they got there.

    python benchmarks/curves.py RUN_FOLDER ... --out curves.png

Runs of one movie, preset and length (minutes, or else pairs) are one line of the table: means over seeds, smallest and
largest in brackets; give runs with the same options otherwise. Seconds are those that the runs took, beside whatever
else the machine did. Runs without a finished epoch are left out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from learning import FIELDS
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from napari_tarrow.engine.training.run_folder import read_run

COLOURS = {"interactive": "tab:blue", "paper": "tab:orange"}


@dataclass(frozen=True)
class Curve:
    """How one run went: of which movie, with which preset and minutes, and the columns of its metrics."""

    movie: str
    preset: str
    minutes: float | None
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, folder: Path) -> Curve:
        """Read it from a run folder."""
        rows = epochs_of(folder)
        names = ("pairs_seen", "seconds", *FIELDS)
        config = read_run(folder).config
        columns = {name: np.array([row[name] for row in rows]) for name in names}
        movie = Path(config.input_train[0]).stem if config.input_train else folder.name
        return cls(movie, config.preset, config.minutes, columns)

    @property
    def group(self) -> tuple[str, str, float]:
        """Which line of the table it belongs to."""
        return self.movie, self.preset, self.minutes or self.columns["pairs_seen"][-1]


def main() -> None:
    """Print and draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    arguments = parser.parse_args()
    read = [Curve.of(folder) for folder in arguments.runs]
    curves = sorted((one for one in read if len(one.columns["pairs_seen"])), key=lambda curve: curve.group)
    print("| movie | preset | runs | pairs | seconds | " + " | ".join(FIELDS) + " |")
    print("|---" * (len(FIELDS) + 5) + "|")
    for (movie, preset, _), members in itertools.groupby(curves, lambda curve: curve.group):
        ended = [{name: values[-1] for name, values in curve.columns.items()} for curve in members]
        cells = [_mean_and_range([one[name] for one in ended]) for name in FIELDS]
        pairs, seconds = (np.mean([one[name] for one in ended]) for name in ("pairs_seen", "seconds"))
        print(f"| {movie} | {preset} | {len(ended)} | {pairs:,.0f} | {seconds:.0f} | " + " | ".join(cells) + " |")
    _draw(curves, arguments.out)


def _mean_and_range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _draw(curves: list[Curve], path: Path) -> None:
    movies = list(dict.fromkeys(curve.movie for curve in curves))
    figure = Figure(figsize=(4 * len(movies), 6), layout="constrained")
    axes = figure.subplots(2, len(movies), squeeze=False, sharey=True)
    for curve, (row, name) in itertools.product(curves, enumerate(("pairs_seen", "seconds"))):
        place = axes[row, movies.index(curve.movie)]
        x, y = (smooth(curve.columns[column]) for column in (name, "val_accuracy_change"))
        place.plot(x, y, color=COLOURS.get(curve.preset, "black"), lw=1)
    for (row, label), (column, movie) in itertools.product(enumerate(("pairs seen", "seconds")), enumerate(movies)):
        axes[row, column].set(xlabel=label, xscale="log", title="" if row else movie)
        axes[row, column].xaxis.set_minor_formatter(NullFormatter())
        axes[row, column].axhline(0.5, color="grey", lw=0.8, ls=":")
    for preset in dict.fromkeys(curve.preset for curve in curves):
        axes[0, 0].plot([], [], color=COLOURS.get(preset, "black"), label=preset)
    axes[0, 0].legend()
    figure.supylabel("validation accuracy where it changes")
    figure.savefig(path, dpi=100)


def epochs_of(folder: Path) -> list[dict[str, float]]:
    """Return the rows of a run's metrics, as numbers; none where no epoch was finished."""
    path = folder / "metrics.csv"
    lines = path.read_text().splitlines() if path.exists() else []
    return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]


def smooth(values: np.ndarray) -> np.ndarray:
    """Return means over neighbouring epochs, an eighth of them at a time."""
    width = max(1, len(values) // 8)
    means: np.ndarray = np.convolve(values, np.full(width, 1 / width), mode="valid")
    return means


if __name__ == "__main__":
    main()
