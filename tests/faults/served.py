"""A service in a process of its own, watched from outside: its metrics, descriptors and memory."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.transform import Transformer
from tests.support import line
from tests.support import until as _until

ROOT = Path(__file__).resolve().parents[2]
UPLOAD = "/v1/generations"
MIB = 1 << 20
until = partial(_until, seconds=120.0)


class Served:
    """A service as a process; `options` are those of `Options`, `Bounds` and `Limits` as JSON."""

    def __init__(self, path: Path, **options: Any) -> None:
        chosen: dict[str, Any] = {"lake": str(path / "lake"), "port": 0, "keep_free": 0, "transform": False} | options
        self.lake = Lake.create(path / "lake")
        self.tokens = Tokens(self.lake.path / "tokens")
        self.ada = self.tokens.create("ada")[1]
        self.log = path / "served.log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "tests.faults.serve", json.dumps(chosen)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        started = json.loads(self.process.stdout.readline() or b"{}")
        assert started, self.log.read_text()
        self.url: str = started["url"]
        self.plain: list[Any] = started["plain"]
        host, port = self.url.partition("://")[2].rsplit(":", 1)
        self.address = host, int(port)
        certificate = chosen.get("certificate")
        self.verify = ssl.create_default_context(cafile=certificate) if certificate else True

    def client(self, token: str | None = "", **options: Any) -> httpx.Client:
        """Return a client that sends ada's token, another one, or none (None)."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.ada}"}
        chosen = {"base_url": self.url, "headers": headers, "timeout": 120, "verify": self.verify} | options
        return httpx.Client(trust_env=False, **chosen)

    def post(self, body: Any, token: str | None = "", **headers: str) -> httpx.Response:
        """Upload a body."""
        with self.client(token) as client:
            return client.post(UPLOAD, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric; 0 where it has not been counted."""
        with self.client(None) as client:
            text = client.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def descriptors(self) -> int:
        """Return the number of the process's open files."""
        return psutil.Process(self.process.pid).num_fds()

    def peak(self) -> int:
        """Return the most memory that the process has had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def pending(self) -> list[bytes]:
        """Return the lines that are durable."""
        spool = self.lake.spool()
        return [found for file in spool.pending() for found in spool.read(file) if isinstance(found, bytes)]

    def unfinished(self) -> list[Path]:
        """Return what is left of uploads that did not end."""
        folder = self.lake.spool().path / "tmp"
        return list(folder.iterdir()) if folder.is_dir() else []

    def stop(self) -> None:
        """End it as an admin would; it must not have failed on the way."""
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]
        log = self.log.read_text()
        assert "Traceback" not in log, log[-3000:]

    def transform(self) -> None:
        """Bring what is in the spool into the lake."""
        Transformer(self.lake, self.lake.spool()).run()

    def kept(self) -> tuple[set[str], set[str]]:
        """Return the SHA-256 of each line in the lake, and of each in the quarantine; no key is there twice."""
        import gpdata

        table = gpdata.open(self.lake.path).generations.to_arrow_table()
        keys = list(zip(table["run_uuid"].to_pylist(), table["generation"].to_pylist(), strict=True))
        assert len(keys) == len(set(keys))
        return set(table["line_sha256"].to_pylist()), {entry.sha256 for entry in self.lake.quarantine.entries()}


@contextmanager
def served(path: Path, **options: Any) -> Iterator[Served]:
    """Give a service, and end it."""
    path.mkdir(exist_ok=True)
    one = Served(path, **options)
    try:
        yield one
        one.stop()
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


class Good(threading.Thread):
    """A client that uploads one generation after the other, and must never be refused or kept waiting for good."""

    def __init__(self, service: Served, run: str = "good", *, fresh: bool = False) -> None:
        super().__init__(daemon=True)
        self.service, self.run_uuid, self.fresh = service, run, fresh
        self.acknowledged: list[bytes] = []
        self.times: list[float] = []
        self.wrong: list[str] = []
        self._stop_now = threading.Event()

    def run(self) -> None:
        try:
            while not self._stop_now.is_set():
                with self.service.client() as client:
                    self._send(client)
                    while not self.fresh and not self._stop_now.is_set():
                        self._send(client)
        except Exception as error:
            self.wrong.append(repr(error))

    def _send(self, client: httpx.Client) -> None:
        sent = line(self.run_uuid, len(self.acknowledged), size=8)
        with suppress(httpx.TransportError):  # a connection that was closed meanwhile: as any client does, again
            answer = client.post(UPLOAD, content=sent)
            if answer.status_code != 200 or answer.json()["refused"]:
                self.wrong.append(answer.text)
                return
            self.acknowledged.append(sent)
            self.times.append(time.monotonic())

    def rate(self, seconds: float) -> float:
        """Return the median uploads a second over a stretch that begins now."""
        before = len(self.times)
        deadline = time.monotonic() + 60
        begun = time.monotonic()
        while time.monotonic() - begun < seconds or len(self.times) < before + 10:
            assert time.monotonic() < deadline, f"the good client hangs: {self.wrong}"
            time.sleep(0.02)
        times = self.times[before:]
        steps = sorted(later - earlier for earlier, later in pairwise(times))
        return 1 / steps[len(steps) // 2]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join(60)
        assert not self.is_alive()
        assert self.wrong == []
        assert self.acknowledged
