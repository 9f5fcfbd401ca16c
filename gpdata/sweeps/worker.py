"""The process of one attempt: it reads its task, runs it, tells how it ended, and never outlives who started it."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import threading
from functools import partial
from typing import BinaryIO

from gpdata.sweeps.attempt import attempt
from gpdata.sweeps.task import Task

LENGTH = struct.Struct(">Q")
CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from gpdata.sweeps.worker import main; main()"
"""What Python is told to run: the modules are found where the process that starts it finds them."""


def main() -> None:
    """Run one attempt: the task comes on standard input, and the answer goes to the descriptor that is told."""
    answer, lock = int(sys.argv[2]), int(sys.argv[3])
    for descriptor in (answer, lock):  # this process's own: of no command, and of no child that the run forks
        os.set_inheritable(descriptor, False)
        os.register_at_fork(after_in_child=partial(os.close, descriptor))
    task = _task()
    told = attempt(task)
    if told.trace:
        sys.stderr.write(told.trace)
        sys.stderr.flush()
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(pickle.dumps(told))


def _task() -> Task:
    orders = os.fdopen(os.dup(0), "rb", 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # nobody types to a run
    size = LENGTH.unpack(_exactly(orders, LENGTH.size))[0]
    task: Task = pickle.loads(_exactly(orders, size))
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
    return task


def _end_with(orders: BinaryIO) -> None:
    """End at once, with all that this process started, when who started it is gone: the pipe ends then."""
    orders.read(1)
    os.killpg(0, signal.SIGKILL)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = pipe.read(size - len(data))
        if not piece:
            os.killpg(0, signal.SIGKILL)
        data += piece
    return bytes(data)
