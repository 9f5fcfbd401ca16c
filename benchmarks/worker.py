"""A process of one side: `python -m benchmarks.worker SIDE LAKE RUN` answers questions that it reads as JSON lines.

A question is `{"ask": name, "save": path or null}`; the answer tells what it took, or `{"error": text}`. The first
line that it writes tells what preparing took, and which questions the side answers. What a side prints goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil
import pyarrow as pa
import pyarrow.ipc

Answer = dict[str, Any]


class Taken:
    """What a process and its children take while a block runs.

    Memory is the sum of what each had at most. A child that ends meanwhile counts with its processor time only.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()

    def __enter__(self) -> Taken:
        for process in self._family():
            _of_process(process, _forget_peak)
        self._before = self._counters()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._start
        after = self._counters()
        self.values = {"seconds": seconds} | {name: after[name] - self._before[name] for name in after}
        self.values["memory"] = sum(_of_process(process, _peak) or 0 for process in self._family())

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _counters(self) -> dict[str, float]:
        own = self._process.cpu_times()
        found = {"cpu": own.children_user + own.children_system, "disk": 0.0, "read": 0.0}
        for process in self._family():
            for name, value in (_of_process(process, _counted) or {}).items():
                found[name] += value
        return found


def _of_process(process: psutil.Process, ask: Callable[[psutil.Process], Any]) -> Any:
    """Ask something of a process; None where it has ended."""
    try:
        return ask(process)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def _forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def _peak(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _counted(process: psutil.Process) -> dict[str, float]:
    times, moved = process.cpu_times(), process.io_counters()
    return {"cpu": times.user + times.system, "disk": moved.read_bytes, "read": moved.read_chars}


def _answered(side: Any, state: object, run: str, question: dict[str, Any]) -> Answer:
    try:
        with Taken() as taken:
            rows: pa.Table = side.ANSWERS[question["ask"]](state, run)
    except Exception as error:  # told to who asked, in one line
        return {"error": f"{type(error).__name__}: {error}"}
    if question["save"]:
        with pyarrow.ipc.new_file(question["save"], rows.schema) as file:
            file.write_table(rows.unify_dictionaries())  # a file has one dictionary for a column
    return taken.values | {"rows": rows.num_rows}


def main(side_name: str, lake: str, run: str, questions: IO[str], answers: IO[str]) -> None:
    """Prepare the side, then answer until there are no more questions."""

    def tell(what: Answer) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        with Taken() as taken:
            side = importlib.import_module(f"benchmarks.sides.{side_name}")
            state = side.prepare(Path(lake))
    except Exception as error:
        tell({"error": f"{type(error).__name__}: {error}"})
        return
    tell(taken.values | {"answers": list(side.ANSWERS)})
    for line in questions:
        tell(_answered(side, state, run, json.loads(line)))


if __name__ == "__main__":
    # What the sides and their children print must not stand between the answers.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.stdin, told)
