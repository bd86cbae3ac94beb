"""Work on batches; on CUDA all that is done for one is captured once, and from then on handed over in one call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from .optimiser import make_optimiser, set_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config import TrainConfig
    from ..models import TimeArrowNet
    from .objective import Objective

# Before work is captured it is done so often: what it makes once (the optimiser's state) is there then, and the fastest
# convolutions are known.
_BEFORE_CAPTURE = 2


class Stepper:
    """Trains and validates a network on one batch after the other.

    Parameters
    ----------
    config : TrainConfig
    model : TimeArrowNet
    objective : Objective
    memory : GraphMemory, optional
        To be shared with steppers that do not work at the same time.
    """

    def __init__(
        self, config: TrainConfig, model: TimeArrowNet, objective: Objective, memory: GraphMemory | None = None
    ) -> None:
        self.optimiser = make_optimiser(config, model)
        self._model, self._objective = model, objective
        memory = memory or GraphMemory()
        self._training, self._validation = Replayed(self._train, memory), Replayed(self._judge, memory)

    def train(self, clips: torch.Tensor, labels: torch.Tensor, rate: float) -> torch.Tensor:
        """Take a step with this learning rate; nothing waits for the device.

        Parameters
        ----------
        clips, labels
            As `Objective` takes them.
        rate : float

        Returns
        -------
        (7,) float32
            The sums of `Objective`; the next step may write over them.
        """
        self._model.train()
        set_rate(self.optimiser, rate)
        return self._training(clips, labels)

    def validate(self, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the sums of `Objective`, (7,) float32; the next call may write over them."""
        self._model.eval()
        return self._validation(clips, labels)

    @torch.enable_grad()
    def _train(self, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss, sums = self._objective(self._model, clips, labels)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return sums

    @torch.no_grad()
    def _judge(self, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self._objective(self._model, clips, labels)[1]


class GraphMemory:
    """The memory of graphs that are never replayed at the same time, and whose results are read before the next one."""

    @functools.cached_property
    def handle(self) -> Any:
        """What torch knows it by; asking makes it."""
        return torch.cuda.graph_pool_handle()


class Replayed:
    """Work on batches that is captured as a CUDA graph where there is CUDA.

    A step of training is hundreds of operations, and Python takes longer to hand them to a fast GPU than the GPU to do
    them. A graph is the same operations on the same memory, handed over at once:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. The work must not ask the device for a value.

    Parameters
    ----------
    work
        Makes a tensor of clips and labels. It may change what it works on, a network say, but only in place.
    memory
        Where the graph's tensors lie.
    """

    def __init__(self, work: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], memory: GraphMemory) -> None:
        self._work, self._memory = work, memory
        self._done = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._clips, self._labels, self._result = (torch.empty(0) for _ in range(3))

    def __call__(self, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Do the work; the next call may write over what is returned. Batches of other shapes are done as they are."""
        self._done += 1
        if self._graph is None and clips.device.type == "cuda" and self._done > _BEFORE_CAPTURE:
            self._capture(clips, labels)
        if self._graph is None or clips.shape != self._clips.shape:
            return self._work(clips, labels)
        self._clips.copy_(clips)
        self._labels.copy_(labels)
        self._graph.replay()
        return self._result

    def _capture(self, clips: torch.Tensor, labels: torch.Tensor) -> None:
        self._clips, self._labels = clips.clone(), labels.clone()
        torch.cuda.empty_cache()  # a graph has memory of its own
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, self._memory.handle, capture_error_mode="thread_local"):  # napari has others
            self._result = self._work(self._clips, self._labels)
        self._graph = graph
