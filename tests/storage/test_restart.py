"""The store goes away in the middle and comes back: nothing that was acknowledged is lost, and nobody is needed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import gpdata
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.lake.verify import verify
from gpdata.spool import Meta
from gpdata.storage import ObjectPath
from tests import s3
from tests.support import free_port, line, until

pytestmark = pytest.mark.xdist_group("s3")
Key = tuple[str, int]


def _run(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _assert_whole(place: ObjectPath, acknowledged: set[Key], sent: set[Key]) -> None:
    """Every key that was acknowledged is there once; what was sent and not acknowledged may be."""
    lake = Lake.open(place)
    Transformer(lake).run(wait=60)
    assert [found for found in verify(lake) if found.kind == "error"] == []
    rows = gpdata.open(place).generations.select("run_uuid, generation").fetchall()
    assert len(rows) == len(set(rows))
    assert acknowledged <= set(rows) <= sent
    assert list(lake.quarantine.entries()) == []
    on_polars = gpdata.open(str(place), engine="polars")
    assert set(on_polars.generations.select("run_uuid", "generation").collect().rows()) == set(rows)


@contextmanager
def _beside(work: Callable[[threading.Event], None], threads: int = 1) -> Iterator[None]:
    """Do some work in threads while the block runs; what goes wrong there goes wrong here."""
    stop, failed = threading.Event(), []

    def guarded() -> None:
        try:
            work(stop)
        except BaseException as error:
            failed.append(error)

    started = [threading.Thread(target=guarded) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in started:
            thread.join(120)
    assert not failed, failed
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.faults  # it waits for a store that is away
def test_recording_and_transforming_outlast_a_kill_of_the_store(place: ObjectPath, server: s3.Server) -> None:
    lake = Lake.create(place)
    acknowledged: set[Key] = set()

    def record(stop: threading.Event) -> None:
        spool, generation = lake.spool(), 0
        while not stop.is_set():
            spool.write([line(_run(1), generation)], Meta("import"))
            acknowledged.add((_run(1), generation))
            generation += 1

    def transform(stop: threading.Event) -> None:
        writer = Lake.open(place)
        while not stop.is_set():
            Transformer(writer).run()

    with _beside(record), _beside(transform):
        until(lambda: len(acknowledged) > 10, 60)
        server.kill()
        count = len(acknowledged)
        server.start()
        until(lambda: len(acknowledged) > count + 5, 90)
    _assert_whole(place, acknowledged, acknowledged)


class _Service:
    """A service as a process of its own, into a lake in a store."""

    def __init__(self, place: ObjectPath, server: s3.Server, folder: Path) -> None:
        self._tokens, self._log = folder / "tokens", folder / "log"
        self._environment = s3.inherited(server.environment)
        self._port, self._place = free_port(), place
        self._token = Tokens(self._tokens).create("ada")[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", "from gpdata.cli import main; main()", "ingest", "--lake", str(self._place)]
        command += ["--tokens", str(self._tokens), "--port", str(self._port), "--grace", "0"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        until(self._ready, 90, "the service")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def upload(self, body: bytes) -> bool:
        """Send a line; return whether it was acknowledged."""
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"http://127.0.0.1:{self._port}/v1/generations"
        try:
            answer = httpx.post(url, content=body, headers=headers, timeout=120, trust_env=False)
        except httpx.HTTPError:
            return False
        assert answer.status_code == 200 or answer.status_code >= 500, answer.text
        return answer.status_code == 200

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.mark.faults
def test_uploads_outlast_kills_of_the_store_and_of_the_service(
    place: ObjectPath, server: s3.Server, tmp_path: Path
) -> None:
    service = _Service(place, server, tmp_path)
    acknowledged: set[Key] = set()
    sent: set[Key] = set()
    numbers = iter(range(1, 1000))

    def upload(stop: threading.Event) -> None:
        run, generation = _run(next(numbers)), 0
        while not stop.is_set():
            sent.add((run, generation))
            if service.upload(line(run, generation) + b"\n"):
                acknowledged.add((run, generation))
                generation += 1

    def more(number: int) -> None:
        wanted = len(acknowledged) + number
        until(lambda: len(acknowledged) >= wanted, 180, "more acknowledged uploads")

    service.start()
    try:
        with _beside(upload, 4):
            for _ in range(2):
                more(20)
                server.kill()
                server.start()
                more(20)
                compact(Lake.open(place), wait=120, everything=False)
                service.kill()
                service.start()
                more(20)
    finally:
        service.kill()
    _assert_whole(place, acknowledged, sent)
