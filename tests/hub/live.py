"""A really running hub for tests, and people who use it without a browser: sign in, start a server, run code."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from hub.settings import ROOT
from tests.support import free_port, until

PASSWORD = "correct horse battery of {}"
PATIENCE = 300
"""Seconds to wait for a step before it counts as failed; none is expected to need them."""


@dataclass
class Person:
    """Somebody with an account, signed in as a browser is."""

    name: str
    url: str
    client: httpx.Client
    token: str = field(default="", repr=False)
    verify: ssl.SSLContext | bool = True

    @property
    def server(self) -> str:
        """The address of the person's own server."""
        return f"{self.url}user/{self.name}/"

    def headers(self) -> dict[str, str]:
        """What a program sends that has the person's token."""
        return {"Authorization": f"token {self.token}"}

    def call(self, method: str, path: str, **options) -> httpx.Response:
        """Call the hub's API with the person's token."""
        address = f"{self.url}hub/api/{path}"
        return httpx.request(method, address, headers=self.headers(), timeout=60, verify=self.verify, **options)

    def get(self, path: str, **options) -> httpx.Response:
        """Get a page of the person's own server with the person's token."""
        return httpx.get(self.server + path, headers=self.headers(), timeout=60, verify=self.verify, **options)

    def is_ready(self) -> bool:
        """Say whether the person's server runs and answers."""
        server = self.call("GET", f"users/{self.name}").json()["servers"].get("")
        return bool(server and server["ready"])

    def is_stopped(self) -> bool:
        """Say whether the person has no server, not even one that is ending."""
        return "" not in self.call("GET", f"users/{self.name}").json()["servers"]

    def start(self) -> None:
        """Start the person's server and wait until it answers."""
        answer = self.call("POST", f"users/{self.name}/server")
        assert answer.status_code in (201, 202), answer.text
        until(self.is_ready, PATIENCE, f"the server of {self.name}")

    def kernel(self) -> str:
        """Start a kernel in the person's server."""
        address, what = f"{self.server}api/kernels", {"name": "python3"}
        answer = httpx.post(address, headers=self.headers(), json=what, timeout=60, verify=self.verify)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, kernel: str, code: str) -> str:
        """Run code in a kernel; return what it printed, or the error that it ended with."""
        return asyncio.run(self._run(kernel, code, wait=True))

    def begin(self, kernel: str, code: str) -> None:
        """Let a kernel run code, and do not wait for the end."""
        asyncio.run(self._run(kernel, code, wait=False))

    async def _run(self, kernel: str, code: str, *, wait: bool) -> str:
        address = f"{self.server}api/kernels/{kernel}/channels".replace("http", "ws", 1)
        context = self.verify if isinstance(self.verify, ssl.SSLContext) else None
        socket = await websocket_connect(HTTPRequest(address, headers=self.headers(), ssl_options=context))
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": self.name, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await socket.write_message(json.dumps(message))
        said, parts = "", set()
        while {"idle", "reply"} - parts:
            answer = await asyncio.wait_for(socket.read_message(), PATIENCE)
            assert answer is not None, "the server closed the connection"
            got = json.loads(answer)
            if got["msg_type"] == "status" and got["content"]["execution_state"] in ("restarting", "dead"):
                said += "[the kernel died]"
                break
            if got["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if got["msg_type"] == "execute_input" and not wait:
                break
            if got["msg_type"] == "stream":
                said += got["content"]["text"]
            elif got["msg_type"] == "error":
                said += f"{got['content']['ename']}: {got['content']['evalue']}"
            elif got["msg_type"] == "execute_reply":
                parts.add("reply")
            elif got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
                parts.add("idle")
        socket.close()
        return said


@dataclass
class LiveHub:
    """A hub that runs."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    environment: Mapping[str, str]
    verify: ssl.SSLContext | bool = True

    def add(self, name: str, *options: str) -> None:
        """Give somebody an account."""
        command = [sys.executable, str(ROOT / "hub" / "add_user.py"), name, *options]
        text = PASSWORD.format(name)
        subprocess.run(command, env=self.environment, input=text, text=True, check=True, capture_output=True)

    def sign_in(self, name: str) -> Person:
        """Sign in by the form, and make a token as the token page does."""
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60, verify=self.verify)
        form = client.get("hub/login", params={"next": "/hub/token"})
        assert form.status_code == 200, form.text
        data = {"username": name, "password": PASSWORD.format(name), "_xsrf": xsrf(client)}
        done = client.post("hub/login", params={"next": "/hub/token"}, data=data)
        assert done.url.path == "/hub/token", done.text[-2000:]
        made = client.post(f"hub/api/users/{name}/tokens", json={}, headers={"X-XSRFToken": xsrf(client)})
        assert made.status_code == 201, made.text
        return Person(name, self.url, client, made.json()["token"], self.verify)


def xsrf(client: httpx.Client) -> str:
    """What shows the hub that a form comes from its own page."""
    return str(client.cookies.get("_xsrf", path="/hub/"))


def certificate(folder: Path) -> dict[str, str]:
    """Make a certificate for 127.0.0.1; return the hub's settings for it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return {"HUB_TLS_KEY": str(key), "HUB_TLS_CERT": str(cert)}


@contextmanager
def live_hub(state: Path, lake: Path, **settings: str) -> Iterator[LiveHub]:
    """Start a hub as `make hub` does, with further settings; end it and all that it started."""
    port = free_port()
    environment = {
        **os.environ,
        "HUB_STATE": str(state),
        "HUB_PORT": str(port),
        "HUB_INGEST_PORT": str(free_port()),
        "HUB_USERS": "folders",
        "HUB_SHARED": str(state.parent / "shared"),
        "GPDATA_LAKE": str(lake),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        **settings,
    }
    certified = settings.get("HUB_TLS_CERT")
    url = f"{'https' if certified else 'http'}://127.0.0.1:{port}/"
    verify = ssl.create_default_context(cafile=certified) if certified else True
    log = state.parent / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, ROOT / "hub" / "run.py"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            return httpx.get(f"{url}hub/api/", verify=verify, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers, PATIENCE, "the hub")
        yield LiveHub(url, process, log, environment, verify)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            for member in family:
                if member.is_running():
                    member.kill()
