"""Simulated movies of nuclei that move, divide and die, with a list of their divisions.

    python simulation/simulate.py OUT [--movies 24] [--seed 0]

Each movie has conditions of its own: how large, fast, bright and dense nuclei are, how many minutes lie between frames,
how sharp and noisy its frames are. The network `general_nuclei` was trained on them.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, fields
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from culture import Conditions, Division, film


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for movies and lists")
    parser.add_argument("--movies", type=int, default=24)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--side", type=int, default=288, help="pixels of a frame along y and x")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        for said in pool.map(partial(_write, arguments), range(arguments.movies)):
            print(said, flush=True)


def _write(arguments: argparse.Namespace, number: int) -> str:
    """Simulate and write one movie; the same one, whichever others are made."""
    rng = np.random.default_rng((arguments.seed, number))
    movie, divisions = film(rng, Conditions.drawn(rng), arguments.frames, arguments.side)
    path = arguments.out / f"nuclei_{number:02d}.tif"
    tifffile.imwrite(path, movie, compression="deflate", predictor=True, metadata={"axes": "TYX"})
    with open(path.with_name(f"{path.stem}_divisions.csv"), "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([entry.name for entry in fields(Division)])
        rows.writerows(astuple(division) for division in divisions)
    return f"{path}: {len(divisions)} divisions"


if __name__ == "__main__":
    main()
