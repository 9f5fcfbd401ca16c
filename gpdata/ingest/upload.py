"""One upload: what the event loop knows of it, what threads do for it, and the memory that it may ask for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from starlette.types import Receive

from gpdata.ingest.accounts import Identity
from gpdata.ingest.body import Decoder
from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.refused import Refused
from gpdata.spool import Incoming, Meta, Outcome, Spool, SpoolWriter
from gpdata.wire import Limits

_PIECE = 256 << 10
_STEP = 4 << 20
"""Bytes after decompression for which a thread works before another upload has its turn."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may take, and all of them.

    Parameters
    ----------
    lines : int
        Lines of a body, blank ones included.
    raw_bytes : int
        Bytes of a body after decompression.
    stall : float
        Seconds without a byte after which a body is given up.
    least_rate : float
        Bytes a second, averaged over `rate_over` seconds of waiting, below which it is.
    rate_over : float
        Seconds.
    uploads : int
        Uploads that are written at once; those that only begin to arrive do not count.
    windows : int
        Bytes of zstd windows that all uploads together may have, beyond those of spool files.
    patience : float
        Seconds to wait for such a window.

    Examples
    --------
    >>> Bounds().lines
    100000
    """

    lines: int = 100_000
    raw_bytes: int = 8 << 30
    stall: float = 30.0
    least_rate: float = 1024.0
    rate_over: float = 30.0
    uploads: int = 256
    windows: int = 96 << 20
    patience: float = 30.0


class Gone(Exception):
    """The client closed the connection before its body was whole."""


@dataclass(eq=False, slots=True)
class Upload:
    """A body under way, as the watcher sees it."""

    task: asyncio.Task[object]
    identity: Identity
    received_at: datetime | None = None
    size: int = 0
    """Bytes that came."""
    waited: float = 0.0
    since: float | None = None
    """When it began to wait for the client, while it does."""
    mark: tuple[float, int] = (0.0, 0)
    """Seconds waited and bytes at the beginning of the stretch whose rate is looked at."""
    written: bool = False
    committing: bool = False
    end: Refused | None = None

    async def read(self, receive: Receive, wanted: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        parts: list[bytes] = []
        size = 0
        while size < wanted:
            self.since = time.monotonic()
            try:
                message = await receive()
            finally:
                self.waited += time.monotonic() - self.since
                self.since = None
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            if part and self.received_at is None:
                self.received_at = datetime.now(UTC)
            self.size += len(part)
            size += len(part)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts), True
        return b"".join(parts), False

    def too_slow(self, bounds: Bounds) -> Refused | None:
        """Judge the time that was spent waiting for the client; the service's own does not count."""
        if self.since is None:
            return None
        waiting = time.monotonic() - self.since
        if waiting >= bounds.stall:
            return Refused("too_slow", f"no byte of the body came for {bounds.stall:.0f} s; send the lines again")
        waited, before = self.mark
        if self.waited + waiting - waited >= bounds.rate_over:
            if self.size - before < bounds.least_rate * bounds.rate_over:
                detail = f"the body came at less than {bounds.least_rate:.0f} bytes a second; send the lines again"
                return Refused("too_slow", detail)
            self.mark = (self.waited + waiting, self.size)
        return None

    def abort(self, reason: Refused) -> None:
        """End the upload, unless it is being made durable already."""
        if self.end is None and not self.committing:
            self.end = reason
            self.task.cancel()


class Work:
    """What threads do for one upload, one at a time."""

    def __init__(
        self,
        spool: Spool,
        ledger: LakeLedger,
        limits: Limits,
        bounds: Bounds,
        body: Decoder,
        owner: str,
        origin: str | None,
    ) -> None:
        self._spool, self._ledger, self._limits, self._bounds = spool, ledger, limits, bounds
        self._meta = Meta("upload", owner, origin=origin)
        self._claims = ledger.claims()
        self._writer: SpoolWriter | None = None
        self._incoming: Incoming | None = None
        self.body = body
        self.raw_bytes = 0
        self.outcomes: list[Outcome] = []
        self.committed = False
        self.commit_seconds = 0.0

    def begin(self, data: bytes, received_at: datetime | None, *, ended: bool) -> None:
        """Note the next bytes of the body."""
        if self._meta.received_at is None:
            self._meta = msgspec.structs.replace(self._meta, received_at=received_at)
        self.body.put(data)
        if ended:
            self.body.finish()

    def step(self) -> bool:
        """Take what was noted, or some of it; return whether that was all."""
        until = self.raw_bytes + _STEP
        while self.raw_bytes < until:
            piece = self.body.read(_PIECE)
            if not piece:
                return not self.body.lacks
            self.raw_bytes += len(piece)
            if self.raw_bytes > self._bounds.raw_bytes:
                raise Refused("too_large", f"a body has at most {self._bounds.raw_bytes:,} bytes; send several")
            incoming = self._open()
            incoming.feed(piece)
            if incoming.lines > self._bounds.lines:
                raise Refused("too_many_lines", f"a body has at most {self._bounds.lines:,} lines; send several")
        return False

    def last(self) -> bool:
        """Do a step, and make the lines durable where it was the last."""
        if not self.step():
            return False
        begun = time.perf_counter()
        if self._incoming is not None:
            self._incoming.finish()
            self.outcomes = self._incoming.outcomes
            file = self._incoming.commit()
            if file is not None:
                self._ledger.committed(file.id, self._incoming.keys(), self._meta.owner, self._meta.received_at)
        self.commit_seconds = time.perf_counter() - begun
        self.committed = True
        return True

    def close(self) -> None:
        """Drop what is not committed."""
        self._claims.release()
        if self._writer is not None:
            self._writer.__exit__(None, None, None)

    def _open(self) -> Incoming:
        if self._incoming is None:
            self._writer = self._spool.writer(self._meta)
            self._incoming = Incoming(self._writer, self._meta, self._claims, self._limits)
        return self._incoming


@dataclass
class Windows:
    """A reserve of memory for windows, given out in the order of asking."""

    free: int
    waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    async def take(self, size: int, patience: float) -> int:
        """Reserve so many bytes; `Refused` where they are not free in time."""
        if size > self.free or self.waiting:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append((size, turn))
            try:
                await asyncio.wait_for(turn, patience)
            except BaseException as error:
                if turn.done() and not turn.cancelled():
                    self.give(size)
                else:
                    self.waiting.remove((size, turn))
                    self._serve()
                if isinstance(error, TimeoutError):
                    detail = "many uploads need large zstd windows now; send the same lines again in a moment"
                    raise Refused("busy", detail) from None
                raise
        else:
            self.free -= size
        return size

    def give(self, size: int) -> None:
        """Give bytes back."""
        self.free += size
        self._serve()

    def _serve(self) -> None:
        while self.waiting and self.waiting[0][0] <= self.free:
            size, turn = self.waiting.popleft()
            self.free -= size
            turn.set_result(None)
