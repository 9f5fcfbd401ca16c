"""Loading units in processes of their own, which are replaced now and then, so that no reader's memory grows."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from gpdata.errors import GpdataError
from gpdata.importers.work import Broke, Ended, Order, PassedBy, Told, Unit, Wrote, load
from gpdata.lake import Lake

UNITS_EACH = 200
"""Units after which a process is replaced."""
_CREDIT = 3
"""Spool files that a process may be ahead of those that are transformed: bounds what waits in the spool."""
_TRIES = 2
_encode = msgspec.json.encode
_told = msgspec.json.Decoder(Told)
_unit = msgspec.json.Decoder(Unit | int)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    number: int | None = None
    """The unit that it loads."""
    units: int = 0
    done: int = 0
    buffer: bytes = b""
    said: list[str] = field(default_factory=list)

    @property
    def output(self) -> BinaryIO:
        assert self.process.stdout is not None
        return self.process.stdout  # type: ignore[return-value]

    def tell(self, message: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died; its output says so next
            self.process.stdin.write(message + b"\n")

    def end(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


def load_in_processes(
    units: Iterable[tuple[int, Unit]], order: Order, count: int, *, units_each: int = UNITS_EACH
) -> Iterator[tuple[int, Told]]:
    """Load units in processes, and pass on what they tell.

    Parameters
    ----------
    units : iterable of (int, Unit)
        Numbered units.
    order : Order
        The import's settings.
    count : int
        How many processes.
    units_each : int, optional
        Units after which a process is replaced.

    Yields
    ------
    (int, Told)
        The unit's number, and what is told of it; a unit that kills its process twice is `PassedBy`.
    """
    waiting = deque(units)
    pool: list[_Worker] = []
    died: dict[int, int] = {}
    known = dict(waiting)
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or any(worker.number is not None for worker in pool):
                for worker in [worker for worker in pool if worker.number is None and worker.units >= units_each]:
                    _dismiss(worker, pool, selector)
                while waiting and len(pool) < count:
                    pool.append(_start(order, selector))
                for worker in pool:
                    if worker.number is None and waiting:
                        worker.number, unit = waiting.popleft()
                        worker.units, worker.done = worker.units + 1, unit.done
                        worker.tell(_encode(unit))
                for key, _ in selector.select():
                    worker = key.data
                    data = os.read(worker.output.fileno(), 1 << 16)
                    if not data:
                        yield from _mourned(worker, pool, selector, waiting, known, died)
                        continue
                    yield from _heard(worker, data)
        finally:
            for worker in list(pool):
                _dismiss(worker, pool, selector)


def _start(order: Order, selector: selectors.BaseSelector) -> _Worker:
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker = _Worker(process)
    worker.tell(_encode(order))
    selector.register(worker.output, selectors.EVENT_READ, worker)
    return worker


def _dismiss(worker: _Worker, pool: list[_Worker], selector: selectors.BaseSelector) -> None:
    """End a process; one that loads loses nothing: its unit is loaded again."""
    pool.remove(worker)
    selector.unregister(worker.output)
    worker.end()
    if worker.number is not None:
        worker.process.kill()
    worker.output.close()
    worker.process.wait()


def _heard(worker: _Worker, data: bytes) -> Iterator[tuple[int, Told]]:
    *whole, worker.buffer = (worker.buffer + data).split(b"\n")
    for message in whole:
        told: Told = _told.decode(message)
        assert worker.number is not None
        number = worker.number
        if isinstance(told, Broke):
            raise GpdataError(told.reason)
        if isinstance(told, Wrote):
            worker.done = told.done
        if isinstance(told, Ended):
            worker.number = None
        yield number, told
        if isinstance(told, Wrote):
            worker.tell(b"1")


def _mourned(
    worker: _Worker,
    pool: list[_Worker],
    selector: selectors.BaseSelector,
    waiting: deque[tuple[int, Unit]],
    known: dict[int, Unit],
    died: dict[int, int],
) -> Iterator[tuple[int, Told]]:
    """Take the unit of a process that died to another; one that kills two is passed by."""
    number = worker.number
    done = worker.done
    worker.number = None
    _dismiss(worker, pool, selector)
    status = worker.process.returncode
    if number is None:
        raise GpdataError(
            f"a process of the import ended with status {status} before it read anything; its own words stand above"
        )
    died[number] = died.get(number, 0) + 1
    if died[number] < _TRIES:
        waiting.appendleft((number, msgspec.structs.replace(known[number], done=done)))
        return
    reason = (
        f"reading it ended its process {_TRIES} times, with status {status}"
        f"{' (killed: perhaps there is not enough memory)' if status == -signal.SIGKILL else ''}; "
        "what was read of it is in the lake"
    )
    yield number, PassedBy(known[number].path, reason, True)
    yield number, Ended(done)


def main() -> None:
    """Be a process of the pool: load the units that standard input names, one after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it decides
    messages = sys.stdin.buffer
    try:
        order = msgspec.json.decode(messages.readline(), type=Order)
        lake, reading = Lake.open(order.lake), order.reading()
        credit = _CREDIT
        while message := messages.readline():
            found = _unit.decode(message)
            if isinstance(found, int):
                credit += 1
                continue
            for told in _said(load(found, order, lake, reading)):
                while isinstance(told, Wrote) and credit <= 0:
                    if not (answer := messages.readline()):
                        return
                    credit += _unit.decode(answer)
                credit -= isinstance(told, Wrote)
                sys.stdout.buffer.write(_encode(told) + b"\n")
                sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more; the interpreter would complain of its unflushed output


def _said(found: Iterator[Told]) -> Iterator[Told]:
    """Pass on what is told; where the import cannot go on, tell that."""
    try:
        yield from found
    except BrokenPipeError:
        raise
    except (OSError, GpdataError) as error:
        yield Broke(str(error))
