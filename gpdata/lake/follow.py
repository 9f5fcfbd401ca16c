"""Following a spool: what is recorded becomes readable within seconds, for as long as this runs.

A full disk, another writer and too little memory are waited out; a damaged lake ends it, for a person to look.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpdata.errors import LakeBusy, StorageRefused, StorageUnreachable
from gpdata.lake.batch import Account
from gpdata.lake.collect import Collector
from gpdata.lake.maintain import Maintenance
from gpdata.lake.transform import Transformer
from gpdata.spool import SpoolFile
from gpdata.spool.room import FULL, Room

_log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks into the spool."""
GATHER = 2.0
"""Seconds for which files are gathered into one batch: a batch is three commits, however small it is."""
DEADLINE = 1800.0
"""Seconds that a batch may take: one of the largest file takes a few minutes."""
_RATIO = 8
"""Raw bytes to a byte of the spool, about: enough files for a batch are not gathered any longer."""
_WAIT = 5.0
_LONGEST = 30.0


class Follower:
    """Transforms what comes into a spool, collects what was transformed, and keeps the lake compact.

    Parameters
    ----------
    transformer : Transformer
        Lake, spool and how batches are made.
    room : Room
        Its ballast is given up where the disk is full.
    maintenance : Maintenance, optional
        What compacts the lake; nothing does by default.
    every, gather : float
        Seconds between two looks, and for which files are gathered.
    deadline : float, optional
        Seconds for one batch, after which this process ends itself, to be started again: a batch that hangs is
        then looked into as one that kills. For ever by default.
    stop : threading.Event, optional
        Ends `run` after the batch under way.
    clock : callable, optional
        Seconds that only ever grow.
    """

    def __init__(
        self,
        transformer: Transformer,
        room: Room,
        maintenance: Maintenance | None = None,
        *,
        every: float = EVERY,
        gather: float = GATHER,
        deadline: float | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stop = stop or threading.Event()
        self._transformer = transformer
        self._lake, self._spool = transformer.lake, transformer.spool
        self._collector = Collector(self._lake, self._spool, transformer.grace, clock=clock)
        self._room = room
        self._maintenance = maintenance
        self._every, self._gather = every, gather
        self._deadline = deadline
        self._clock = clock
        self._since: float | None = None
        self._trouble = ""

    def run(self) -> None:
        """Follow the spool until `stop` is set.

        Raises
        ------
        LakeBusy
            Another process follows this lake.
        LakeDamaged
            A file of the lake is missing or unreadable; what is in the spool stays there.
        """
        with self._lake.lock(_LONGEST, "follow.lock"):  # one that is being stopped has a batch to finish
            self._guarded(self._recover)
            try:
                while not self.stop.is_set():
                    self.stop.wait(self._guarded(self._step))
            finally:
                if self._maintenance is not None:
                    self._maintenance.stop()

    def _recover(self) -> float:
        with self._lake.lock(_WAIT):
            self._room.restore()
            with self._hurry():
                self._transformer.drain(stop=lambda: True)  # finishes what was interrupted, and begins nothing
        return 0.0

    def _step(self) -> float:
        """Do what is to be done now; return the seconds until the next look."""
        pending = self._spool.pending()
        if not pending:
            self._since = None
        elif self._ready(pending):
            self._since = None
            with self._hurry():
                account = self._transformer.run(wait=_WAIT, progress=self._in_time, stop=self.stop.is_set)
            _log.info(
                "%d lines transformed: %d stored, %d stored before, %d in quarantine",
                account.lines,
                account.accepted,
                account.duplicates,
                account.quarantined,
            )
        if self._spool.retired():
            with self._lake.lock(_WAIT):
                self._collector.collect_expired()
        self._room.restore()
        if self._maintenance is not None:
            self._maintenance.step()
        return self._every

    @contextmanager
    def _hurry(self) -> Iterator[None]:
        self._in_time()
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _in_time(self, _: Account | None = None) -> None:
        """Begin the deadline of a batch anew; its thread needs neither memory nor Python's lock to keep it."""
        if self._deadline is not None:
            faulthandler.dump_traceback_later(self._deadline, exit=True, file=sys.stderr)

    def _ready(self, pending: list[SpoolFile]) -> bool:
        """Whether enough files are there for a batch, or the first has waited long enough for others."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        many = _RATIO * sum(file.size for file in pending) >= self._transformer.batch_bytes
        return many or now - self._since >= self._gather

    def _guarded(self, work: Callable[[], float]) -> float:
        """Do something, and wait out what goes by; return the seconds to wait."""
        try:
            wait = work()
        except LakeBusy as error:
            self._tell(str(error))
            return self._every
        except MemoryError:
            self._tell("not enough memory for a batch that is half committed; it is tried again")
            return _LONGEST
        except OSError as error:
            if isinstance(error, (StorageUnreachable, StorageRefused)):
                self._tell(f"{error}. Nothing is lost: it goes on once the store answers")
                return _WAIT
            if error.errno not in FULL:
                raise
            if self._room.release():
                self._tell(f"the disk of {self._lake.path} is full; the ballast is given up to finish the batch")
                return 0.0
            self._tell(
                f"the disk of {self._lake.path} is full; nothing is lost: it goes on once there is room. "
                "Free some space, or compact the lake onto a larger disk"
            )
            return min(_LONGEST, 5 * self._every)
        if self._trouble:
            _log.info("it goes on")
        self._trouble = ""
        return wait

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("%s", trouble)
        self._trouble = trouble
