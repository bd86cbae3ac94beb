"""Divisions found without labels: events of trained models beside known divisions, and beside what needs no training.

    python benchmarks/divisions.py MOVIE.tif DIVISIONS.csv MODEL ... --maps evidence change gradcam

Prints, for every model and map, and for random points, brightness, the plain frame difference and a network with random
weights (all through the same detection of events): recall at N and 2N of N known divisions, average precision, best F1,
and F1 at the threshold that is suggested without labels. A match lies within each of `--pixels` (15) and of `--frames`.
With `--align`, frames are aligned before they are compared, in all rows.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_tarrow.engine.config import UseConfig
from napari_tarrow.engine.inference import (
    AttributionMap,
    Event,
    attribute,
    find_events,
    open_for,
    suggest_threshold,
)
from napari_tarrow.engine.inference.events.scoring import Division, read_divisions, score
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import sequences
from napari_tarrow.engine.movies.alignment import ComparedFrames, alignment_for
from napari_tarrow.engine.movies.object_radius import object_radius
from napari_tarrow.engine.trained import TrainedModel, read_trained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tarrow.engine.config import MapKind
    from napari_tarrow.engine.movies import PreparedMovie
    from napari_tarrow.engine.movies.alignment import Alignment

HEADINGS = ("events from", "recall at N", "at 2N", "AP", "best F1", "of so many", "F1 unlabelled", "of so many")


def main() -> None:
    """Print the table that the command line asks for."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    models = [read_trained(folder) for folder in arguments.models]
    movie, _ = open_for(models[0], UseConfig(movie=arguments.movie))
    divisions = read_divisions(arguments.divisions)
    radius = object_radius(movie)
    limits = list(itertools.product(arguments.pixels, arguments.frames))
    within = " / ".join(f"{pixels:g} pixels and {frames} frames" for pixels, frames in limits)
    print(f"{movie.movie.name}: {len(divisions)} divisions; objects of {radius:.1f} pixels; within {within}\n")
    for name, events in _all_events(models, arguments, radius):
        print(_row(name, events, divisions, limits), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie")
    parser.add_argument("divisions")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--maps", nargs="+", default=["evidence", "change", "gradcam"])
    parser.add_argument("--pixels", type=float, nargs="+", default=[15.0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--align", choices=["auto", "yes", "no"], default="auto")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _all_events(
    models: list[TrainedModel], arguments: argparse.Namespace, radius: float
) -> Iterator[tuple[str, list[Event]]]:
    first = models[0]
    movie, _ = open_for(first, UseConfig(movie=arguments.movie))
    alignment, said = alignment_for(arguments.align, movie, (first.delta,), radius)
    print(" ".join(said if alignment else ["Frames are compared as they are.", *said]), "\n")
    print("| " + " | ".join(HEADINGS) + " |")
    print("|---" * len(HEADINGS) + "|")
    if not arguments.no_baselines:
        yield "random points", _random_points(movie)
        for name, value in (("brightness", _brighter), ("frame difference", _difference)):
            maps = _of_frames(movie, first.delta, value, alignment)
            yield name, find_events(maps, movie, radius=radius, alignment=alignment)
        models = [_random(first), *models]
    for model in models:
        name = model.folder.name if model.folder != first.folder or model is first else "random weights"
        movie, _ = open_for(model, UseConfig(movie=arguments.movie))
        alignment, _ = alignment_for(arguments.align, movie, (model.delta,), radius)
        for kind in arguments.maps:
            yield f"{name}, {kind}", events_of_model(model, movie, kind, radius, alignment)


def events_of_model(
    model: TrainedModel,
    movie: PreparedMovie,
    kind: MapKind = "evidence",
    radius: float | None = None,
    alignment: Alignment | None = None,
) -> list[Event]:
    """Return the events of one of the maps that a model makes of a movie."""
    maps = attribute(model.network, movie, model.delta, kind=kind, alignment=alignment)
    return find_events(maps, movie, radius=radius, alignment=alignment)


def _random(model: TrainedModel) -> TrainedModel:
    torch.manual_seed(0)
    return replace(model, network=TimeArrowNet(**model.network.config).eval())


def _random_points(movie: PreparedMovie, count: int = 1000) -> list[Event]:
    frames, _, height, width = movie.movie.shape
    draw = np.random.default_rng(0)
    numbers = movie.movie.frame_numbers
    places = zip(
        draw.integers(0, frames - 1, count), draw.uniform(0, height, count), draw.uniform(0, width, count), strict=True
    )
    return [
        Event(int(numbers[t]), float(y), float(x), float(count - rank), (int(numbers[t]), int(numbers[t + 1])))
        for rank, (t, y, x) in enumerate(places)
    ]


def _of_frames(
    movie: PreparedMovie, delta: int, value: object, alignment: Alignment | None
) -> Iterator[AttributionMap]:
    assert callable(value)
    step = movie.preparation.subsample
    compared = ComparedFrames(movie, alignment)
    for row in sequences(movie.movie.frame_numbers, range(movie.shape[0]), 2, delta):
        frames = tuple(map(int, row))
        pair = map(compared.frame, compared.numbers(frames))
        first, second = (one.mean(0).repeat(step, 0).repeat(step, 1) for one in pair)
        yield AttributionMap(frames, value(first, second))


def _brighter(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    bright: np.ndarray = np.maximum(np.maximum(first, second) - np.median(first), 0)
    return bright


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    change: np.ndarray = np.abs(second - first)
    return change


def _row(name: str, events: list[Event], divisions: list[Division], limits: list[tuple[float, int]]) -> str:
    threshold = suggest_threshold(events)
    found = [score(events, divisions, distance=pixels, frames=frames, threshold=threshold) for pixels, frames in limits]
    assert all(one.chosen for one in found)
    cells = [
        [f"{one.recall_at_n:.2f}" for one in found],
        [f"{one.recall_at_2n:.2f}" for one in found],
        [f"{one.average_precision:.2f}" for one in found],
        [f"{one.best.f1:.2f}" for one in found],
        [str(one.best.events) for one in found],
        [f"{one.chosen.f1:.2f}" for one in found if one.chosen],
        [str(found[0].chosen.events if found[0].chosen else 0)],
    ]
    return (
        f"| {name} | "
        + " | ".join(" / ".join(dict.fromkeys(cell) if len(set(cell)) == 1 else cell) for cell in cells)
        + " |"
    )


if __name__ == "__main__":
    main()
