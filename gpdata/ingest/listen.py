"""The listening socket: takes connections, makes them TLS, and hands them to HTTP.

Who does not speak TLS to a TLS port is told so. Of many handshakes that do not get on, the oldest are given up,
so that nobody who means it waits for those who don't.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gpdata.errors import InvalidInput
from gpdata.ingest.connection import KEEP_ALIVE_SECONDS, MANY, STALL_SECONDS, Connection
from gpdata.ingest.metrics import Metrics

_log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
"""Seconds for a TLS handshake, from the connection on."""
_HANDSHAKES = 512
_CONNECTIONS = 4096
_BACKLOG = 1024
_SMALL_BUFFER = 64 << 10
_BACK_OFF = 0.2
_HANDSHAKE_BYTE = 0x16
_FAREWELL_SECONDS = 1.0

_NOT_TLS = b"This port speaks TLS: use https:// in the address.\n"
_NOT_TLS_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_NOT_TLS), _NOT_TLS)
)
_OLD = {"UNSUPPORTED_PROTOCOL", "UNKNOWN_PROTOCOL", "VERSION_TOO_LOW", "TLSV1_ALERT_PROTOCOL_VERSION"}
_UNTRUSTED = {"TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_BAD_CERTIFICATE",
              "SSLV3_ALERT_CERTIFICATE_EXPIRED"}  # fmt: skip


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    host : str
        An address or a name of this machine.
    port : int
        0 for any free one.

    Raises
    ------
    InvalidInput
        There is no such address here, or something else listens there.
    """
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidInput(f"{host!r} is no address of this machine ({error.strerror}); try 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InvalidInput(
                f"something listens at {where} already; end it, or name another port with --port"
            ) from None
        raise InvalidInput(f"cannot listen at {where}: {error.strerror}; name an address of this machine") from None
    listener.setblocking(False)
    return listener


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return TLS 1.2 or newer with a certificate.

    Parameters
    ----------
    certificate, key : Path
        PEM files: the certificate and those up to the authority's, and its private key.

    Raises
    ------
    InvalidInput
        A file cannot be read, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidInput(
            f"the certificate {certificate} with the key {key} cannot be used: {why}; "
            "name two PEM files that this user can read and that belong together, the key without a password"
        ) from None
    return context


class Listener:
    """Takes the connections of one listening socket, and serves HTTP on them.

    Parameters
    ----------
    listener : socket
        It listens, and does not block.
    app : callable
        The ASGI application.
    metrics : Metrics
        Counts.
    tls : ssl.SSLContext, optional
        Speaks TLS with it; may be replaced while connections come.
    handshake_seconds, head_seconds, keep_alive_seconds, stall_seconds : float
        Deadlines.

    Attributes
    ----------
    tls : ssl.SSLContext or None
        What the next connection gets.
    """

    def __init__(
        self,
        listener: socket.socket,
        app: Any,
        metrics: Metrics,
        tls: ssl.SSLContext | None = None,
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        head_seconds: float = Connection.head_seconds,
        keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._listener, self._metrics, self.tls = listener, metrics, tls
        self._handshake_seconds, self._head_seconds = handshake_seconds, head_seconds
        self._keep_alive_seconds, self._stall_seconds = keep_alive_seconds, stall_seconds
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()
        self._opening: dict[asyncio.Task[None], None] = {}  # in the order of their beginning
        metrics.connections.set_function(lambda: len(self._state.connections) + len(self._opening))

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    async def serve(self) -> None:
        """Take connections until this task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener)
            except ConnectionError:  # gone again before it was taken
                continue
            except OSError as error:  # no descriptor or no memory is left: what waits, waits in the kernel
                _log.error("cannot take connections now: %s; raise the limit of open files (ulimit -n)", error)
                await asyncio.sleep(_BACK_OFF)
                continue
            if len(self._state.connections) + len(self._opening) >= _CONNECTIONS:
                self._metrics.turned_away.inc()
                connection.close()
                continue
            task = loop.create_task(self._open(connection, _name(peer)))
            self._opening[task] = None
            task.add_done_callback(lambda done: self._opening.pop(done, None))
            if len(self._opening) > _HANDSHAKES:
                next(iter(self._opening)).cancel()

    async def stop(self, timeout: float) -> bool:
        """Take no more connections, and let requests under way finish.

        Parameters
        ----------
        timeout : float
            Seconds that they have.

        Returns
        -------
        bool
            Whether all of them did.
        """
        self._listener.close()
        for task in list(self._opening):
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        deadline = asyncio.get_running_loop().time() + timeout
        while self._state.connections and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(0.05, left))
        return not self._state.connections

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _open(self, connection: socket.socket, peer: str) -> None:
        """Bring one connection to where HTTP begins, or close it."""
        connection.setblocking(False)
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if (
                len(self._state.connections) + len(self._opening) > MANY
            ):  # what is read at once lies in memory several times over
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        try:
            if self.tls is None:
                await asyncio.get_running_loop().connect_accepted_socket(self._http, connection)
            else:
                async with asyncio.timeout(self._handshake_seconds):
                    await self._handshake(connection, self.tls, peer)
        except asyncio.CancelledError:
            self._failed("crowded_out", peer)
            connection.close()
            raise
        except TimeoutError:
            self._failed("timeout", peer)
            connection.close()
        except OSError as error:
            self._failed(_reason(error), peer)
            connection.close()

    async def _handshake(self, connection: socket.socket, tls: ssl.SSLContext, peer: str) -> None:
        first = await _first_byte(connection)
        if first is None:
            self._failed("closed", peer)
            connection.close()
        elif first != _HANDSHAKE_BYTE:
            self._failed("plain_text", peer)
            await _farewell(connection)
        else:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._http,
                connection,
                ssl=tls,
                ssl_handshake_timeout=self._handshake_seconds,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )

    def _http(self) -> Connection:
        made = Connection(self._config, self._state, {}, asyncio.get_running_loop())
        made.head_seconds, made.stall_seconds = self._head_seconds, self._stall_seconds
        made.timeout_keep_alive = self._keep_alive_seconds
        return made

    def _failed(self, reason: str, peer: str) -> None:
        if self.tls is not None:
            self._metrics.tls_failures.labels(reason).inc()
            _log.info("no TLS with %s: %s", peer, reason)


async def _first_byte(connection: socket.socket) -> int | None:
    """Return the first byte and leave it where it is; None where the connection ended before."""
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        loop.add_reader(connection, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(connection)
        with suppress(BlockingIOError):
            first = connection.recv(1, socket.MSG_PEEK)
            return first[0] if first else None


async def _farewell(connection: socket.socket) -> None:
    """Say that this is a TLS port, and close so that it arrives."""
    loop = asyncio.get_running_loop()
    with connection, suppress(OSError, TimeoutError):
        await loop.sock_sendall(connection, _NOT_TLS_ANSWER)
        connection.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(_FAREWELL_SECONDS):
            while await loop.sock_recv(connection, 64 << 10):
                pass


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        if error.reason in _OLD:
            return "old_tls"
        if error.reason in _UNTRUSTED:
            return "not_trusted"
        return "no_shared_cipher" if error.reason == "NO_SHARED_CIPHER" else "other"
    if isinstance(error, ConnectionAbortedError):
        return "timeout"
    return "closed"


def _no_password() -> str:
    """Answer for a key that has a password; OpenSSL would ask on the terminal, and wait for ever."""
    return ""


def _name(peer: Any) -> str:
    return str(peer[0]) if peer else "?"
