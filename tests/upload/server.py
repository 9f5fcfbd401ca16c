"""A small real server that keeps to the upload protocol, with faults that a test orders one by one."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from gpdata.spool import zstd

TOKEN = "gpdata_0123_right"


class Server:
    """What arrived, and what goes wrong next.

    Attributes
    ----------
    lines : dict
        The bytes of each line that was stored, by run and generation.
    faults : deque
        What becomes of the next requests: "drop" (the body is stored, the answer is lost), a number of seconds
        to be slow, or (status, headers, body) to answer. Empty: all is well.
    refuse : dict
        Codes with which lines of a run are refused.
    broken : set
        Runs at whose lines the connection is dropped, always.
    """

    def __init__(self) -> None:
        self.lines: dict[tuple[str, int], bytes] = {}
        self.duplicates = 0
        self.posts = 0
        self.origins: list[str | None] = []
        self.faults: deque[Any] = deque()
        self.refuse: dict[str, str] = {}
        self.broken: set[str] = set()
        self.tokens = {TOKEN}
        self.port = 0
        self.changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server._open.add(self.connection)

            def finish(self) -> None:
                server._open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                server.handle(self)

            def log_message(self, *_: object) -> None: ...

        class Http(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None: ...

        self._http = Http(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            for connection in list(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._http = None

    def wait_for(self, what: Any, seconds: float = 20.0) -> None:
        """Wait until a condition on this server holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: what(self), seconds), f"{self.posts} posts, {len(self.lines)} lines"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        assert request.path == "/v1/generations"
        assert request.headers["Content-Encoding"] == "zstd"
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self.changed:
            self.posts += 1
            fault = self.faults.popleft() if self.faults else None
            self.origins.append(request.headers["X-Gpdata-Origin"])
            self.changed.notify_all()
        if isinstance(fault, float):
            time.sleep(fault)
        if isinstance(fault, tuple):
            answer(request, *fault)
            return
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            answer(request, 401, {"WWW-Authenticate": "Bearer"}, {"error": "bad_token", "detail": "nobody's"})
            return
        try:
            lines = zstd.ZstdFile(io.BytesIO(body)).read().splitlines()
        except (zstd.ZstdError, EOFError) as error:
            answer(request, 400, {}, {"error": "bad_body", "detail": str(error)})
            return
        if any(json.loads(line)["config-uuid"] in self.broken for line in lines):
            request.close_connection = True
            return
        with self.changed:
            outcomes = [self._take(number, line) for number, line in enumerate(lines, 1)]
            self.changed.notify_all()
        if fault == "drop":
            request.close_connection = True
            return
        refused = all(outcome["result"] == "refused" for outcome in outcomes) and outcomes
        answer(request, 422 if refused else 200, {}, {"stored": 0, "lines": outcomes})

    def _take(self, number: int, line: bytes) -> dict[str, Any]:
        read = json.loads(line)
        key = read["config-uuid"], read["index"]
        known = {"line": number, "run_uuid": key[0], "generation": key[1]}
        if key[0] in self.refuse:
            return known | {"result": "refused", "code": self.refuse[key[0]], "detail": "it is told why"}
        if self.lines.get(key) == line:
            self.duplicates += 1
            return known | {"result": "duplicate", "code": None}
        if key in self.lines:
            return known | {"result": "stored", "code": "conflict", "detail": "another one is stored"}
        self.lines[key] = line
        return known | {"result": "stored"}


def answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: object) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(data)
