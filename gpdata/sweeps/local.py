"""Attempts as processes of this machine: each in a session of its own, ended with the process that started it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gpdata.sweeps.task import Task, Told
from gpdata.sweeps.worker import CODE, LENGTH


class Processes:
    """Starts a process for each attempt; threads may share it.

    Parameters
    ----------
    lock : int
        The descriptor of the sweep's lock, which the processes hold, too.
    timeout : float or None
        Seconds after which an attempt is ended.
    """

    def __init__(self, lock: int, timeout: float | None) -> None:
        self._lock, self._timeout = lock, timeout
        self._running: set[int] = set()
        self._guard = threading.Lock()
        self._stopping = False

    def run(self, task: Task, log: Path) -> Told:
        """Run one attempt to its end.

        Parameters
        ----------
        task : Task
            What to run.
        log : Path
            The file for what it prints.

        Returns
        -------
        Told
            How it ended; a process that died before it could say so failed.
        """
        read, write = os.pipe()
        with os.fdopen(read, "rb") as answers, log.open("ab") as printed:
            try:
                with self._guard:  # nothing is started after `stop`
                    if self._stopping:
                        return Told("the sweep was stopped")
                    process = subprocess.Popen(
                        [sys.executable, "-c", CODE, json.dumps(sys.path), str(write), str(self._lock)],
                        stdin=subprocess.PIPE,
                        stdout=printed,
                        stderr=subprocess.STDOUT,
                        pass_fds=(write, self._lock),
                        start_new_session=True,
                    )
                    self._running.add(process.pid)
            finally:
                os.close(write)
            timer = threading.Timer(self._timeout, _end, (process.pid,)) if self._timeout is not None else None
            try:
                if timer is not None:
                    timer.start()
                return self._told(process, task, answers.read)
            finally:
                if timer is not None:
                    timer.cancel()
                with self._guard:
                    self._running.discard(process.pid)
                assert process.stdin is not None
                with suppress(BrokenPipeError):
                    process.stdin.close()

    def stop(self) -> None:
        """End all attempts, with everything that they started."""
        with self._guard:
            self._stopping = True
            for pid in self._running:
                _end(pid)

    def _told(self, process: subprocess.Popen[bytes], task: Task, answer: Callable[[], bytes]) -> Told:
        assert process.stdin is not None
        data = pickle.dumps(task)
        with suppress(BrokenPipeError):  # it died already, and its exit status says how
            process.stdin.write(LENGTH.pack(len(data)) + data)
            process.stdin.flush()
        said = answer()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its number is its own until `wait`
        _end(process.pid)  # the attempt is over; what it left behind goes with it
        status = process.wait()
        if said:
            told: Told = pickle.loads(said)
            return told
        if status == -signal.SIGKILL and self._timeout is not None:
            return Told(f"it was ended after {self._timeout:g} s (timeout), or for want of memory")
        if status < 0:
            return Told(f"signal {-status} ({signal.strsignal(-status)}) ended its process; dmesg tells of memory")
        return Told(f"its process ended with exit status {status} before the run was whole")


def _end(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
