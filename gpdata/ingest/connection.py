"""One HTTP connection: uvicorn's, with deadlines and limits that it lacks."""

from __future__ import annotations

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gpdata.ingest.refused import LINGER

HEAD_SECONDS = 10.0
"""Seconds for a request's head to arrive."""
KEEP_ALIVE_SECONDS = 30
"""Seconds for which a connection is kept open after an answer."""
STALL_SECONDS = 30.0
"""Seconds in which some of an answer must be taken."""
MANY = 64
"""Open connections above which each one holds less in memory."""
_HEAD_BYTES = 64 << 10
_READ_ON = 32 << 10
_LEAST_TAKEN = 32 << 10
"""Bytes of an answer that must be taken in `STALL_SECONDS`, or all that is left."""
_PIPELINED = 64
"""Requests that may wait behind the one that is being answered."""
_AHEAD = 512 << 10
"""Bytes of a body that are read before somebody asks for them, among few connections."""


class _Answer:
    """The transport as it is written to by who answers: a head leaves together with what follows it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them where they are the head of an answer."""
        if data.startswith(b"HTTP/") and not data.startswith(b"HTTP/1.1 100") and not self._head:
            self._head = data
        else:
            self._transport.write(self._head + data)
            self._head = b""

    def close(self) -> None:
        """Close once all is sent."""
        if self._head:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or soon will be."""
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """A connection whose heads are short and in time, whose answers are taken, and whose early answers arrive.

    Where a body is answered before it was read, what is left of it is thrown away for a few seconds: a
    connection that is closed on unread bytes takes the answer with it.
    """

    head_seconds = HEAD_SECONDS
    stall_seconds = STALL_SECONDS
    _unsent: asyncio.TimerHandle | None = None
    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        if hasattr(transport, "set_read_buffer_limits"):  # TLS: how much is read on while nobody asks
            transport.set_read_buffer_limits(high=_READ_ON)
        transport.set_write_buffer_limits(high=1)  # so that `pause_writing` tells of every byte that is not taken
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._cancel_timers()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for somebody to take what was answered."""
        super().pause_writing()
        if self._unsent is None:
            self._expect_taken()

    def resume_writing(self) -> None:
        """All that was answered is taken, as far as can be seen here."""
        if self._unsent is not None:
            self._unsent.cancel()
            self._unsent = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that does not end is refused."""
        self._head_bytes += len(data) if self._head is not None else 0
        super().data_received(data)
        if self._head is not None and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request is longer than {_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin to wait for the end of a head; who sends heads without end and no answer read is refused."""
        if len(self.pipeline) >= _PIPELINED:
            raise ValueError(f"more than {_PIPELINED} requests wait for their answers")
        super().on_message_begin()
        if self._head is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a body are dropped."""
        if self._head is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; among many connections each waits until that piece is asked for."""
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(self.connections) > MANY or len(cycle.body) > _AHEAD:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_headers_complete(self) -> None:
        """Begin the request."""
        if self._head is not None:
            self._head.cancel()
            self._head = None
        super().on_headers_complete()
        if self.cycle.scope["method"] != "HEAD":  # whose answer ends with its head
            self.cycle.transport = _Answer(self.transport)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """End the body; the connection is good for another request, even where the answer came before."""
        super().on_message_complete()
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Read a body on that was answered before its end, for a while."""
        super().on_response_complete()
        if self.pipeline:  # those that wait come first
            self.flow.pause_reading()
        cycle = self.cycle
        if cycle.response_complete and cycle.more_body and not self.transport.is_closing():
            seconds = cycle.scope.get("state", {}).get("linger", LINGER)
            self._lingering = self.loop.call_later(seconds, self.transport.abort)

    def shutdown(self) -> None:
        """End the connection in order; one whose answer is on its way keeps it."""
        if self._lingering is None:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP, and close."""
        body = msgspec.json.encode({"error": "bad_request", "detail": msg})
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._cancel_timers()
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_taken(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() > max(0, left - _LEAST_TAKEN):
                self.transport.abort()
            else:
                self._expect_taken()

        self._unsent = self.loop.call_later(self.stall_seconds, look)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _cancel_timers(self) -> None:
        for timer in (self._head, self._lingering, self._unsent):
            if timer is not None:
                timer.cancel()
