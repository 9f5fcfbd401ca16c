"""Where a command of a sweep records: an address on this machine that takes one run, over HTTP or as Clojush sends it.

What it answers is gpdata's upload protocol, with one difference: a line that is "stored" is in the run's file, which
is there only once the command has ended well.
"""

from __future__ import annotations

import hmac
import secrets
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

from gpdata.ingest.body import BadBody, Decoder, decoder
from gpdata.spool import Incoming, Meta, Outcome, SpoolFile, SpoolWriter
from gpdata.spool.incoming import DUPLICATE, REFUSED, STORED
from gpdata.wire import Limits, Rejection

_PIECE: Final = 256 << 10
_LOOPBACK: Final = "127.0.0.1"


class OneRun:
    """The ledger of a file that takes one run: the first that comes, or the one that was said.

    Parameters
    ----------
    run_uuid : str or None
        The run; None: any, but one.
    """

    def __init__(self, run_uuid: str | None) -> None:
        self.run_uuid = run_uuid
        self._said = run_uuid is not None

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        """Say that another run does not belong here."""
        if self.run_uuid is None:
            self.run_uuid = run_uuid
        if run_uuid == self.run_uuid:
            return None
        advice = "record it under {run_uuid}, or GPDATA_RUN_UUID" if self._said else "a cell of a sweep has one run"
        return Rejection("other_run", f"this place takes the run {self.run_uuid} only; {advice}", run_uuid, generation)

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        """Return None: what is here already is known by the file itself."""
        return None


class Sink:
    """Takes whole lines of several connections into one spool file.

    Parameters
    ----------
    writer : SpoolWriter
        An empty file.
    meta : Meta
        What is known of the lines.
    ledger : OneRun
        Says which run is taken.
    limits : Limits
        What a line may be at most.
    """

    def __init__(self, writer: SpoolWriter, meta: Meta, ledger: OneRun, limits: Limits) -> None:
        self.limits = limits
        self._incoming = Incoming(writer, meta, ledger, limits)
        self._lock = threading.Lock()
        self.wrong: Outcome | None = None
        """The first line that cannot be taken, or is another one of a generation that is here."""

    @property
    def lines(self) -> int:
        """How many lines are stored."""
        return len(self._incoming.keys())

    def take(self, line: bytes | bytearray) -> Outcome | None:
        """Take one line, given without its newline; None where it is blank."""
        with self._lock:
            before = len(self._incoming.outcomes)
            self._incoming.feed(bytes(line) + b"\n")
            if len(self._incoming.outcomes) == before:
                return None
            outcome = self._incoming.outcomes[-1]
            if outcome.code is not None and self.wrong is None:
                self.wrong = outcome
            return outcome

    def commit(self) -> SpoolFile | None:
        """Make the run durable and visible; None where there is none."""
        with self._lock:
            return self._incoming.commit()


class Receiver:
    """Listens on this machine for one run.

    Parameters
    ----------
    sink : Sink
        Takes the lines.

    Attributes
    ----------
    server : str
        The address for `gpdata.Recorder` and who speaks the upload protocol.
    token : str
        What they must show.
    record_host : str
        The address for Clojush's argument ``:record-host``.
    """

    def __init__(self, sink: Sink) -> None:
        self.token = f"gpdata_sweep_{secrets.token_hex(16)}"
        # The path is this attempt's alone: what an earlier one left in an outbox does not come in here.
        prefix = f"/{secrets.token_hex(8)}"
        self._http = _Http((_LOOPBACK, 0), _handler(sink, prefix, self.token))
        self._plain = _Plain((_LOOPBACK, 0), _plain_handler(sink))
        self.server = f"http://{_LOOPBACK}:{self._http.server_address[1]}{prefix}"
        self.record_host = f"localhost:{self._plain.server_address[1]}"
        self._threads = [threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True) for each in self._all]
        for thread in self._threads:
            thread.start()

    def drain(self) -> None:
        """Read to their ends the connections that the command had opened; it has ended."""
        for each in self._all:
            each.shutdown()
            each.left = True
            while each.left:  # those that no thread has taken yet
                each.handle_request()
            each.server_close()  # waits for the threads

    @property
    def _all(self) -> tuple[_Http, _Plain]:
        return self._http, self._plain


class _Drained:
    """A server that can be asked whether a connection waits."""

    timeout: float | None = 0.0
    daemon_threads = False
    block_on_close = True
    left = False

    def handle_timeout(self) -> None:
        self.left = False


class _Http(_Drained, ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that went away."""


class _Plain(_Drained, socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that went away."""


def _plain_handler(sink: Sink) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            most = sink.limits.line_bytes + 2
            with suppress(ConnectionError):
                while line := self.rfile.readline(most):
                    if not line.endswith(b"\n") and len(line) < most:
                        return  # it ended inside a line, which its recorder sends again over the next one
                    sink.take(line.rstrip(b"\r\n"))

    return Handler


def _handler(sink: Sink, prefix: str, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            given = self.headers.get("Authorization", "")
            body = decoder(self.headers.get("Content-Encoding", ""))
            if self.path != f"{prefix}/v1/generations":
                self._refuse(404, "not_found", "there is nothing here: this address was another run's")
            elif not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                self._refuse(401, "bad_token", "the token of this run is GPDATA_TOKEN of the command's environment")
            elif body is None:
                self._refuse(415, "bad_encoding", "valid are identity, gzip and zstd")
            else:
                try:
                    outcomes = _take_all(sink, _lines(self, body, sink.limits.line_bytes))
                except BadBody as error:
                    self._refuse(400, "bad_body", str(error))
                else:
                    results = [outcome.result for outcome in outcomes]
                    counts = {name: results.count(name) for name in (STORED, DUPLICATE, REFUSED)}
                    status = 422 if outcomes and counts[REFUSED] == len(outcomes) else 200
                    self._answer(status, {**counts, "lines": outcomes})

        def log_message(self, *_: Any) -> None:
            """Say nothing: what the command prints is in its log."""

        def _refuse(self, status: int, code: str, detail: str) -> None:
            self.close_connection = True
            self._answer(status, {"error": code, "detail": detail})

        def _answer(self, status: int, content: object) -> None:
            data = msgspec.json.encode(content)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _take_all(sink: Sink, lines: Any) -> list[Outcome]:
    found = []
    for number, line in enumerate(lines, 1):
        outcome = sink.take(line)
        if outcome is not None:
            found.append(msgspec.structs.replace(outcome, line=number))
    return found


def _lines(request: BaseHTTPRequestHandler, body: Decoder, most: int) -> Any:
    """Yield the lines of a body, decompressed, whether its length is told or it comes in chunks."""
    held = bytearray()
    for data in _pieces(request):
        body.put(data)
        if not data:
            body.finish()
        while (piece := body.read(_PIECE)) or body.lacks:
            body.granted += body.lacks
            *ends, rest = piece.split(b"\n")
            for end in ends:
                yield bytes(held) + end
                held.clear()
            held += rest
            if len(held) > most + 1:
                raise BadBody(f"a line is longer than {most:,} bytes; record fewer individuals a line")
    if held:
        yield bytes(held)


def _pieces(request: BaseHTTPRequestHandler) -> Any:
    """Yield the bytes of a body, and nothing at its end."""
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(request.rfile.readline(100).split(b";")[0] or b"0", 16):
            yield _exactly(request, size)
            request.rfile.readline(2)
        while request.rfile.readline(1000).strip():
            pass
    else:
        left = int(request.headers.get("Content-Length") or 0)
        while left:
            data = _exactly(request, min(left, _PIECE))
            left -= len(data)
            yield data
    yield b""


def _exactly(request: BaseHTTPRequestHandler, size: int) -> bytes:
    data = request.rfile.read(size)
    if len(data) < size:
        raise BadBody("it breaks off")
    return data
