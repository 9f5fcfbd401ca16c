"""The transform beside the service: a child process that is kept alive, one at a time.

The child ends when its standard input does, so it never outlives a service that was killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gpdata.storage import Place

_log = logging.getLogger(__name__)

_LIVED = 60.0
"""A child that lived this many seconds starts the back-off anew when it ends."""
_WATCH = 1.0


def follow_command(
    lake: Place,
    spool: Place,
    *,
    grace: float = 0.0,
    memory: int | None = None,
    keep_free: int | None = None,
    compact: bool = True,
) -> list[str]:
    """Return the command of the transform that follows a spool for as long as its standard input is open.

    Parameters
    ----------
    lake, spool : Path or ObjectPath
        The directories, or places in a store.
    grace : float
        Seconds for which a transformed spool file is kept.
    memory : int, optional
        Bytes of memory that it may take; its own default where left out.
    keep_free : int, optional
        Free bytes below which it makes no ballast; its own default where left out.
    compact : bool
        Whether it compacts the lake now and then.

    Examples
    --------
    >>> follow_command(Path("lake"), Path("lake/spool"), grace=60.0)[6:]
    ['--lake', 'lake', '--spool', 'lake/spool', '--grace', '60.0', '--compact']
    """
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "transform", "--follow", "--with-parent"]
    command += ["--lake", str(lake), "--spool", str(spool), "--grace", str(grace)]
    if memory is not None:
        command += ["--memory", str(memory)]
    if keep_free is not None:
        command += ["--keep-free", str(keep_free)]
    return [*command, "--compact" if compact else "--no-compact"]


class Worker:
    """Keeps a command running: starts it again when it ends, later each time.

    Parameters
    ----------
    command : sequence of str
        What is run; it should end when its standard input does. See `follow_command`.
    memory : int, optional
        Bytes that the child limits itself to; with a quarter more in use, as the system counts, it is killed.
    stop_timeout : float
        Seconds that the child has after SIGTERM, for the batch under way.
    delays : tuple of float
        Seconds before the first start again, and at most.

    Attributes
    ----------
    restarts : int
        How often the child was started again since `start`.
    failures : int
        How often in a row it ended soon after its start.
    last_exit : int or None
        Exit status of the child that ended last, minus the signal's number where one killed it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        memory: int | None = None,
        stop_timeout: float = 30.0,
        delays: tuple[float, float] = (0.5, 60.0),
    ) -> None:
        self._command = list(command)
        self._most = None if memory is None else memory * 5 // 4
        self._stop_timeout = stop_timeout
        self._delays = delays
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.restarts = 0
        self.failures = 0
        self.last_exit: int | None = None

    @property
    def alive(self) -> bool:
        """Whether a child is running now."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The child's process id; None where none is running."""
        return self._process.pid if self._process is not None and self.alive else None

    async def start(self) -> None:
        """Start the child, and keep one running until `stop`.

        Raises
        ------
        OSError
            The command cannot be started at all.
        """
        if self._task is None:
            self._stopping.clear()
            self._process = await self._spawn()
            self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Let the child finish its batch, and end it; returns once it is gone."""
        self._stopping.set()
        if self._task is not None:
            task, self._task = self._task, None
            await task

    async def _supervise(self) -> None:
        while self._process is not None:
            began = time.monotonic()
            await self._attend(self._process)
            self.last_exit = self._process.returncode
            if self._stopping.is_set():
                return
            self.failures = 1 if time.monotonic() - began >= _LIVED else self.failures + 1
            delay = min(self._delays[1], self._delays[0] * 2.0 ** (self.failures - 1))
            _log.warning("the transform ended (%s); it starts again in %.1f s", _how(self.last_exit), delay)
            if await self._stopped_within(delay):
                return
            self._process = await self._restart()

    async def _restart(self) -> Process | None:
        while not self._stopping.is_set():
            self.restarts += 1
            try:
                return await self._spawn()
            except OSError as error:  # no memory or no process left: the service goes on taking lines in
                self.failures += 1
                _log.error("the transform cannot be started: %s", error)
                await self._stopped_within(self._delays[1])
        return None

    async def _spawn(self) -> Process:
        # A session of its own: Ctrl-C reaches the service alone, which then ends the child in order.
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=DEVNULL, start_new_session=True
        )
        _log.info("the transform runs as process %d", process.pid)
        return process

    async def _attend(self, process: Process) -> None:
        """Return once the child has ended, by itself or because it was told to."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not ended.done() and not stopping.done():
                await asyncio.wait({ended, stopping}, timeout=_WATCH, return_when=asyncio.FIRST_COMPLETED)
                if self._most is not None and (size := resident(process.pid)) > self._most:
                    _log.error("the transform took %d bytes of memory, of %d at most: killed", size, self._most)
                    _signal(process, signal.SIGKILL)
            if not ended.done():
                _signal(process, signal.SIGTERM)
                await asyncio.wait({ended}, timeout=self._stop_timeout)
            if not ended.done():
                _log.error("the transform did not end within %.0f s: killed", self._stop_timeout)
                _signal(process, signal.SIGKILL)
            await ended
        finally:
            stopping.cancel()
            ended.cancel()

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()


def resident(pid: int) -> int:
    """Return the bytes of memory that a process takes now; 0 where it is gone, or the system does not tell.

    Examples
    --------
    >>> resident(0)
    0
    """
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
