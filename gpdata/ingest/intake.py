"""From a request's body to a durable spool file, in bounded memory, or nothing at all.

The event loop gathers what arrives; threads decompress, hash and write it. One watcher looks at every upload
under way and ends those that are too slow, or whose token is no longer good.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.types import Receive

from gpdata.ingest.accounts import Accounts, Identity
from gpdata.ingest.body import MOST_WINDOW, BadBody, Decoder
from gpdata.ingest.ledger import Claimed, LakeLedger
from gpdata.ingest.metrics import Metrics
from gpdata.ingest.refused import Refused
from gpdata.ingest.upload import Bounds, Upload, Windows, Work
from gpdata.spool import Outcome, Spool
from gpdata.spool.room import Room
from gpdata.wire import Limits

_log = logging.getLogger(__name__)

_GATHER = (64 << 10, 256 << 10)
"""Bytes that are gathered before a thread looks at them, at least and at most."""
_GATHERED = 16 << 20
"""Bytes that all uploads together gather, where there are many."""
_ROOM_EVERY = 16 << 20
_WATCH = 0.25
_THREADS = 4
_COMMITTERS = 16

_T = TypeVar("_T")


class Intake:
    """Takes bodies of requests into a spool.

    Parameters
    ----------
    spool : Spool
        Where lines go.
    ledger : LakeLedger
        Knows whose runs are, and what is there; told of each commit.
    accounts : Accounts
        Says whether a token is still good.
    room : Room
        Says whether there is room for more.
    metrics : Metrics
        Counts.
    limits : Limits
        What a line may be at most.
    bounds : Bounds, optional
        What a request may be at most.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: LakeLedger,
        accounts: Accounts,
        room: Room,
        metrics: Metrics,
        limits: Limits,
        bounds: Bounds | None = None,
    ) -> None:
        self.bounds = bounds or Bounds()
        self._spool, self._ledger, self._accounts = spool, ledger, accounts
        self._room, self._metrics, self._limits = room, metrics, limits
        self._uploads: set[Upload] = set()
        self._windows = Windows(max(self.bounds.windows, MOST_WINDOW))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gpdata-intake")
        self._committers = ThreadPoolExecutor(_COMMITTERS, thread_name_prefix="gpdata-commit")
        self._written = 0
        self.stopping = False
        self.failing: str | None = None
        """Why the last attempt to write failed; None once one succeeded."""

    @property
    def under_way(self) -> int:
        """How many uploads are under way."""
        return len(self._uploads)

    def check_room(self) -> None:
        """Refuse what would be refused whatever the body is."""
        if self.stopping:
            raise Refused("stopping", "the service is stopping; send the same lines again in a few seconds")
        if not self._room.enough():
            raise _disk_full()

    async def take(self, receive: Receive, body: Decoder, identity: Identity, origin: str | None) -> list[Outcome]:
        """Take a body in; when this returns, the lines that it says are stored survive a crash.

        Parameters
        ----------
        receive : callable
            Gives the body, as ASGI has it.
        body : Decoder
            Decompresses it.
        identity : Identity
            Who sends it.
        origin : str or None
            Where it comes from, for people.

        Returns
        -------
        list of Outcome
            What became of each line.

        Raises
        ------
        Refused
            Nothing was kept.
        Gone
            The client went away; nothing was kept.
        """
        self.check_room()
        task = asyncio.current_task()
        assert task is not None
        upload = Upload(task, identity)
        try:
            return await self._attend(receive, upload, body, origin)
        except asyncio.CancelledError:
            if upload.end is None or task.uncancel():
                raise
            raise upload.end from None

    async def watch(self) -> None:
        """End uploads that are too slow or no longer allowed; runs for as long as the service does."""
        while True:
            await asyncio.sleep(_WATCH)
            good: dict[str, bool] = {}
            for upload in list(self._uploads):
                token = upload.identity.token_id
                if token not in good:
                    good[token] = await self._accounts.still_valid(upload.identity)
                if not good[token]:
                    upload.abort(_revoked())
                elif (slow := upload.too_slow(self.bounds)) is not None:
                    upload.abort(slow)

    def end_all(self) -> None:
        """End every upload under way: the time to finish is over."""
        for upload in self._uploads:
            upload.abort(Refused("stopping", "the service stopped before the body was whole; send the lines again"))

    def close(self) -> None:
        """Let the threads go; nothing is under way any more."""
        self._threads.shutdown(wait=False)
        self._committers.shutdown(wait=False)

    async def _attend(self, receive: Receive, upload: Upload, body: Decoder, origin: str | None) -> list[Outcome]:
        free_window = body.granted
        work = Work(self._spool, self._ledger, self._limits, self.bounds, body, upload.identity.name, origin)
        self._uploads.add(upload)
        self._metrics.uploads.inc()
        try:
            return await self._take(receive, upload, work)
        finally:
            self._uploads.discard(upload)
            self._written -= upload.written
            self._metrics.uploads.dec()
            self._metrics.wire.inc(upload.size)
            self._metrics.raw.inc(work.raw_bytes)
            self._windows.give(body.granted - free_window)
            if work.committed:
                work.close()
            else:
                await self._hop(self._committers, work.close)

    async def _take(self, receive: Receive, upload: Upload, work: Work) -> list[Outcome]:
        checked = 0
        while True:
            data, ended = await upload.read(receive, self._gather())
            if not upload.written:
                if self._written >= self.bounds.uploads:
                    raise Refused("busy", f"{self._written} uploads are under way; send the lines again in a moment")
                upload.written = True
                self._written += 1
            work.begin(data, upload.received_at, ended=ended)
            while True:
                if ended and not await self._accounts.still_valid(upload.identity):
                    raise _revoked()
                # What may be the last step commits, too: a small body takes one way to a thread and back.
                upload.committing = ended
                done = await self._run(self._committers if ended else self._threads, work.last if ended else work.step)
                upload.committing = False
                if work.committed:
                    self.failing = None
                    self._metrics.commits.observe(work.commit_seconds)
                    return work.outcomes
                if work.raw_bytes - checked >= _ROOM_EVERY:
                    checked = work.raw_bytes
                    if not self._room.enough():
                        raise _disk_full()
                if done:
                    break
                if work.body.lacks:
                    work.body.granted += await self._windows.take(work.body.lacks, self.bounds.patience)

    def _gather(self) -> int:
        least, most = _GATHER
        return max(least, min(most, _GATHERED // max(1, len(self._uploads))))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        try:
            result = await self._hop(pool, work)
        except BadBody as error:
            raise Refused("bad_body", f"{error}; nothing was kept, send the whole body again") from None
        except Claimed as error:
            run = error.args[0]
            detail = f"another user's upload of run {run} is under way; send the same lines again once it is over"
            raise Refused("busy", detail) from None
        except OSError as error:
            # A file whose write or sync failed is dropped, never tried again: the kernel may have forgotten bytes.
            self.failing = error.strerror or str(error)
            _log.error("an upload could not be written: %s", error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _disk_full() from None
            detail = "the spool could not be written; nothing was kept, send the same lines again later"
            raise Refused("write_failed", detail) from None
        return result

    async def _hop(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        """Run in a thread; where this task is cancelled, only after the thread has let go."""
        job = pool.submit(work)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            await asyncio.wait({asyncio.wrap_future(job)})
            raise


def _disk_full() -> Refused:
    return Refused("disk_full", "the service's disk is nearly full; nothing was kept, send the same lines again later")


def _revoked() -> Refused:
    return Refused("revoked", "the token was revoked, or expired, during the upload; nothing was kept")
