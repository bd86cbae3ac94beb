"""What an embedding is worth: how well few labels tell nuclei about to divide from the others.

    python benchmarks/representation.py MOVIE.tif DIVISIONS.csv MODEL ... --labels 1 5 20

Linear probe: logistic regression (scikit-learn) on the mean and deviation of the embedding over a disk around each
nucleus. Positives are the parents of known divisions in their last frame; negatives are the other nuclei of these
frames: smoothed local maxima above Otsu's threshold, so the nuclei have to be bright. Both stand on such a maximum,
where one is near. Fitted on the frames before `--split`, tested on those after; features are scaled to those of all
nuclei before. With n labels, n of each class are drawn, `--draws` times; with all, the classes weigh the same. Prints
average precision / area under the ROC curve, means over the draws, for every model, for a network of the same kind with
random weights, and for mean, deviation, smallest and largest grey value over the same disk.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_tarrow.engine.config import UseConfig
from napari_tarrow.engine.inference.embeddings.embedding import embed
from napari_tarrow.engine.inference.events.scoring import Division, read_divisions
from napari_tarrow.engine.inference.events.threshold import otsu
from napari_tarrow.engine.inference.opening import open_for
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.trained import TrainedModel, read_trained

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_tarrow.engine.movies import PreparedMovie

_NO_NEGATIVE = 3.0  # so many radii around a known division, in its frame and the three before and after
_FRAMES = 3


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of the frames in which something divides.

    Attributes
    ----------
    index : (n,) int
        Of the frame in the movie.
    places : (n, 2) int
        y, x in pixels.
    divides : (n,) bool
    early : (n,) bool
        Whether they may be used for fitting.
    """

    index: np.ndarray
    places: np.ndarray
    divides: np.ndarray
    early: np.ndarray


def main() -> None:
    """Print the table that the command line asks for."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    models = [read_trained(folder) for folder in arguments.models]
    divisions = read_divisions(arguments.divisions)
    movie = _opened(models[0], arguments.movie)
    nuclei = _nuclei(movie, divisions, arguments.radius, arguments.split)
    early, late = (_counts(nuclei, part) for part in (nuclei.early, ~nuclei.early))
    print(f"{movie.movie.name}: fitted on {early}, tested on {late}, disks of {arguments.radius:g} pixels\n")
    labels = [n for n in arguments.labels if n < (nuclei.divides & nuclei.early).sum()]
    print("| features | " + " | ".join([*map(str, labels), "all"]) + " |")
    print("|---" * (len(labels) + 2) + "|")
    for name, features in _all_features(models, arguments.movie, nuclei, arguments.radius):
        cells = [_probed(features, nuclei, n, arguments.draws, arguments.c) for n in (*labels, None)]
        print(f"| {name} | " + " | ".join(f"{ap:.2f} / {auc:.2f}" for ap, auc in cells) + " |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie")
    parser.add_argument("divisions")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 20], help="of each class")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--split", type=float, default=0.65, help="share of the movie that is fitted on")
    parser.add_argument("--radius", type=float, default=8.0, help="of a nucleus, in pixels")
    parser.add_argument("--c", type=float, default=1.0, help="of LogisticRegression; less of it regularises more")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _counts(nuclei: Nuclei, part: np.ndarray) -> str:
    return f"{(nuclei.divides & part).sum()} dividing and {(~nuclei.divides & part).sum()} other nuclei"


def _opened(trained: TrainedModel, movie: str) -> PreparedMovie:
    return open_for(trained, UseConfig(model=str(trained.folder), movie=movie))[0]


# ---- nuclei


def _nuclei(movie: PreparedMovie, divisions: list[Division], radius: float, split: float) -> Nuclei:
    numbers = movie.movie.frame_numbers
    rows = []
    for index in np.flatnonzero(np.isin(numbers, [division.frame for division in divisions])).tolist():
        maxima, bright = _maxima(movie.movie.frame(index)[0], radius)
        own = _places(divisions, [numbers[index]])
        near = _places(divisions, range(numbers[index] - _FRAMES, numbers[index] + _FRAMES + 1))
        others = maxima[bright & (_distances(maxima, near).min(axis=1) > _NO_NEGATIVE * radius)]
        rows += [(index, *_snapped(place, maxima, radius), True) for place in own]
        rows += [(index, *place, False) for place in others]
    table = np.array(rows, dtype=int)
    return Nuclei(table[:, 0], table[:, 1:3], table[:, 3].astype(bool), table[:, 0] < split * len(movie.movie))


def _maxima(frame: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the local maxima (n, 2) of a smoothed frame, and which of them are bright."""
    low, high = np.percentile(frame, [1, 99.8])
    smooth = ndimage.gaussian_filter(np.clip((frame - low) / (high - low), 0, 1).astype(np.float32), radius / 2)
    maxima = np.argwhere(smooth == ndimage.maximum_filter(smooth, 2 * round(radius) + 1))
    return maxima, smooth[tuple(maxima.T)] > otsu(np.sort(smooth, axis=None).astype(np.float64))


def _places(divisions: list[Division], frames: Iterable[int]) -> np.ndarray:
    wanted = set(map(int, frames))
    return np.array([(one.y, one.x) for one in divisions if one.frame in wanted])


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distances: np.ndarray = np.linalg.norm(a[:, None] - b[None], axis=2)
    return distances


def _snapped(place: np.ndarray, maxima: np.ndarray, radius: float) -> tuple[int, int]:
    """Return the maximum next to a known place, so that how places are found tells nothing of what they are."""
    far = _distances(place[None], maxima)[0]
    y, x = maxima[far.argmin()] if far.min() <= 1.5 * radius else np.round(place).astype(int)
    return int(y), int(x)


# ---- features


def _all_features(
    models: list[TrainedModel], movie: str, nuclei: Nuclei, radius: float
) -> Iterator[tuple[str, np.ndarray]]:
    prepared = _opened(models[0], movie)
    yield "grey values", _pooled(_grey_frames(prepared, nuclei), nuclei, radius, extremes=True)
    kinds: dict[str, TrainedModel] = {}
    for trained in models:
        kinds.setdefault(json.dumps([trained.network.config, asdict(trained.preparation)]), trained)
    for trained in kinds.values():
        torch.manual_seed(0)
        random = TimeArrowNet(**trained.network.config).eval()
        name = f"random {trained.network.config['backbone']}"
        yield name, _pooled(_embedded(random, _opened(trained, movie), nuclei), nuclei, radius)
    for trained in models:
        embedded = _embedded(trained.network, _opened(trained, movie), nuclei)
        yield trained.folder.name, _pooled(embedded, nuclei, radius)


def _grey_frames(movie: PreparedMovie, nuclei: Nuclei) -> Iterator[tuple[int, np.ndarray]]:
    for index in np.unique(nuclei.index).tolist():
        frame = movie.movie.frame(index).astype(np.float32)
        low, high = np.percentile(frame, [1, 99.8])
        yield index, (frame - low) / (high - low)


def _embedded(model: TimeArrowNet, movie: PreparedMovie, nuclei: Nuclei) -> Iterator[tuple[int, np.ndarray]]:
    for one in embed(model, movie, frames=np.unique(nuclei.index).tolist()):
        yield one.index, one.embedding


def _pooled(
    frames: Iterable[tuple[int, np.ndarray]], nuclei: Nuclei, radius: float, *, extremes: bool = False
) -> np.ndarray:
    """Return mean and deviation (n, 2 F) over a disk around each nucleus; with `extremes`, both ends as well."""
    features: list[Any] = [None] * len(nuclei.index)
    for index, values in frames:
        yy, xx = np.ogrid[: values.shape[1], : values.shape[2]]
        for row in np.flatnonzero(nuclei.index == index):
            y, x = nuclei.places[row]
            inside = values[:, (yy - y) ** 2 + (xx - x) ** 2 <= radius**2]
            parts = [inside.mean(axis=1), inside.std(axis=1)]
            features[row] = np.concatenate(parts + [inside.min(axis=1), inside.max(axis=1)] * extremes)
    return np.stack(features)


# ---- probe


def _probed(features: np.ndarray, nuclei: Nuclei, labels: int | None, draws: int, c: float) -> tuple[float, float]:
    """Return average precision and area under the ROC curve on the late nuclei, means over the draws."""
    early = features[nuclei.early]
    scaled = (features - early.mean(axis=0)) / (early.std(axis=0) + 1e-9)
    truth, late = nuclei.divides[~nuclei.early], scaled[~nuclei.early]
    figures = []
    for draw in range(1 if labels is None else draws):
        rows = _drawn(nuclei, labels, np.random.default_rng(draw))
        probe = LogisticRegression(C=c, max_iter=2000, class_weight="balanced").fit(scaled[rows], nuclei.divides[rows])
        scores = probe.decision_function(late)
        figures.append((average_precision_score(truth, scores), roc_auc_score(truth, scores)))
    ap, auc = np.mean(figures, axis=0)
    return float(ap), float(auc)


def _drawn(nuclei: Nuclei, labels: int | None, rng: np.random.Generator) -> np.ndarray:
    if labels is None:
        return np.flatnonzero(nuclei.early)
    classes = (np.flatnonzero(nuclei.early & (nuclei.divides == kind)) for kind in (True, False))
    return np.concatenate([rng.choice(rows, labels, replace=False) for rows in classes])


if __name__ == "__main__":
    main()
