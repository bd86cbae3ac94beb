"""A stand-in for the engine: the commands are tested without training anything."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_tarrow.commands import train as command
from napari_tarrow.engine.devices import choose_device
from napari_tarrow.engine.training.updates import EpochEnded, Finished, Metrics, Notice, Progress, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tarrow.engine.config import TrainConfig
    from napari_tarrow.engine.training.control import Control
    from napari_tarrow.engine.training.updates import Update


def metrics(loss: float = 0.69, accuracy: float = 0.5) -> Metrics:
    return Metrics(
        loss=loss, loss_decorr=1.0, accuracy=accuracy, accuracy_change=0.625, pred1_ratio=0.5, lr=1e-3, steps=10
    )


@dataclass
class FakeEngine:
    """Trains nothing in two epochs; `during` is called in the first, with the control."""

    configs: list[TrainConfig] = field(default_factory=list)
    resumed: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    during: Callable[[Control], object] = lambda control: None
    seconds: float = 90.0
    saved: int = 0
    closed: bool = False

    def train(self, config: TrainConfig, control: Control) -> Iterator[Update]:
        self.configs.append(config)
        choose_device(config.device, config.gpu)
        yield from self._run(Path(config.outdir) / "movie_backbone_unet", control, first_epoch=0)

    def resume(self, run_folder: Path, control: Control, **changes: Any) -> Iterator[Update]:
        self.resumed.append((run_folder, changes))
        yield from self._run(run_folder, control, first_epoch=1)

    def _run(self, folder: Path, control: Control, first_epoch: int) -> Iterator[Update]:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield Started(folder, ("Movie cells: 48 frames.",), 2, 20, first_epoch, self.seconds)
            yield Notice("Take care.")
            for epoch in range(first_epoch + 1, 3):
                yield Progress(5, 20, epoch, 2, "train", 0.7, 0.5, 1e-3, 400.0, 30.0)
                self.during(control)
                if control.stopping:
                    self.saved += 1
                    yield Finished("stopped", folder, epoch - 1, epoch - 1, 50, 3.0)
                    return
                yield EpochEnded(epoch, 2, metrics(0.6931), metrics(0.6789), epoch == 1, 1, 100, 1.0)
            (folder / "learning_curve.png").touch()
            yield Finished("done", folder, 2, 1, 200, 65.0)
        except GeneratorExit:
            self.saved += 1
            self.closed = True
            raise


@pytest.fixture(autouse=True)
def heeded_signals() -> Iterator[None]:
    """Let signals count as at a terminal: under nohup or in the background of a script they are ignored."""
    usual = {signal.SIGINT: signal.default_int_handler}
    if hangup := getattr(signal, "SIGHUP", None):
        usual[hangup] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """The stand-in, in place; the working folder is an empty one."""
    fake = FakeEngine()
    monkeypatch.setattr(command, "_engine", lambda: fake)
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def trained() -> Callable[..., str]:
    """Train for a moment on a movie; the exit code is compared, and the run folder returned."""
    tiny = "--preset interactive --backbone simple --size 16 --epochs 1 --train_samples_per_epoch 4 --batchsize 2"
    tiny += " --val_samples_per_epoch 2 --delta 1 --device cpu --precision 32 --num_workers 0 --timestamp no"

    def train(movie: str, name: str, *more: str, code: int = 0) -> str:
        words = ["--input_train", movie, "--name", name, *tiny.split(), "--tensorboard", "no", *more]
        assert command.main(words) == code
        return f"runs/{name}_backbone_simple"

    return train


@pytest.fixture
def embedded() -> Callable[..., np.ndarray]:
    """Embed a movie with a run into a file of this name, and return what is in it: (T, F, H, W)."""
    from napari_tarrow.commands.embed import main

    def embed(run: str, movie: str, name: str, *more: str) -> np.ndarray:
        assert main([run, movie, "-o", name, "--device", "cpu", *more]) == 0
        return np.asarray(zarr.open_array(f"{name}/0", mode="r")[...])

    return embed
