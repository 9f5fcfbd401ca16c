"""A pytest plugin: nbval runs its cells in a user's server behind a hub, by REST and a websocket with the token.

    pytest -p tests.hub.remote_kernel --nbval ...

It takes the server's address and the token from SERVER_URL and SERVER_TOKEN. How outputs are compared stays nbval's.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import uuid
from typing import Any

import httpx
import nbval.plugin
from nbval.kernel import RunningKernel
from tornado.httpclient import HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

PATIENCE = 120
OF_THE_JVM = re.compile(r"WARNING: Using incubator modules|\d\d:\d\d:\d\d WARN \w+: |netlib-blas: |\s*$")
"""What Java and its libraries say of this machine beside the kernel; nbval sees none of it where it starts kernels."""


def is_of_the_jvm(message: dict[str, Any]) -> bool:
    """Say whether a message has only such lines."""
    if message["msg_type"] != "stream" or message["content"]["name"] != "stderr":
        return False
    return all(OF_THE_JVM.match(line) for line in message["content"]["text"].splitlines())


class RemoteKernel(RunningKernel):  # type: ignore[misc]
    """A kernel of a user's server, in the shape that nbval knows."""

    language = "python"

    def __init__(self, kernel_name: str, cwd: str | None = None, startup_timeout: int = 60) -> None:
        self._url = os.environ["SERVER_URL"]
        self._headers = {"Authorization": f"token {os.environ['SERVER_TOKEN']}"}
        self._session = uuid.uuid4().hex
        # nbval runs a notebook in its own folder; so does JupyterLab, where the notebook has a session.
        folder = os.environ.get("SERVER_FOLDER", "")
        body = {"kernel": {"name": "python3"}, "name": "", "path": f"{folder}/{uuid.uuid4().hex}", "type": "notebook"}
        answer = httpx.post(f"{self._url}api/sessions", headers=self._headers, json=body, timeout=PATIENCE)
        assert answer.status_code == 201, answer.text
        self._id = answer.json()["kernel"]["id"]
        self._messages: dict[str, queue.Queue[Any]] = {"iopub": queue.Queue(), "shell": queue.Queue()}
        self._socket: WebSocketClientConnection | None = None
        self._loop: IOLoop | None = None
        self._open, self._closed = threading.Event(), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._open.wait(PATIENCE), "the websocket did not open"
        self.await_idle(self._send("kernel_info_request", {}), PATIENCE)

    def _listen(self) -> None:
        self._loop = IOLoop(make_current=False)
        self._loop.run_sync(self._receive)
        self._closed.set()

    async def _receive(self) -> None:
        address = f"{self._url}api/kernels/{self._id}/channels".replace("http", "ws", 1)
        self._socket = await websocket_connect(HTTPRequest(address, headers=self._headers))
        self._open.set()
        while (text := await self._socket.read_message()) is not None:
            message = json.loads(text)
            if message["channel"] in self._messages and not is_of_the_jvm(message):
                self._messages[message["channel"]].put(message)

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": kind, "session": self._session, "username": "", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        assert self._loop is not None
        assert self._socket is not None
        self._loop.add_callback(self._socket.write_message, json.dumps(message))
        return number

    def get_message(self, stream: str, timeout: float | None = None) -> Any:
        """Return the next message of a channel; raises `queue.Empty`."""
        return self._messages[stream].get(timeout=timeout)

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        """Run a cell; return the number of the message."""
        content = {"code": cell_input, "silent": False, "store_history": False, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": False}  # fmt: skip
        return self._send("execute_request", content)

    def is_alive(self) -> bool:
        """Say whether the kernel can be asked."""
        return not self._closed.is_set()

    def interrupt(self) -> None:
        """End the cell that runs."""
        httpx.post(f"{self._url}api/kernels/{self._id}/interrupt", headers=self._headers, timeout=PATIENCE)

    def stop(self) -> None:
        """End the kernel."""
        httpx.delete(f"{self._url}api/kernels/{self._id}", headers=self._headers, timeout=PATIENCE)
        assert self._loop is not None
        assert self._socket is not None
        self._loop.add_callback(self._socket.close)
        self._closed.wait(PATIENCE)


nbval.plugin.RunningKernel = RemoteKernel
