"""What training and using a network cost, against two yardsticks measured in the same run.

    python benchmarks/speed.py
    python benchmarks/speed.py --compare HEAD~20
    python benchmarks/speed.py --reference DIR --cases paper --rounds 3

*Bare* is forward and backward of the backbone alone, on a ready random batch of the same size, precision and memory
format. *Floor* is what the network's convolutions would take at the best rate that a large matrix product or a large
convolution reaches on this device in this precision. Everything alternates, and medians are printed.

`--compare` puts another commit of the project beside this one (since there is `training/batches.py`), `--reference` a
checkout of the reference implementation: whole training steps, embeddings and maps, each in a process of its own, in
turns. Where there is a GPU it is measured, and its kernels are listed. The cases are the steps of the two presets, that
of `paper` with 32 pairs a batch on a CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from yardsticks import autocast, best_rate, in_turns, operations, ratio, reference_package, synchronise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


ROOT = Path(__file__).resolve().parent.parent
FRAMES, SIDE = 4, 512  # of the movie that is embedded and attributed
STEPS, KERNELS = 20, 25  # on a GPU: steps timed at once, kernels of the profile


def main() -> None:
    """Run what the command line asks for."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    if arguments.one:
        print(json.dumps(_one(arguments.one, arguments.cases[0], arguments.precisions[0], device, arguments)))
        return
    print(f"{_named(device)}, torch {torch.__version__}, Python {sys.version.split()[0]}")
    for case in arguments.cases:
        for precision in arguments.precisions:
            if arguments.compare or arguments.reference:
                _side_by_side(case, precision, arguments)
            else:
                _step(case, precision, device, arguments)
                _use(case, device, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=["interactive", "paper"], default=["interactive", "paper"])
    parser.add_argument("--precisions", nargs="+", choices=["32", "bf16"], default=["32", "bf16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batchsize", type=int, help="clips, instead of the case's own")
    parser.add_argument("--compare", metavar="REF", help="a commit of this project")
    parser.add_argument("--reference", metavar="DIR", help="a checkout of the reference implementation")
    parser.add_argument("--one", choices=["ours", "reference"], help=argparse.SUPPRESS)
    return parser.parse_args()


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads"


def _options(case: str, device: torch.device, batchsize: int | None) -> dict[str, Any]:
    """Return the options of a training run; the paper's augmentation is the strongest, as in its recipe for cells."""
    options: dict[str, Any] = {"preset": case}
    if case == "paper":
        options |= {"augment": 5, "batchsize": 32 if device.type == "cpu" else 152}
    return options | ({"batchsize": batchsize} if batchsize else {})


class Training:
    """The parts of a training step on the bundled movie."""

    def __init__(self, case: str, precision: str, device: torch.device, batchsize: int | None) -> None:
        from napari_tarrow import TrainConfig
        from napari_tarrow.engine.devices import keeping_freed_memory
        from napari_tarrow.engine.training.batches import Batches
        from napari_tarrow.engine.training.dataset import open_dataset, open_footage
        from napari_tarrow.engine.training.network import new_network
        from napari_tarrow.engine.training.objective import make_objective
        from napari_tarrow.engine.training.stepper import GraphMemory, Replayed, Stepper
        from napari_tarrow.samples import sample_path

        self._ending = contextlib.ExitStack()
        self._ending.enter_context(keeping_freed_memory(device))
        sample = str(sample_path("cancer_cell_migration"))
        self.config = TrainConfig(input_train=(sample,), **_options(case, device, batchsize))
        footage = open_footage(self.config, None, None)
        self.model = new_network(self.config, footage.channels, device).train()
        self.objective = make_objective(self.config, precision)
        self.device, data = device, self._ending.enter_context(open_dataset(self.config, footage, device))
        self.batches = Batches(self.config, data, device)
        self.stepper = Stepper(self.config, self.model, self.objective, self.batches.made)
        self._bare = Replayed(GraphMemory(device))
        self.number = 0
        clips, _ = self.batches.train(0)
        self.pairs = len(clips) * len(self.batches.sequences)
        self.frames = torch.randn_like(clips.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(device, precision):
            self.gradient = torch.randn_like(self.model.backbone(self.frames))
        self.precision = precision

    def whole(self) -> None:
        """Take a step, as training does."""
        self.number += 1
        self.stepper.train(self.batches.inputs(self.number), self.config.lr)

    def bare(self) -> None:
        """Run the backbone alone, forward and backward."""
        self._bare(self._backbone_alone, {})

    def _backbone_alone(self, _: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with autocast(self.device, self.precision):
            maps: torch.Tensor = self.model.backbone(self.frames)
        maps.backward(self.gradient)
        self.model.zero_grad(set_to_none=True)
        return maps

    def stages(self) -> dict[str, float]:
        """Take a step and return the seconds of each of its stages."""
        times = [self._now()]
        self.number += 1
        clips, labels = self.batches.train(self.number)
        times.append(self._now())
        features = self.objective.features(self.model, clips)
        times.append(self._now())
        leaf = features.detach().requires_grad_()
        loss, _ = self.objective.judge(self.model, leaf, clips, labels)
        loss.backward()
        times.append(self._now())
        features.backward(leaf.grad)
        times.append(self._now())
        self.stepper.optimiser.step()
        self.stepper.optimiser.zero_grad(set_to_none=True)
        times.append(self._now())
        names = ("drawing and augmenting", "backbone, forward", "heads and losses, both ways", "backbone, backward")
        return dict(zip((*names, "optimiser"), np.diff(times).tolist(), strict=True))

    def _now(self) -> float:
        synchronise(self.device)
        return time.perf_counter()


def _step(case: str, precision: str, device: torch.device, arguments: argparse.Namespace) -> None:
    training = Training(case, precision, device, arguments.batchsize)
    shares: list[dict[str, float]] = []
    count = STEPS if device.type == "cuda" else 1  # which goes on while the next step is drawn
    work: dict[str, Callable[[], Any]] = {
        "whole": functools.partial(_repeated, training.whole, count),
        "bare": functools.partial(_repeated, training.bare, count),
        "stages": lambda: shares.append(training.stages()),
    }
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = in_turns(work, arguments.rounds, device)
    peak = _peak(device)
    whole, bare = (statistics.median(seconds[name]) / count for name in ("whole", "bare"))
    rate = best_rate(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    floor = operations(training.model.backbone, training.frames) / rate
    print(f"\nTraining, {case}, {precision}: {training.pairs} pairs a step, {training.config.backbone}")
    print(f"  {training.pairs / whole:,.0f} pairs/s, {whole:.3f} s a step")
    print(f"  step / bare backbone   {ratio(seconds, 'whole', 'bare')}")
    print(f"  bare / floor           {bare / floor:5.2f}   (floor {floor:.3f} s at {rate / 1e9:,.0f} GFLOP/s)")
    print(f"  floor / step           {floor / whole:5.2f}")
    total = {name: statistics.median([share[name] for share in shares[1:]]) for name in shares[0]}
    for name, value in total.items():
        print(f"  {name:28s} {100 * value / sum(total.values()):5.1f} %")
    print(f"  peak memory {peak / 1e9:.1f} GB")
    if device.type == "cuda":
        _profile(training)


def _repeated(run: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        run()


def _profile(training: Training) -> None:
    """Print the time that a step takes on a GPU, and the kernels that take most of it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        _repeated(training.whole, STEPS)
    kernels = sorted(profiler.key_averages(), key=lambda kernel: -kernel.self_device_time_total)
    busy = sum(kernel.self_device_time_total for kernel in kernels)
    launched = sum(kernel.count for kernel in kernels)
    print(f"  the GPU is busy for {busy / STEPS / 1e3:.2f} ms a step, with {launched / STEPS:.0f} kernels:")
    for kernel in kernels[:KERNELS]:
        milliseconds, count = kernel.self_device_time_total / STEPS / 1e3, kernel.count / STEPS
        print(f"  {milliseconds:8.3f} ms, {count:4.0f} x {kernel.key[:90]}")


def _using(case: str, device: torch.device) -> dict[str, Callable[[], Any]]:
    """Return what embeds and attributes a small random movie with an untrained network."""
    from napari_tarrow import TrainConfig
    from napari_tarrow.engine.inference.embeddings.embedding import embed
    from napari_tarrow.engine.inference.maps.attribution import attribute
    from napari_tarrow.engine.models import TimeArrowNet
    from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie

    torch.manual_seed(0)
    backbone = TrainConfig.from_values({"input_train": "-", "preset": case}).backbone
    model = TimeArrowNet(backbone, n_features=32, symmetric=True, device=device).eval()
    movie = PreparedMovie(open_movie(_frames()), Preparation())
    return {
        "embedding": lambda: [None for _ in embed(model, movie)],
        "evidence": lambda: [None for _ in attribute(model, movie, 1)],
        "gradcam": lambda: [None for _ in attribute(model, movie, 1, kind="gradcam")],
    }


def _frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (FRAMES, SIDE, SIDE), dtype=np.uint16)


def _use(case: str, device: torch.device, arguments: argparse.Namespace) -> None:
    seconds = in_turns(_using(case, device), arguments.rounds, device)
    print(f"\nUsing, {case}: frames of {SIDE} x {SIDE}, 32 bits")
    for name, values in seconds.items():
        print(f"  {name:22s} {FRAMES / statistics.median(values):8.2f} frames/s")


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _side_by_side(case: str, precision: str, arguments: argparse.Namespace) -> None:
    """Run this tree and another in processes of their own, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        others: dict[str, tuple[str, Path]] = {"ours": ("ours", ROOT / "src")}
        if arguments.compare:
            archive = subprocess.run(
                ["git", "archive", arguments.compare, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=True
            )
            subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
            others[arguments.compare] = ("ours", Path(folder) / "src")
        if arguments.reference and precision == "32":  # it knows no other
            others["reference"] = ("reference", ROOT / "src")
        found: dict[str, dict[str, list[float]]] = {name: {} for name in others}
        for _ in range(arguments.rounds):
            for name, (kind, source) in others.items():
                for key, value in _process(kind, source, case, precision, arguments).items():
                    found[name].setdefault(key, []).append(value)
    print(f"\n{case}, {precision}, seconds")
    for key in found["ours"]:
        cells = [f"{name} {statistics.median(values[key]):.3f}" for name, values in found.items()]
        print(f"  {key:12s} {', '.join(cells)}")
        for name in list(found)[1:]:
            both = {"ours": found["ours"][key], name: found[name][key]}
            print(f"    {name} / ours {ratio(both, name, 'ours')}")


def _process(kind: str, source: Path, case: str, precision: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", kind, "--cases", case, "--precisions", precision]
    command += ["--device", arguments.device, "--threads", str(arguments.threads)]
    command += ["--batchsize", str(arguments.batchsize)] if arguments.batchsize else []
    command += ["--reference", arguments.reference] if arguments.reference else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _one(kind: str, case: str, precision: str, device: torch.device, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure whole steps, then embedding, then maps in this process: the shortest of two, after one to warm up."""
    if kind == "ours":
        work = {"step": Training(case, precision, device, arguments.batchsize).whole, **_using(case, device)}
    else:
        work = _of_reference(case, device, arguments)
    return {name: min(in_turns({name: run}, 2, device)[name]) for name, run in work.items()}


def _of_reference(case: str, device: torch.device, arguments: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """Return the reference's own step, embedding and Grad-CAM; its loader's work is done here, in line."""
    from napari_tarrow import TrainConfig

    warps = reference_package(arguments.reference)
    from tarrow.data import get_augmenter
    from tarrow.models import TimeArrowNet
    from tarrow.models.losses import DecorrelationLoss

    config = TrainConfig(input_train=("-",), **_options(case, device, arguments.batchsize))
    kwargs = {"projection_head": "minimal_batchnorm", "classification_head": "minimal", "n_features": 32}
    model = TimeArrowNet(backbone=config.backbone, n_frames=2, device=device, symmetric=True, **kwargs)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-6)
    judge, decorrelation = torch.nn.CrossEntropyLoss(reduction="none"), DecorrelationLoss()
    if not warps:
        print("The reference goes without augmentation: torchvision is not there.", file=sys.stderr)
    augment = get_augmenter(config.augment) if warps else torch.nn.Identity()
    pairs = config.batchsize * (1 if config.clip_frames == 2 else config.clip_frames)
    raw = torch.rand(pairs, 2, 1, config.size, config.size)
    labels = torch.randint(0, 2, (pairs,), device=device)

    def step() -> None:
        model.train()
        batch = torch.stack([augment(pair) for pair in raw]).to(device)
        optimiser.zero_grad()
        out, projections = model(batch, mode="both")
        loss = judge(out, labels).mean() + 0.01 * decorrelation(projections.flatten(0, 1))
        loss.backward()
        optimiser.step()
        loss.item()

    frames = torch.from_numpy(_frames() / 4000).float().to(device)

    def embedding() -> None:
        model.eval()
        with torch.no_grad():
            for frame in frames:
                model.embedding(frame[None, None, None])

    def gradcam() -> None:
        model.eval()
        for first in range(FRAMES - 1):
            model.gradcam(frames[first : first + 2, None])

    return {"step": step, "embedding": embedding, "gradcam": gradcam, "evidence": gradcam}


if __name__ == "__main__":
    main()
