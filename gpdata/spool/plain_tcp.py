"""The receiver of the plain TCP protocol that Clojush's recorder speaks: a generation and a newline, no answer.

What cannot be promised: the recorder never reads, so that it takes for delivered what lies in the buffers of
the two kernels. Those bytes are lost where this process is killed, or closes a connection that it has not read
to its end. So a connection is closed only where nothing else is left, and is not read while nothing can be
written: the sender's writes block then, and nothing is dropped.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from gpdata.errors import InvalidInput
from gpdata.spool.incoming import REFUSED, STORED, Anything, Ledger, Outcome
from gpdata.spool.meta import Meta
from gpdata.spool.plain_lines import Lines, Stored, parts
from gpdata.spool.quarantine import Quarantine
from gpdata.spool.spool import Spool
from gpdata.wire import Limits

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: Final[tuple[Network, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
"""The networks that are this machine itself."""

_READ = 256 << 10
_HELD = 64 << 20
"""Bytes of unfinished lines that are also held in memory, all connections together, to outlive a failing disk."""
_THREADS = 8
_POLL = 0.25  # seconds between two questions whether there is room again
_PAUSES = (0.5, 30.0)  # seconds before a failed write is tried again: at first, and at most
_LINGER = 0.2  # seconds without a byte after which a connection counts as read to its end, at a stop
_KEEPALIVE = {"TCP_KEEPIDLE": 120, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 4}

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What a `PlainServer` has seen since it started."""

    connections: int = 0
    """Taken, the closed ones included."""
    open: int = 0
    rejected: int = 0
    """Connections from other networks, closed at once."""
    bytes: int = 0
    lines: int = 0
    """Stored durably."""
    duplicates: int = 0
    refused: int = 0
    """In the quarantine, those that are too long included."""
    torn: int = 0
    """Beginnings of lines whose end never came, in the quarantine."""
    write_errors: int = 0


class PlainServer:
    """Takes generations over plain TCP into a spool; each line is durable soon after its newline came.

    Parameters
    ----------
    spool : Spool
        Where lines go.
    quarantine : Quarantine
        Where refused lines go, and torn ones.
    source : str
        The way in, for `Meta.source`.
    owner : str, optional
        Whose the runs are; nobody's by default.
    ledger : Ledger, optional
        Says which lines are refused or there already; every line is taken by default.
    limits : Limits, optional
        What a line may be at most.
    networks : sequence of IPv4Network and IPv6Network, optional
        From where connections are taken; from this machine by default.
    allow : callable, optional
        Whether there is room for more; asked on the event loop before each read. Nothing is read while it is
        False.
    stored : callable, optional
        Called in a worker thread with each file that became durable, and the keys of its lines.

    Attributes
    ----------
    counts : Counts
        Changed on the event loop only.
    addresses : list of (str, int)
        Where it listens.
    """

    def __init__(
        self,
        spool: Spool,
        quarantine: Quarantine,
        *,
        source: str,
        owner: str | None = None,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        networks: Sequence[Network] = LOOPBACK,
        allow: Callable[[], bool] = lambda: True,
        stored: Stored | None = None,
    ) -> None:
        self._spool, self._quarantine = spool, quarantine
        self._meta = Meta(source, owner)
        self._ledger, self._limits = ledger or Anything(), limits or Limits()
        self._networks, self._allow, self._stored = tuple(networks), allow, stored
        self._listeners: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._stop: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._held = 0
        self.counts = Counts()
        self.addresses: list[tuple[str, int]] = []

    async def start(self, host: str, port: int) -> None:
        """Listen and take connections from now on.

        Parameters
        ----------
        host : str
            A name or an address; a name that has several is listened to at each.
        port : int
            0 for any free one, see `addresses`.

        Raises
        ------
        InvalidInput
            There is no such address here, or something else listens there.
        """
        loop = asyncio.get_running_loop()
        self._listeners = await loop.run_in_executor(None, _listen, host, port)
        self._stop = loop.create_future()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gpdata-plain")
        self.addresses = [listener.getsockname()[:2] for listener in self._listeners]
        self._accepting = [loop.create_task(self._accept(listener)) for listener in self._listeners]

    async def stop(self, grace: float = 2.0) -> None:
        """Take no more connections, read what has arrived, make whole lines durable and close.

        The beginning of a line whose end does not come in time is kept as torn; the recorder, whose write
        fails, sends that line again.

        Parameters
        ----------
        grace : float, optional
            Seconds that may be read on.
        """
        if self._stop is None or self._stop.done():
            return
        self._deadline = asyncio.get_running_loop().time() + grace
        self._stop.set_result(None)
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*self._connections)
        self._threads.shutdown()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except ConnectionError:
                continue
            except OSError as error:  # no descriptor or no memory is left: what waits, waits in the kernel
                _log.error("cannot take connections now: %s; raise the limit of open files (ulimit -n)", error)
                await asyncio.sleep(1)
                continue
            name = _name(peer)
            if not self._is_known(peer[0]):
                self.counts.rejected += 1
                _log.warning("refused a plain connection from %s: it is in none of the networks that may send", name)
                connection.close()
                continue
            task = loop.create_task(self._serve(connection, name))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    def _is_known(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._networks)

    async def _serve(self, connection: socket.socket, name: str) -> None:
        """Read a connection to its end."""
        self.counts.connections += 1
        self.counts.open += 1
        lines = Lines(self._spool, self._quarantine, self._meta, name, self._ledger, self._limits, self._stored)
        try:
            with connection:
                _keep_alive(connection)
                while data := await self._read(connection):
                    self.counts.bytes += len(data)
                    received_at = datetime.now(UTC)
                    for part in parts(data, lines.inside):
                        await self._take(lines, part, received_at)
                await self._end(lines, name)
        except OSError as error:
            # The line under way is gone here. The recorder finds the connection closed and sends it again,
            # unless its last byte had left for the kernel already: that generation is lost.
            _log.error("closed the plain connection from %s inside a line that could not be written: %s", name, error)
        except Exception:
            _log.exception("the plain connection from %s ended by a fault of gpdata", name)
        finally:
            self._let_go(lines)
            self.counts.open -= 1
            with suppress(OSError):  # an unfinished file that stays is swept up later
                lines.drop()

    async def _read(self, connection: socket.socket) -> bytes:
        """Return the next bytes; nothing at the connection's end, or when it is time to stop."""
        assert self._stop is not None
        while not self._allow():
            if self._stop.done():
                return b""
            await asyncio.wait({self._stop}, timeout=_POLL)
        while await self._is_readable(connection):
            # Not `loop.sock_recv`: where a timeout cancels that, bytes can be lost between kernel and caller.
            try:
                return connection.recv(_READ)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:  # the peer is gone: it reset the connection, or was not heard of for minutes
                return b""
        return b""

    async def _is_readable(self, connection: socket.socket) -> bool:
        """Wait for bytes or an end; once the server stops, for a moment only."""
        assert self._stop is not None
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(connection, lambda: None if ready.done() else ready.set_result(None))
        try:
            if not self._stop.done():
                await asyncio.wait({ready, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            left = self._deadline - loop.time()
            if self._stop.done() and left > 0:
                await asyncio.wait({ready}, timeout=min(_LINGER, left))
            return ready.done() and (left > 0 or not self._stop.done())
        finally:
            loop.remove_reader(connection)

    async def _take(self, lines: Lines, part: bytes, received_at: datetime) -> None:
        """Bring bytes into the spool; where the disk fails, try again for as long as they are held."""
        if not lines.inside:
            lines.received_at = received_at
        self._hold(lines, part)
        waiting: Sequence[bytes] = [part]
        pause, longest = _PAUSES
        while True:
            try:
                self._count(await self._in_thread(lines.take, waiting))
                break
            except OSError as error:
                self.counts.write_errors += 1
                if lines.held is None or not await self._pause(pause, lines, error):
                    raise
                waiting, pause = tuple(lines.held), min(2 * pause, longest)
        if not lines.inside:
            self._let_go(lines)

    async def _end(self, lines: Lines, name: str) -> None:
        """Keep what has come of a line whose end will never come."""
        if not lines.inside:
            return
        pause, longest = _PAUSES
        while True:
            try:
                outcomes = await self._in_thread(lines.end)
                break
            except OSError as error:
                self.counts.write_errors += 1
                if lines.lost or not await self._pause(pause, lines, error):
                    raise
                pause = min(2 * pause, longest)
        if not outcomes:
            self.counts.torn += 1
            _log.warning("the plain connection from %s ended inside a line: its beginning is quarantined", name)
        self._count(outcomes)

    async def _pause(self, seconds: float, lines: Lines, error: OSError) -> bool:
        """Wait before the next attempt; False where the server stops."""
        assert self._stop is not None
        _log.error("lines from %s cannot be written: %s; trying again in %.1f s", lines.origin, error, seconds)
        await asyncio.wait({self._stop}, timeout=seconds)
        return not self._stop.done()

    async def _in_thread(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _hold(self, lines: Lines, part: bytes) -> None:
        if lines.held is None:
            return
        if self._held + len(part) > _HELD:
            self._let_go(lines)
            lines.held = None
        else:
            lines.held.append(part)
            self._held += len(part)

    def _let_go(self, lines: Lines) -> None:
        self._held -= sum(map(len, lines.held or ()))
        lines.held = []

    def _count(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.result == STORED:
                self.counts.lines += 1
            elif outcome.result == REFUSED:
                self.counts.refused += 1
                where = f"generation {outcome.generation} of run {outcome.run_uuid}" if outcome.run_uuid else "a line"
                _log.warning("%s is quarantined: %s", where, outcome.code)
            else:
                self.counts.duplicates += 1


def _listen(host: str, port: int) -> list[socket.socket]:
    where = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InvalidInput(f"{host!r} is no address of this machine ({error.strerror}); try 127.0.0.1") from None
    listeners: list[socket.socket] = []
    with ExitStack() as opened:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            same_port = (address[0], listeners[0].getsockname()[1] if listeners else port, *address[2:])
            try:
                listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:  # or IPv4 would come in disguise, past the networks
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(same_port)
                listener.listen(socket.SOMAXCONN)
            except OSError as error:
                # A name such as localhost may stand for an address that this machine lacks.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(found) > 1:
                    continue
                hint = "end what listens there, or name another port" if error.errno == errno.EADDRINUSE else "name one"
                raise InvalidInput(f"cannot listen at {where}: {error.strerror}; {hint} of this machine") from None
            listener.setblocking(False)
            listeners.append(listener)
        opened.pop_all()
    if not listeners:
        raise InvalidInput(f"cannot listen at {where}: this machine has no such address; try 127.0.0.1")
    return listeners


def _keep_alive(connection: socket.socket) -> None:
    """Find peers that vanished without a word, in minutes; a run may be silent for hours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _name(peer: tuple[Any, ...]) -> str:
    return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
