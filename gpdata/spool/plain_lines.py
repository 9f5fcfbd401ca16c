"""The lines of one plain TCP connection on their way into a spool, each file of them durable on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import chain
from typing import TypeAlias

from gpdata.spool.incoming import Incoming, Ledger, Outcome
from gpdata.spool.meta import Key, Meta
from gpdata.spool.quarantine import Quarantine
from gpdata.spool.spool import Spool, SpoolFile
from gpdata.wire import Limits, Rejection

Stored: TypeAlias = Callable[[SpoolFile, list[Key]], object]
"""Is told of each file that became durable, and of the keys of its lines."""


class Lines:
    """The lines of one connection on their way into the spool; its methods run in threads, one at a time."""

    def __init__(
        self,
        spool: Spool,
        quarantine: Quarantine,
        meta: Meta,
        origin: str,
        ledger: Ledger,
        limits: Limits,
        stored: Stored | None,
    ) -> None:
        self._spool, self._quarantine, self._meta, self._stored = spool, quarantine, meta, stored
        self._ledger, self._limits = ledger, limits
        self._incoming: Incoming | None = None
        self._open = ExitStack()
        self.origin = origin
        self.received_at: datetime | None = None
        self.held: list[bytes] | None = []
        """What is not durable yet; None where it is too much to hold."""

    @property
    def inside(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._incoming is not None

    @property
    def lost(self) -> bool:
        """Whether what had come of a line is neither in a file nor in memory any more."""
        return self._incoming is None and self.held is None

    def take(self, parts: Iterable[bytes]) -> list[Outcome]:
        """Take bytes that end with a newline or inside the one line that they begin or go on with.

        Whatever fails drops the file: what the kernel made of a failed write or sync cannot be known.
        """
        try:
            incoming = self._incoming = self._incoming or self._begin()
            for part in parts:
                incoming.feed(part)
            return [] if incoming.inside else self._commit(incoming)
        except BaseException:
            self.drop()
            raise

    def end(self) -> list[Outcome]:
        """Store the line that has begun where only its newline is missing, else keep it as torn.

        A failure to store drops the file, as in `take`; one to keep as torn leaves it for the next attempt.
        """
        if self._incoming is None:
            self.take(tuple(self.held or ()))
        incoming = self._incoming
        if incoming is None:
            return []
        if incoming.whole():
            try:
                incoming.finish()
                return self._commit(incoming)
            except BaseException:
                self.drop()
                raise
        pieces = filter(None, incoming.begun())
        if first := next(pieces, b""):
            torn = Rejection("torn", "the connection ended inside this line")
            self._set_aside(torn, chain((first,), pieces))
        self.drop()
        return []

    def drop(self) -> None:
        """Forget the file that is being written."""
        self._incoming = None
        self._open.close()

    def _begin(self) -> Incoming:
        meta = Meta(self._meta.source, self._meta.owner, self.received_at, self.origin)
        writer = self._open.enter_context(self._spool.writer(meta))
        return Incoming(writer, meta, self._ledger, self._limits, aside=self._set_aside)

    def _commit(self, incoming: Incoming) -> list[Outcome]:
        file = incoming.commit()
        if file is not None and self._stored is not None:
            self._stored(file, incoming.keys())
        self.drop()
        return incoming.outcomes

    def _set_aside(self, rejection: Rejection, raw: Iterator[bytes]) -> None:
        self._quarantine.add(
            raw,
            code=rejection.code,
            detail=rejection.detail,
            source=self._meta.source,
            owner=self._meta.owner,
            origin=self.origin,
            run_uuid=rejection.run_uuid,
            generation=rejection.generation,
            time=self.received_at,
        )


def parts(data: bytes, inside: bool) -> Iterator[bytes]:
    r"""Part bytes at the end of the line that is under way, and at their last newline.

    Examples
    --------
    >>> list(parts(b"end\none\ntwo\nbeg", inside=True))
    [b'end\n', b'one\ntwo\n', b'beg']
    """
    begun = data.find(b"\n") + 1 if inside else 0
    whole = data.rfind(b"\n") + 1
    return filter(None, (data[:begun], data[begun:whole], data[whole:]))
