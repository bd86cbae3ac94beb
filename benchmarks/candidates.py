"""Candidates for the preset `interactive`, each alone: what one changed option does to what is learnt and found.

    OMP_NUM_THREADS=1 python benchmarks/candidates.py --movie A.tif A_divisions.csv --movie B.tif --change size=32

Trains every movie with every seed as the preset is and with each change, on the same number of pairs, and scores events
of the evidence where divisions are known (15 pixels, 6 frames). Prints one row per run, and then, for every movie and
change, means over seeds and the mean difference from the preset's runs with the same seeds, with its standard error.
Options of one change are separated by spaces, values of one option by commas. Runs that are in the folder already are
not trained again, so changes may be added later.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from curves import epochs_of
from time_to_divisions import score_of, train_into

from napari_tarrow.engine.config import INTERACTIVE

EPOCHS = 8
FOUND = ("AP", "best F1", "F1 unlabelled")
LEARNT = ("train_loss", "train_accuracy_change", "val_loss", "val_accuracy_change")
PRESET = "as it is"


@dataclass(frozen=True)
class Run:
    """A training: of which movie, with what changed, from which seed; and below which folder it goes."""

    movie: str
    divisions: str | None
    change: str
    seed: int
    out: Path

    @property
    def folder(self) -> Path:
        """Where its model goes."""
        changed = self.change.replace(" ", "_").replace("=", "-").replace(",", "-")
        return self.out / f"{Path(self.movie).stem}_{changed}_{self.seed}"


def main() -> None:
    """Train, score and print what the command line asks for."""
    arguments = _arguments()
    runs = [
        Run(movie[0], movie[1] if len(movie) > 1 else None, change, seed, arguments.out)
        for change in (PRESET, *arguments.change)
        for seed in arguments.seeds
        for movie in arguments.movie
    ]
    print("| movie | changed | seed | seconds | " + " | ".join((*FOUND, *LEARNT)) + " |")
    print("|---" * (4 + len(FOUND) + len(LEARNT)) + "|")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(lambda run: _row(run, arguments.pairs), runs))
    print("\n| movie | changed | " + " | ".join((*FOUND, *LEARNT)) + " |")
    print("|---" * (2 + len(FOUND) + len(LEARNT)) + "|")
    for movie, *_ in arguments.movie:
        preset = _of(runs, rows, movie, PRESET)
        print(f"| {Path(movie).stem} | {PRESET} | " + " | ".join(f"{mean:.3f}" for mean in preset.mean(0)) + " |")
        for change in arguments.change:
            values = _of(runs, rows, movie, change)
            print(f"| {Path(movie).stem} | {change} | " + " | ".join(_compared(values, preset)) + " |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movie", action="append", nargs="+", required=True, metavar="FILE", help="a movie; divisions")
    parser.add_argument("--change", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pairs", type=int, default=18_432)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path("candidates"))
    return parser.parse_args()


def _row(run: Run, pairs: int) -> list[float]:
    """Train where it has not been done, score, print, and return the figures; nan for what is not known."""
    changed = {} if run.change == PRESET else dict(one.split("=", 1) for one in run.change.split())
    frames = int(changed.get("clip", INTERACTIVE["clip"]))
    steps = len(changed.get("delta", "auto").split(","))
    clips = round(pairs / (steps * frames * (frames - 1) / 2))  # all pairs of a clip count, with every time step
    options = {"seed": str(run.seed), "epochs": str(EPOCHS), "train_samples_per_epoch": str(clips // EPOCHS)}
    options |= {"val_samples_per_epoch": "256", "precision": "bf16"} | changed
    words = [word for name, value in options.items() for word in (f"--{name}", *value.split(","))]
    train_into(run.folder, run.movie, "interactive", *words)
    last = epochs_of(run.folder)[-1]
    values = [*_found(run), *(last[name] for name in LEARNT)]
    cells = [Path(run.movie).stem, run.change, str(run.seed), f"{last['seconds']:.0f}"]
    print("| " + " | ".join([*cells, *(f"{value:.3f}" for value in values)]) + " |", flush=True)
    return values


def _found(run: Run) -> list[float]:
    if run.divisions is None:
        return [np.nan] * len(FOUND)
    found = score_of(run.folder, run.movie, run.divisions)
    assert found.chosen
    return [found.average_precision, found.best.f1, found.chosen.f1]


def _of(runs: list[Run], rows: list[list[float]], movie: str, change: str) -> np.ndarray:
    """Return the figures of one movie and change, one row per seed."""
    return np.array([row for run, row in zip(runs, rows, strict=True) if (run.movie, run.change) == (movie, change)])


def _compared(values: np.ndarray, preset: np.ndarray) -> list[str]:
    difference = values - preset
    error = difference.std(0, ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else difference[0] * np.nan
    return [
        f"{mean:.3f} ({change:+.3f} ± {of:.3f})"
        for mean, change, of in zip(values.mean(0), difference.mean(0), error, strict=True)
    ]


if __name__ == "__main__":
    main()
