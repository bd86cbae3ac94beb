"""What cores that another program keeps busy cost: pairs per second, by the number of threads.

    python benchmarks/busy.py

Trains preset `interactive` on the bundled movie for some seconds with every number of threads, and with as many as
`Threads` chooses; first on the machine as it is, then while other processes, in sessions of their own, keep `--busy`
cores busy with a training each. Run it while nothing else does, and without OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import torch
from speed import Training

from napari_tarrow.engine.threads import Threads

CPU = torch.device("cpu")


def main() -> None:
    """Measure and print a row for the idle machine and one for a busy one."""
    arguments = _arguments()
    training = Training("interactive", arguments.precision, CPU, None)
    if arguments.compete:
        torch.set_num_threads(1)
        while True:
            training.whole()
    most = torch.get_num_threads()
    counts = range(1, most + 1)
    print("| | " + " | ".join(f"{count} threads" for count in counts) + " | chosen |\n" + "|---" * (most + 2) + "|")
    others: list[subprocess.Popen[bytes]] = []
    try:
        for name, busy in (("as it is", 0), (f"{arguments.busy} cores busy", arguments.busy)):
            others += [_competitor(arguments.precision) for _ in range(busy)]
            time.sleep(arguments.seconds * bool(busy))  # until they have begun
            speeds = []
            for count in counts:
                torch.set_num_threads(count)
                speeds.append(_speed(training, arguments.seconds))
            torch.set_num_threads(most)
            with Threads(CPU) as threads:
                speeds.append(_speed(training, arguments.seconds, threads))
            print(f"| {name} | " + " | ".join(f"{speed:.0f}" for speed in speeds) + " |", flush=True)
    finally:
        for other in others:
            other.kill()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="of every measurement")
    parser.add_argument("--busy", type=int, default=1, help="cores that others keep busy")
    parser.add_argument("--precision", default="bf16", choices=["32", "bf16"])
    parser.add_argument("--compete", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _competitor(precision: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--compete", "--precision", precision]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)


def _speed(training: Training, seconds: float, threads: Threads | None = None) -> float:
    training.whole()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        training.whole()
        steps += 1
        if threads is not None:
            threads.adapt()
    return steps * training.pairs / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
