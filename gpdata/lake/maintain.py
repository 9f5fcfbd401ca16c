"""Compaction by itself: when enough has gathered, in a process of its own that yields to every other."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from gpdata.lake.cleaning import KEEP, clean
from gpdata.lake.compaction import SIZES, Compacted, Sizes, compact, is_loose
from gpdata.lake.lake import Lake

_log = logging.getLogger(__name__)

FILES = 64
"""Files of batches in a table: so many more make a query slow, and opening the lake slower than it need be."""
BYTES = 128 << 20
"""Bytes of batches in a table: as many as make one full file."""
EVERY = 600.0
"""Seconds between two compactions: a lake that is written all the time is compacted six times an hour."""
_LOOK = 30.0
_DAY = 24 * 3600.0


def due(lake: Lake, *, files: int = FILES, size: int = BYTES) -> bool:
    """Whether enough has gathered in a lake to be compacted.

    Parameters
    ----------
    lake : Lake
        The lake.
    files, size : int
        How many files, or bytes, of batches in one table are enough.
    """
    for table in lake.tables.values():
        loose = [file for file in table.files() if is_loose(file)]
        if len(loose) >= files or sum(file.size for file in loose) >= size:
            return True
    return False


def compact_if_due(
    lake: Lake, *, keep: float = KEEP, files: int = FILES, size: int = BYTES, sizes: Sizes = SIZES
) -> list[Compacted]:
    """Compact a lake where enough has gathered, each row about ten times at most; clean it up in any case.

    Parameters
    ----------
    lake : Lake
        The lake.
    keep : float
        Seconds for which replaced files stay.
    files, size : int
        How many files, or bytes, of batches in one table are enough.
    sizes : Sizes
        How large compacted files are.

    Returns
    -------
    list of Compacted
        One a table; none where nothing was due.

    Raises
    ------
    LakeBusy
        Another process compacts this lake now.
    """
    if due(lake, files=files, size=size):
        return compact(lake, keep=keep, everything=False, sizes=sizes)
    with lake.lock(0, "compaction.lock"), lake.lock():
        clean(lake, keep)
    return []


class Maintenance:
    """Starts a compaction now and then, and never two at once.

    Parameters
    ----------
    lake : Lake
        The lake.
    command : sequence of str
        What compacts it, in a process that ends when its standard input does.
    every : float
        Seconds from one start to the next.
    clock : callable, optional
        Seconds that only ever grow.
    """

    def __init__(
        self,
        lake: Lake,
        command: Sequence[str],
        *,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._command = list(command)
        self._every = every
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._looked = self._cleaned = self._clock()
        self._started: float | None = None

    @property
    def at_work(self) -> bool:
        """Whether a compaction is running."""
        return self._child is not None and self._child.poll() is None

    def step(self) -> bool:
        """Start a compaction where one is due; return whether one was started. Quick: to be called often."""
        now = self._clock()
        if self._child is not None and self._child.poll() is not None:
            if self._child.returncode:
                _log.error("the compaction ended with exit status %d", self._child.returncode)
            self._close()
        if self._child is not None or now - self._looked < min(_LOOK, self._every):
            return False
        self._looked = now
        rested = self._started is None or now - self._started >= self._every
        if not rested or not (now - self._cleaned >= _DAY or due(self._lake)):
            return False
        self._started = self._cleaned = now
        _log.info("a compaction begins")
        self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        return True

    def stop(self) -> None:
        """End a compaction that is running; what it wrote so far is dropped, nothing is lost."""
        if self._child is not None:
            self._child.kill()
            self._close()

    def _close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.wait()
            with suppress(OSError):
                assert child.stdin is not None
                child.stdin.close()
