"""Time to divisions: what is learnt and found after so many minutes of training, for presets and seeds.

    python benchmarks/time_to_divisions.py MOVIE.tif DIVISIONS.csv --minutes 2 5 20 60 --seeds 0 1 2 --out FOLDER

Trains a network for every preset, seed and duration, one after the other, each in a process of its own, and scores the
events of its evidence as `divisions.py` does. Prints one row per run, and draws the scores against minutes and the
accuracy against pairs (`time_to_divisions.png` in the folder). Runs that are in the folder already are scored, not
trained again; `--finished` scores those only. Times are those of an otherwise idle machine only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from curves import epochs_of, smooth
from divisions import events_of_model
from matplotlib.figure import Figure

from napari_tarrow.engine.config import UseConfig
from napari_tarrow.engine.inference import open_for, suggest_threshold
from napari_tarrow.engine.inference.events.scoring import Score, read_divisions, score
from napari_tarrow.engine.trained import read_trained

HEADINGS = (
    "preset",
    "seed",
    "minutes",
    "pairs",
    "accuracy where it changes",
    "recall at N",
    "AP",
    "best F1",
    "F1 unlabelled",
)


@dataclass(frozen=True)
class Run:
    """A training, and where its model is."""

    preset: str
    seed: int
    minutes: float
    folder: Path


def main() -> None:
    """Train, score, print and draw what the command line asks for."""
    arguments = _arguments()
    print("| " + " | ".join(HEADINGS) + " |")
    print("|---" * len(HEADINGS) + "|")
    found: list[tuple[Run, Score]] = []
    for preset in arguments.presets:
        for seed in arguments.seeds:
            for minutes in arguments.minutes:
                run = _trained(arguments, preset, seed, minutes)
                if run is None:
                    continue
                one = score_of(run.folder, arguments.movie, arguments.divisions)
                found.append((run, one))
                print(_row(run, one), flush=True)
    _draw(found, arguments.out / "time_to_divisions.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie")
    parser.add_argument("divisions")
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 20, 60])
    parser.add_argument("--presets", nargs="+", default=["interactive", "paper"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("time_to_divisions"))
    parser.add_argument("--finished", action="store_true", help="train nothing, score what there is")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of napari-tarrow-train, for every run")
    return parser.parse_args()


def _trained(arguments: argparse.Namespace, preset: str, seed: int, minutes: float) -> Run | None:
    folder = arguments.out / f"{preset}_{seed}_{minutes:g}min"
    if arguments.finished and not folder.exists():
        return None
    train_into(folder, arguments.movie, preset, "--seed", str(seed), "--minutes", f"{minutes:g}", *arguments.options)
    return Run(preset, seed, minutes, folder)


def train_into(folder: Path, movie: str, preset: str, *options: str) -> None:
    """Train in a process of its own, with options of the command, unless the run folder is there already."""
    if folder.exists():
        return
    unfinished = folder.with_name(f"{folder.name}.part")  # of a run that was killed nothing is scored
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-c", "from napari_tarrow.commands.train import main; raise SystemExit(main())"]
    command += ["--input_train", movie, "--preset", preset, "--name", folder.name, "--outdir", str(unfinished)]
    command += ["--tensorboard", "no", "--shortcuts", "no", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    next(unfinished.iterdir()).rename(folder)
    unfinished.rmdir()


def score_of(folder: Path, movie: str, divisions: str) -> Score:
    """Score the events that a trained model finds in a movie."""
    model = read_trained(folder)
    prepared, _ = open_for(model, UseConfig(movie=movie))
    events = events_of_model(model, prepared)
    return score(events, read_divisions(divisions), frames=6, threshold=suggest_threshold(events))


def _row(run: Run, found: Score) -> str:
    last = epochs_of(run.folder)[-1]
    assert found.chosen
    figures = (found.recall_at_n, found.average_precision, found.best.f1, found.chosen.f1)
    cells = [run.preset, str(run.seed), f"{run.minutes:g}", f"{last['pairs_seen']:,.0f}"]
    cells += [f"{last['val_accuracy_change']:.2f}", *(f"{value:.2f}" for value in figures)]
    return "| " + " | ".join(cells) + " |"


def _draw(found: list[tuple[Run, Score]], path: Path) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = dict(zip(dict.fromkeys(run.preset for run, _ in found), ("tab:blue", "tab:orange"), strict=False))
    for run, one in found:
        colour = colours.get(run.preset, "black")
        assert one.chosen
        left.plot(run.minutes, one.best.f1, "o", color=colour)
        left.plot(run.minutes, one.chosen.f1, "o", color=colour, fillstyle="none")
        curve = epochs_of(run.folder)
        columns = (np.array([row[name] for row in curve]) for name in ("pairs_seen", "val_accuracy_change"))
        right.plot(*map(smooth, columns), color=colour)
    minutes = sorted({run.minutes for run, _ in found})
    left.set(xlabel="minutes of training", ylabel="F1 of divisions (15 pixels, 6 frames)", xscale="log", ylim=(0, 1))
    left.set_xticks(minutes, [f"{one:g}" for one in minutes])
    left.minorticks_off()
    right.set(xlabel="pairs seen", ylabel="validation accuracy where it changes", xscale="log")
    right.axhline(0.5, color="grey", lw=0.8, ls=":")
    for preset, colour in colours.items():
        left.plot([], [], "o", color=colour, label=preset)
    left.plot([], [], "o", color="grey", label="at the best threshold")
    left.plot([], [], "o", color="grey", fillstyle="none", label="at the one chosen without labels")
    left.legend(loc="lower right")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
