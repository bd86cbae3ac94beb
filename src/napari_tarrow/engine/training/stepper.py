"""Work on batches; on CUDA all that is done for one is captured once, and from then on handed over in one call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from .optimiser import make_optimiser, set_rate
from .packing import Layout, on_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from ..config import TrainConfig
    from ..models import TimeArrowNet
    from .objective import Objective

    Work = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]

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
    made
        Makes clips and labels, as `Objective` takes them, of a batch's inputs on the model's device.
    memory : GraphMemory, optional
        To be shared with steppers that do not work at the same time.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: TimeArrowNet,
        objective: Objective,
        made: Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, torch.Tensor]],
        memory: GraphMemory | None = None,
    ) -> None:
        self.optimiser = make_optimiser(config, model)
        self._model, self._objective, self._made = model, objective, made
        self._told = False
        self._memory = memory or GraphMemory(model.device)
        self._training, self._validation = Replayed(self._memory), Replayed(self._memory)

    def train(self, inputs: Mapping[str, np.ndarray], rate: float) -> torch.Tensor:
        """Take a step with this learning rate; nothing waits for the device.

        Parameters
        ----------
        inputs
            Of the batch, see `Batches`.
        rate : float

        Returns
        -------
        (7,) float32
            The sums of `Objective`; the next step may write over them.
        """
        self._model.train()
        set_rate(self.optimiser, rate)
        return self._training(self._train, inputs)

    def validate(self, inputs: Mapping[str, np.ndarray]) -> torch.Tensor:
        """Return the sums of `Objective`, (7,) float32; the next call may write over them."""
        self._model.eval()
        return self._validation(self._judge, inputs)

    def take_notices(self) -> tuple[str, ...]:
        """Return what the user should know, once: that steps are not replayed, and why."""
        failure = self._memory.failure
        if failure is None or self._told:
            return ()
        self._told = True
        return (f"Steps are slower than they could be: they could not be captured as a CUDA graph ({failure}).",)

    def release(self) -> None:
        """Give back the memory of graphs; there is no step any more."""
        self._training, self._validation = Replayed(self._memory), Replayed(self._memory)

    @torch.enable_grad()
    def _train(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        self.optimiser.zero_grad(set_to_none=True)  # of a capture that failed
        loss, sums = self._objective(self._model, *self._made(inputs))
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return sums

    @torch.no_grad()
    def _judge(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self._objective(self._model, *self._made(inputs))[1]


class GraphMemory:
    """What graphs share that are never replayed at the same time, and whose results are read before the next one.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    failure : str or None
        Why one could not be captured; no other is tried then.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.failure: str | None = None

    @property
    def capturable(self) -> bool:
        """Whether graphs can be captured, as far as known."""
        return self.device.type == "cuda" and self.failure is None

    @functools.cached_property
    def pool(self) -> Any:
        """Where their tensors lie, as torch knows it."""
        return torch.cuda.graph_pool_handle()

    @functools.cached_property
    def stream(self) -> torch.cuda.Stream:
        """What they are captured on: torch's own is one for the whole process, whatever the device."""
        return torch.cuda.Stream(self.device)


class Replayed:
    """Work on a batch's inputs that is captured as a CUDA graph where there is CUDA.

    A step of training is hundreds of operations, and Python takes longer to hand them to a fast GPU than the GPU to do
    them. A graph is the same operations on the same memory, handed over at once:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. The work must not ask the device for a value, nor
    write over its inputs.

    Parameters
    ----------
    memory : GraphMemory
    """

    def __init__(self, memory: GraphMemory) -> None:
        self._memory = memory
        self._done = 0
        self._layout: Layout | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._packed, self._result = torch.empty(0), torch.empty(0)

    def __call__(self, work: Work, inputs: Mapping[str, np.ndarray]) -> torch.Tensor:
        """Do the work; the next call may write over what is returned. The graph is for inputs laid out as the first.

        Parameters
        ----------
        work
            Makes a tensor of the inputs, on the device; the same in every call. It may change what it works on, a
            network say, but only in place. It is not kept: a graph's memory would outlive whoever has the graph.
        inputs
        """
        if self._graph is None and not self._memory.capturable:
            return work(on_device(inputs, self._memory.device))
        self._done += 1
        layout = Layout.of(inputs)
        self._layout = self._layout or layout
        if self._graph is None and self._done > _BEFORE_CAPTURE:
            self._capture(work, self._layout)
        if self._graph is None or layout != self._layout:
            return work(on_device(inputs, self._memory.device))
        self._packed.copy_(layout.pinned(inputs), non_blocking=True)
        self._graph.replay()
        return self._result

    def _capture(self, work: Work, layout: Layout) -> None:
        memory = self._memory
        self._packed = torch.empty(layout.size, dtype=torch.uint8, device=memory.device)
        torch.cuda.empty_cache()  # a graph has memory of its own
        graph = torch.cuda.CUDAGraph()
        memory.stream.wait_stream(torch.cuda.current_stream(memory.device))
        try:
            # not `torch.cuda.graph`: it waits for the whole GPU, which breaks what another thread captures, and in some
            # versions it collects garbage, which may be a window's and may only die in its own thread
            with torch.cuda.stream(memory.stream):
                graph.capture_begin(memory.pool, capture_error_mode="thread_local")  # others may use the GPU meanwhile
                try:
                    self._result = work(layout.views(self._packed))
                finally:
                    graph.capture_end()
        except RuntimeError as error:  # nothing has been done yet, and what lacks memory may do with less directly
            memory.failure = str(error).partition("\n")[0] or type(error).__name__
            return
        self._graph = graph
