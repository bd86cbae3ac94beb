"""What is learnt, how fast: accuracy against pairs and seconds, for movies, presets and seeds.

    python benchmarks/learning.py MOVIE.tif ... --minutes 3 --seeds 0 1 2 --options delta=4

Every run is a process of its own (`--jobs` of them at a time, `--threads` threads each). Prints one line per run, then
means and ranges over the seeds; `--out` keeps the whole curves as csv. `--control` trains on movies in which there is
nothing to learn, made from each movie: white noise, played forwards and backwards, shuffled in time.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CONTROLS = ("noise", "palindrome", "shuffled")
FIELDS = ("train_accuracy", "train_accuracy_change", "val_accuracy", "val_accuracy_change", "train_loss", "val_loss")


def main() -> None:
    """Run what the command line asks for."""
    arguments = _arguments()
    movies: list[str | None] = [None, *CONTROLS] if arguments.control == "all" else [arguments.control]
    work = itertools.product(arguments.movies, movies, arguments.presets, arguments.seeds)
    jobs = [
        {"movie": m, "control": c, "preset": p, "seed": s, "minutes": arguments.minutes, "threads": arguments.threads}
        | {"options": dict(map(_option, arguments.options))}
        for m, c, p, s in work
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        curves = list(pool.map(_in_process, jobs))
    _summarise(jobs, curves)
    if arguments.out:
        _write(arguments.out, jobs, curves)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movies", nargs="*")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--presets", nargs="+", default=["interactive", "paper"])
    parser.add_argument(
        "--options",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="for every run: delta=4, split_val=0.7,1; epochs=3 instead of minutes",
    )
    parser.add_argument("--control", choices=[*CONTROLS, "all"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_train(json.loads(arguments.one))))
        sys.exit()
    return arguments


def _option(text: str) -> tuple[str, str | list[str]]:
    name, value = text.split("=", 1)
    return name, value.split(",") if "," in value else value


def _in_process(job: dict[str, Any]) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--one", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode} (killed: memory?)"]
        print(f"{_name(job)}: {reason[0]}", flush=True)
        return []
    curve: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    last = curve[-1]
    figures = "  ".join(f"{field} {last[field]:.3f}" for field in FIELDS)
    print(f"{_name(job):58} {last['pairs']:>8,} pairs {last['seconds']:5.0f} s  {figures}", flush=True)
    return curve


def _train(job: dict[str, Any]) -> list[dict[str, Any]]:
    import torch

    from napari_tarrow.engine.config import TrainConfig
    from napari_tarrow.engine.training import EpochEnded, train

    torch.set_num_threads(job["threads"])
    with tempfile.TemporaryDirectory() as folder:
        given = {"preset": job["preset"], "seed": job["seed"], "minutes": job["minutes"], "outdir": folder}
        given |= {"input_train": job["movie"], "tensorboard": False, "num_workers": 1} | job["options"]
        if "epochs" in job["options"]:
            del given["minutes"]
        movies = None
        if job["control"]:
            frames, boundary = _control(job)
            given |= {"split_train": [0, boundary], "split_val": [boundary, 1]}
            movies = [frames]
        config = TrainConfig.from_values(given)
        return [_row(update) for update in train(config, movies=movies) if isinstance(update, EpochEnded)]


def _row(update: Any) -> dict[str, Any]:
    row = {"epoch": update.epoch, "pairs": update.pairs_seen, "seconds": update.seconds}
    return row | {field: getattr(getattr(update, field.split("_")[0]), field.split("_", 1)[1]) for field in FIELDS}


def _control(job: dict[str, Any]) -> tuple[Any, float]:
    """Make a movie without a direction of time from the first channel of a movie, and where to split it.

    Training and validation each see a whole palindrome: a part of one would have a direction.
    """
    import numpy as np

    from napari_tarrow import open_movie

    movie = open_movie(job["movie"])
    frames = np.stack([movie.frame(i)[0] for i in range(movie.shape[0])])
    rng = np.random.default_rng(job["seed"])
    if job["control"] == "noise":
        return rng.integers(0, 1000, frames.shape).astype(np.uint16), 0.6
    if job["control"] == "shuffled":
        return frames[rng.permutation(len(frames))], 0.6
    cut = int(0.6 * len(frames) / 2)
    there, last = frames[:cut], frames[cut : len(frames) // 2]
    both = np.concatenate([there, there[::-1], last, last[::-1]])
    return both, (2 * cut + 0.5) / len(both)


def _name(job: dict[str, Any]) -> str:
    kind = f" ({job['control']})" if job["control"] else ""
    return f"{Path(job['movie']).stem}{kind}, {job['preset']}, seed {job['seed']}"


def _summarise(jobs: list[dict[str, Any]], curves: list[list[dict[str, Any]]]) -> None:
    print("\n| movie | preset | pairs | seconds | " + " | ".join(FIELDS) + " |")
    print("|---" * (len(FIELDS) + 4) + "|")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for job, curve in zip(jobs, curves, strict=True):
        if curve:
            groups.setdefault((_name(job).split(",")[0], job["preset"]), []).append(curve[-1])
    for (movie, preset), rows in groups.items():
        cells = [f"{sum(r[f] for r in rows) / len(rows):.0f}" for f in ("pairs", "seconds")]
        for field in FIELDS:
            values = [row[field] for row in rows]
            cells.append(f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {movie} | {preset} | " + " | ".join(cells) + " |")


def _write(path: Path, jobs: list[dict[str, Any]], curves: list[list[dict[str, Any]]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "epoch", "pairs", "seconds", *FIELDS])
        for job, curve in zip(jobs, curves, strict=True):
            writer.writerows([_name(job), *row.values()] for row in curve)


if __name__ == "__main__":
    main()
