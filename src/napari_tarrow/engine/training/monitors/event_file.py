"""One TensorBoard event file, written in the calling thread.

torch's SummaryWriter writes the same records from a thread of its own: a full disk is then told by that thread's
traceback, an update late, and files made within one second are read in the wrong order. It would also import
TensorFlow where that happens to be installed.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from ...errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def require_tensorboard() -> None:
    """Make sure that event files can be written.

    Raises
    ------
    UserError
        If the tensorboard package cannot be imported.
    """
    try:
        import tensorboard.compat.proto.event_pb2
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise UserError(
            "TensorBoard's files are wanted, but its package cannot be imported. Install it with"
            " `pip install tensorboard`, or switch them off with tensorboard: false."
        ) from error


class EventFile:
    """A new event file in `folder`; what earlier ones there hold from step `forget_from` on is no longer shown.

    Raises
    ------
    OSError
        From every method, if the file cannot be written.
    """

    def __init__(self, folder: Path, forget_from: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names: later ones must sort behind earlier ones.
        stamp = "{:010d}.{:09d}".format(*divmod(time.time_ns(), 10**9))
        name = f"events.out.tfevents.{stamp}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if forget_from is not None:
            self._write(step=forget_from, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a number."""
        self._add(step, tag=tag, simple_value=value)

    def png(self, tag: str, data: bytes, size: tuple[int, int], step: int) -> None:
        """Add a colour picture, encoded as PNG; `size` is its height and width."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = size
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
        self._add(step, tag=tag, image=picture)

    def flush(self) -> None:
        """Hand over to the operating system what was added."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, step: int, **value: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(step=step, summary=Summary(value=[Summary.Value(**value)]))

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())
