"""Clients that hold connections: silent, slow, gone without a word, or never reading what they are answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tests.faults.served import UPLOAD, Served

_TCP_REPAIR = 19
_CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
_GET = b"GET /v1/openapi.json HTTP/1.1\r\nHost: here\r\n\r\n"


def vanish(connection: socket.socket) -> bool:
    """Close a socket so that its peer is not told, as where a machine loses its power.

    False where that is not allowed: the socket stays open then, and silent, which its peer cannot tell apart.
    """
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    except OSError:
        return False
    connection.close()
    return True


def _half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def _vanish(connection: socket.socket) -> None:
    vanish(connection)


def _nothing(connection: socket.socket) -> None:
    return


@dataclass(frozen=True)
class Attack:
    """What each connection sends at first, what it then sends byte by byte each second, and what it does besides."""

    name: str
    first: Callable[[Served], bytes]
    drip: bytes = b""
    then: Callable[[socket.socket], None] = _nothing
    tls: bool = False


def head(service: Served, *, token: bool = True, length: int = 1_000_000) -> bytes:
    """Return the head of an upload."""
    authorization = f"Authorization: Bearer {service.ada}\r\n" if token else ""
    return f"POST {UPLOAD} HTTP/1.1\r\nHost: here\r\n{authorization}Content-Length: {length}\r\n\r\n".encode()


ATTACKS = [
    Attack("handshakes that do not begin", lambda _: b"", tls=True),
    Attack("handshakes that do not go on", lambda _: _CLIENT_HELLO, tls=True),
    Attack("handshakes, a byte a second", lambda _: _CLIENT_HELLO, b"\0", tls=True),
    Attack("handshakes whose client is gone", lambda _: _CLIENT_HELLO, then=_vanish, tls=True),
    Attack("connections without a word", lambda _: b""),
    Attack("heads, a byte a second", lambda _: b"GET /healthz HTTP/1.1\r\nX-Slow: ", b"x"),
    Attack("bodies, a byte a second", head, b"["),
    Attack("bodies nobody may send, a byte a second", lambda service: head(service, token=False), b"["),
    Attack("bodies that stand still", lambda service: head(service) + b'{"index":'),
    Attack("bodies whose client is gone", lambda service: head(service) + b'{"index":', then=_vanish),
    Attack("bodies whose client has finished too early", lambda service: head(service) + b"{", then=_half_close),
    Attack("chunks without end, a byte a second",
           lambda service: head(service).replace(b"Content-Length: 1000000", b"Transfer-Encoding: chunked")
           + b"5\r\nhello\r\n1;name=", b"x"),
    Attack("connections that are kept and not used", lambda _: b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"),
    Attack("answers that nobody reads", lambda _: _GET * 60, _GET * 40),
]  # fmt: skip


class Crowd(threading.Thread):
    """Many connections of one kind, held until the end of the context."""

    def __init__(self, service: Served, attack: Attack, count: int) -> None:
        super().__init__(daemon=True)
        self._attack = attack
        self._connections: list[socket.socket] = []
        self._stop_now = threading.Event()
        for _ in range(count):
            connection = socket.create_connection(service.address)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            self._connections.append(connection)
            with suppress(OSError):  # closed already, for too many others
                connection.send(attack.first(service))
                attack.then(connection)

    def run(self) -> None:
        while self._attack.drip and not self._stop_now.wait(1.0):
            for connection in self._connections:
                with suppress(OSError):  # full, or closed by the service
                    connection.send(self._attack.drip)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()
        for connection in self._connections:
            connection.close()
