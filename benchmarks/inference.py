"""What embedding and attribution cost, as ratios measured in turns in one process.

    OMP_NUM_THREADS=2 python benchmarks/inference.py --backbones unet unet_16fmaps --reference DIR

Embedding is compared with the bare forward pass of the backbone over the same pixels, at the tile size that is best for
it (its tiles without anything around them, so that they are not exact), and attribution with embedding. `--reference`
names a checkout of the reference implementation, whose embeddings and Grad-CAMs of the same network and frames are
compared with ours, in time and in value. On a busy machine `--cpu` tells more: seconds of the processor.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from yardsticks import in_turns, ratio, reference_package

from napari_tarrow.engine.devices import keeping_freed_memory
from napari_tarrow.engine.inference.embeddings.embedding import embed
from napari_tarrow.engine.inference.maps.attribution import MapKind, attribute
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: tuple[MapKind, ...] = ("evidence", "change", "gradcam")
BARE = (None, 512, 256)  # sides of tiles; None: whole frames


def main() -> None:
    """Run what the command line asks for."""
    arguments = _arguments()
    torch.manual_seed(0)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    height, width = arguments.size
    print(
        f"{arguments.frames} frames of {height} x {width}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    with keeping_freed_memory(torch.device("cpu")):
        for backbone in arguments.backbones:
            _compare(backbone, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["unet_16fmaps", "unet"])
    parser.add_argument("--features", type=int, default=32, help="of the projection head")
    parser.add_argument("--size", type=int, nargs=2, default=[700, 1100], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 0)))
    parser.add_argument(
        "--memory", type=lambda text: int(float(text) * 1e9), metavar="GB", help="so that tiles are needed"
    )
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor instead of the clock's")
    parser.add_argument("--reference", metavar="DIR")
    return parser.parse_args()


def _compare(backbone: str, arguments: argparse.Namespace) -> None:
    model = TimeArrowNet(backbone, n_features=arguments.features, symmetric=True).eval()
    frames = np.random.default_rng(0).integers(0, 4000, (arguments.frames, *arguments.size)).astype(np.uint16)
    movie = PreparedMovie(open_movie(frames), Preparation())
    pixels = [torch.from_numpy(movie.frame(index)) for index in range(arguments.frames)]
    maps = arguments.frames - 1

    work: dict[str, Callable[[], Any]] = {f"bare, tiles of {side}": _bare(model, pixels, side) for side in BARE}
    work["embedding"] = lambda: [None for _ in embed(model, movie, memory=arguments.memory)]
    for kind in KINDS:
        work[kind] = functools.partial(_all_maps, model, movie, kind, arguments.memory)
    if arguments.reference:
        reference = _reference(arguments.reference, model)
        work["reference: embedding"] = lambda: [reference.embedding(frame[None, None])[0, 0] for frame in pixels]
        work["reference: gradcam"] = lambda: [
            reference.gradcam(torch.stack(pixels[index : index + 2])) for index in range(maps)
        ]
    seconds = in_turns(work, arguments.rounds, clock=time.process_time if arguments.cpu else time.perf_counter)

    best = min((name for name in work if name.startswith("bare")), key=lambda name: statistics.median(seconds[name]))
    print(f"\n{backbone}, {arguments.features} features")
    for name, values in seconds.items():
        count = arguments.frames if "gradcam" not in name or "reference" not in name else maps
        print(f"  {name:22s} {count / statistics.median(values):8.2f} frames/s")
    print(f"  embedding / backbone   {ratio(seconds, 'embedding', best)}   ({best})")
    for kind in KINDS:
        print(f"  {kind + ' / embedding':22s} {ratio(seconds, kind, 'embedding')}")
    if arguments.reference:
        for ours, theirs in (("embedding", "reference: embedding"), ("gradcam", "reference: gradcam")):
            print(f"  {theirs} / ours {ratio(seconds, theirs, ours)}")
        _agreement(model, reference, movie, pixels)


def _all_maps(model: TimeArrowNet, movie: PreparedMovie, kind: MapKind, memory: int | None) -> None:
    for _ in attribute(model, movie, 1, kind=kind, memory=memory):
        pass


def _bare(model: TimeArrowNet, pixels: list[torch.Tensor], side: int | None) -> Callable[[], None]:
    """Put all frames through the backbone in tiles without surroundings."""
    step = side or max(pixels[0].shape)

    @torch.no_grad()
    def run() -> None:
        for frame in pixels:
            for rows in frame.split(step, 1):
                for tile in rows.split(step, 2):
                    model.backbone(tile[None].contiguous())

    return run


def _agreement(model: TimeArrowNet, reference: Any, movie: PreparedMovie, pixels: list[torch.Tensor]) -> None:
    ours = next(embed(model, movie)).embedding
    with torch.no_grad():
        theirs = reference.embedding(pixels[0][None, None])[0, 0].numpy()
    print(f"  largest difference of embeddings {abs(ours - theirs).max() / abs(theirs).max():.1e} of the largest value")
    map = next(attribute(model, movie, 1, kind="gradcam")).map
    cam = reference.gradcam(torch.stack(pixels[:2]), tile_size=None)
    print(f"  largest difference of Grad-CAMs  {abs(map - cam).max() / abs(cam).max():.1e} (theirs without tiles)")


def _reference(folder: str, model: TimeArrowNet) -> Any:
    reference_package(folder)
    from tarrow.models import TimeArrowNet as Reference

    names = ("backbone", "projection_head", "classification_head", "n_frames", "n_features", "n_input_channels")
    reference = Reference(**{name: model.kwargs[name] for name in names}, device="cpu", symmetric=True)
    reference.load_state_dict(model.state_dict())
    return reference.eval()


if __name__ == "__main__":
    main()
