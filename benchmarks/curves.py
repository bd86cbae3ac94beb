"""Time to accuracy of finished runs: a table of where they ended, and a picture of how they got there.

    python benchmarks/curves.py RUN_FOLDER ... --out curves.png

Runs of one movie, preset and length are rows of one line: means over seeds, smallest and largest in brackets. Seconds
are those that the runs took, beside whatever else the machine did.
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
    """How one run went: of which movie, with which preset, and the columns of its metrics."""

    movie: str
    preset: str
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, folder: Path) -> Curve:
        """Read it from a run folder."""
        with (folder / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        names = ("pairs_seen", "seconds", *FIELDS)
        config = read_run(folder).config
        columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
        return cls(Path(config.input_train[0]).stem, config.preset, columns)

    @property
    def group(self) -> tuple[str, str, float]:
        """Which line of the table it belongs to."""
        return self.movie, self.preset, self.columns["pairs_seen"][-1]


def main() -> None:
    """Print and draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    arguments = parser.parse_args()
    curves = sorted((Curve.of(folder) for folder in arguments.runs), key=lambda curve: curve.group)
    print("| movie | preset | runs | pairs | seconds | " + " | ".join(FIELDS) + " |")
    print("|---" * (len(FIELDS) + 5) + "|")
    for (movie, preset, pairs), members in itertools.groupby(curves, lambda curve: curve.group):
        ended = [{name: values[-1] for name, values in curve.columns.items()} for curve in members]
        cells = [_mean_and_range([one[name] for one in ended]) for name in FIELDS]
        seconds = np.mean([one["seconds"] for one in ended])
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
        axes[row, column].set(xlabel=label, xscale="log", title="" if row else movie, ylim=(0.4, 0.9))
        axes[row, column].xaxis.set_minor_formatter(NullFormatter())
        axes[row, column].axhline(0.5, color="grey", lw=0.8, ls=":")
    for preset in dict.fromkeys(curve.preset for curve in curves):
        axes[0, 0].plot([], [], color=COLOURS.get(preset, "black"), label=preset)
    axes[0, 0].legend()
    figure.supylabel("validation accuracy where it changes")
    figure.savefig(path, dpi=100)


def smooth(values: np.ndarray) -> np.ndarray:
    """Return means over neighbouring epochs, an eighth of them at a time."""
    width = max(1, len(values) // 8)
    means: np.ndarray = np.convolve(values, np.full(width, 1 / width), mode="valid")
    return means


if __name__ == "__main__":
    main()
