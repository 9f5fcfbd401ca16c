"""Functions that sweeps of the tests run; processes of their own import them."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any


def evolve(recorder: Any, *, seed: int, size: int = 3, generations: int = 3, **params: Any) -> None:
    """Record a run that its seed makes what it is."""
    chance = random.Random(seed)
    for generation in range(generations):
        last = generation == generations - 1
        population = [{"errors": [chance.randrange(100)]} for _ in range(size)]
        recorder.generation(population, outcome="failure" if last else "continue")


def slow(recorder: Any, *, seed: int, pause: float = 0.05, **params: Any) -> None:
    """Record a run that takes a while, so that a kill finds it half recorded."""
    for generation in range(4):
        recorder.generation(
            [{"errors": [seed % 97 + generation]}], outcome="failure" if generation == 3 else "continue"
        )
        time.sleep(pause)


def flaky(recorder: Any, *, seed: int, times: int, place: str, how: str = "raise") -> None:
    """Fail so many times, each after a generation was recorded, before a run is whole."""
    mark = Path(place) / f"{times}"
    failed = len(mark.read_text()) if mark.exists() else 0
    recorder.generation([{"errors": [1]}])
    if failed < times:
        mark.write_text("x" * (failed + 1))
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError(f"attempt {failed + 1} fails")
    recorder.generation([{"errors": [0]}], outcome="success")


def silent(recorder: Any, *, seed: int, **params: Any) -> None:
    """Record nothing."""


def leave(recorder: Any, *, seed: int, place: str, **params: Any) -> None:
    """Record a run, and leave a process behind."""
    child = os.fork()
    if not child:
        time.sleep(600)
        os._exit(0)
    Path(place).write_text(str(child))
    recorder.generation([{"errors": [1]}], outcome="failure")


def hang(recorder: Any, *, seed: int, **params: Any) -> None:
    """Never end."""
    recorder.generation([{"errors": [1]}])
    while True:
        time.sleep(1)
