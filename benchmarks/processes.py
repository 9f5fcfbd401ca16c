"""The worker of a side, asked under a limit of time and of memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

Answer = dict[str, Any]
_LOOK = 0.2
"""Seconds between two looks at the memory."""
START = 180.0
"""Seconds in which a side has to be prepared."""


class Limits:
    """What a side may take: `memory` bytes, and `idle` of them while others are asked."""

    def __init__(self, memory: int, idle: int) -> None:
        self.memory, self.idle = memory, idle


class Worker:
    """A side in a process of its own, which starts with the first question, and anew after one that was cut off.

    Parameters
    ----------
    side : str
        A module of `benchmarks.sides`.
    lake : Path
        The lake.
    run : str
        The run that questions of one run are about.
    limits : Limits
        What it may take.
    """

    def __init__(self, side: str, lake: Path, run: str, limits: Limits) -> None:
        self.side = side
        self._command = [sys.executable, "-m", "benchmarks.worker", side, str(lake), run]
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self.prepared: Answer = {}
        """What preparing took, of the newest process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Answer:
        """Start the process where it does not run; return what preparing took, or an error."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self.prepared = self._wait(START)
            if "error" in self.prepared:
                self.stop()
        return self.prepared

    def ask(self, contest: str, save: Path | None, patience: float) -> Answer:
        """Ask a question.

        Returns
        -------
        dict
            What the answer took; or `error`, why there is none; or `cut`, which limit it met, and the `seconds` until
            then.
        """
        prepared = self.start()
        if "error" in prepared:
            return prepared
        if contest not in prepared["answers"]:
            return {"error": "not asked: it has no answer"}
        assert self._process is not None
        assert self._process.stdin is not None
        question = {"ask": contest, "save": str(save) if save else None}
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return self._wait(patience)

    def rest(self) -> None:
        """End a process that holds much memory while others are asked."""
        if self._process is not None and _memory(self._process.pid) > self._limits.idle:
            self.stop()

    def stop(self) -> None:
        """End the process and what it started."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        psutil.wait_procs(family, timeout=10)
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None

    def _wait(self, patience: float) -> Answer:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        start = time.perf_counter()
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                seconds = time.perf_counter() - start
                if selector.select(_LOOK):
                    piece = os.read(process.stdout.fileno(), 1 << 16)
                    if not piece:
                        self.stop()
                        return {"error": "its process ended"}
                    text += piece
                elif seconds > patience:
                    self.stop()
                    return {"cut": f"cut off at {seconds:.0f} s", "seconds": seconds}
                elif _memory(process.pid) > self._limits.memory:
                    self.stop()
                    return {"cut": f"out of memory after {seconds:.0f} s", "seconds": seconds}
        answer: Answer = json.loads(text)
        return answer


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory(pid: int) -> int:
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def drop_from_cache(lake: Path) -> None:
    """Let the system forget what it holds of the lake's files, so that the disk is read again."""
    for path in lake.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
