"""With how many threads the CPU computes: with all that help."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Fewer threads have to be so many times as fast to be taken: with none busy, results are those of all threads.
_WORTH_IT = 1.2
_ROUNDS, _OPERATIONS = 8, 10  # in all some 40 ms, several turns of a core between programs
_ELEMENTS = 2**18  # per thread and operation: some 0.1 ms
_ENOUGH = 0.3  # seconds, after which two rounds will do
_SECONDS_BETWEEN, _SHARE = 4.0, 0.02  # looks take at most this share of the time
_SECONDS_TO_DOUBT = 0.2


class Threads:
    """All threads of torch, or fewer as long as other programs keep cores busy.

    Threads share every operation and wait for each other. Where one has to wait for its core, all do, thousands of
    times a second: a single busy core makes a training on two cores 20 times as slow, where one thread less loses a
    third. So now and then a small piece of work is timed with several numbers of threads.

    Used as a context, in the thread that computes: it begins with a look, and leaves torch as it was. It does nothing
    on another device, nor where ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` says how many there should be.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self._most = self._now = torch.get_num_threads()
        chosen = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & {name for name, value in os.environ.items() if value}
        self._counts = (self._most,) if device.type != "cpu" or chosen else _counts(self._most)
        self._next = 0.0
        self._told = False

    def __enter__(self) -> Threads:
        """Look for the first time."""
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave torch as it was."""
        self._use(self._most)

    def adapt(self) -> tuple[str, ...]:
        """Look, if it is time to; return what the user should know: that there are fewer threads now, the first time.

        To be called as often as one likes while computing.
        """
        if time.perf_counter() > self._next:
            self._look()
        if self._told or self._now == self._most:
            return ()
        self._told = True
        return (
            f"Other programs keep cores busy: computing goes on with {self._now} of {self._most} threads, which is"
            " faster, and with more when cores are free.",
        )

    def _look(self) -> None:
        if len(self._counts) == 1:
            return
        begin = time.perf_counter()
        best = _best(_measured(self._counts))
        if best != self._now:  # once is nothing: everything else on a machine takes a core for a moment
            time.sleep(_SECONDS_TO_DOUBT)
            again = _best(_measured(self._counts))
            best = again if (again < self._now) == (best < self._now) else self._now
        self._use(best)
        now = time.perf_counter()
        self._next = now + max(_SECONDS_BETWEEN, (now - begin) / _SHARE)

    def _use(self, count: int) -> None:
        self._now = count
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)


def _counts(most: int) -> tuple[int, ...]:
    """Return numbers of threads that are worth a look, the most first."""
    some = {most, most - 1, most * 3 // 4, most // 2, most // 4}
    return tuple(sorted((count for count in some if count > 0), reverse=True))


def _best(seconds: Mapping[int, float]) -> int:
    """Return the largest number of threads that is about as fast as any."""
    fastest = min(seconds.values())
    return max(count for count, taken in seconds.items() if taken <= _WORTH_IT * fastest)


def _measured(counts: tuple[int, ...]) -> dict[int, float]:
    """Return the seconds that the same work takes with each number of threads; sums, in turns."""
    work, before = _work(max(counts)), torch.get_num_threads()
    seconds = dict.fromkeys(counts, 0.0)
    for number in range(_ROUNDS):
        if number >= 2 and sum(seconds.values()) > _ENOUGH:
            break
        for count in counts:
            torch.set_num_threads(count)
            work()  # threads are made anew when their number changes
            begin = time.perf_counter()
            for _ in range(_OPERATIONS):
                work()
            seconds[count] += time.perf_counter() - begin
    torch.set_num_threads(before)
    return seconds


def _work(threads: int) -> Callable[[], object]:
    values = torch.zeros(_ELEMENTS * threads)
    result = torch.empty_like(values)
    return lambda: torch.sigmoid(values, out=result)
