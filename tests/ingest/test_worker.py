"""The child that the service keeps alive: real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gpdata.ingest.worker import Worker

DEADLINE = 20.0
SLEEPER = "import sys; sys.stdin.read()"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
HUNGRY = "import sys; x = bytearray(300 << 20); x[::4096] = b'x' * len(x[::4096]); sys.stdin.read()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def children(code: str) -> list[psutil.Process]:
    """Return the children that run this; others belong to other tests."""
    return [child for child in psutil.Process().children() if code in child.cmdline()]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_child_that_dies_is_started_again_one_at_a_time() -> None:
    async def go() -> None:
        worker = Worker(python(SLEEPER), delays=(0.01, 0.05))
        await worker.start()
        await worker.start()  # changes nothing
        for number in range(1, 4):
            pid = worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda number=number: worker.restarts == number and worker.alive)
            assert worker.pid != pid
            assert worker.last_exit == -signal.SIGKILL
            assert len(children(SLEEPER)) == 1
        await worker.stop()
        assert not worker.alive
        assert worker.pid is None
        assert children(SLEEPER) == []

    asyncio.run(go())


def test_one_that_ends_at_once_is_not_started_in_a_hurry() -> None:
    async def go() -> None:
        worker = Worker(python("raise SystemExit(2)"), delays=(0.01, 60.0))
        await worker.start()
        await until(lambda: worker.failures >= 4)
        assert worker.last_exit == 2
        await worker.stop()  # in the middle of a wait
        assert worker.restarts >= 3

    asyncio.run(go())


def test_a_child_that_does_not_end_is_killed() -> None:
    async def go() -> None:
        worker = Worker(python(STUBBORN), stop_timeout=0.2)
        await worker.start()
        await worker.stop()
        assert worker.last_exit in (-signal.SIGKILL, -signal.SIGTERM)
        assert children(STUBBORN) == []

    asyncio.run(go())


def test_a_child_that_takes_too_much_memory_is_killed() -> None:
    async def go() -> None:
        worker = Worker(python(HUNGRY), memory=100 << 20, delays=(0.01, 60.0))
        await worker.start()
        await until(lambda: worker.last_exit is not None)
        assert worker.last_exit == -signal.SIGKILL
        await worker.stop()

    asyncio.run(go())


def test_a_command_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    async def go() -> None:
        with pytest.raises(FileNotFoundError):
            await Worker([str(tmp_path / "nothing")]).start()

    asyncio.run(go())


def test_the_child_ends_when_the_service_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio
from gpdata.ingest.worker import Worker

async def go():
    worker = Worker({python(SLEEPER)!r})
    await worker.start()
    print(worker.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(go())
"""
    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        child = psutil.Process(int(service.stdout.readline()))
        service.kill()
        _gone, alive = psutil.wait_procs([child], timeout=DEADLINE)
        assert alive == []
