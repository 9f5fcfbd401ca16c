"""Real processes of the way in, a client that behaves like Clojush's recorder, and kills at random moments."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from gpdata.lake import Lake
from gpdata.spool import Spool, zstd
from gpdata.wire import KeyFinder, Rejection, identify
from tests.support import free_port, until

GPDATA = Path(sys.executable).parent / "gpdata"
DROPPED_FIELDS = ("owner", "source", "received_at")
"""What differs between an upload and an import."""


def accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Process:
    """A command that is started, killed, and started again."""

    def __init__(self, log: Path, *command: object, **environment: str) -> None:
        self.command = [str(part) for part in command]
        self.environment = os.environ | environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def child(self, word: str) -> psutil.Process | None:
        """Return the child process with a word in its command."""
        assert self.process is not None
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error):
                    if word in child.cmdline():
                        return child
        return None

    def stop(self, status: int = 0) -> None:
        """End it as an admin would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            found = self.process.wait(60)
            assert found == status, f"{found}: {self.log.read_text()[-2000:]}"


class Known:
    """The keys that were once durable: seen in the outbox, or told by the server; they must all arrive."""

    def __init__(self, spool: Path, address: str, token: str) -> None:
        self.keys: set[tuple[str, int]] = set()
        self.looks = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self._spool, self._files = Spool(spool), set[str]()
        self._runs = f"{address}/v1/runs?limit=100"
        self._http = httpx.Client(headers={"Authorization": f"Bearer {token}"}, trust_env=False)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def wait(self, key: tuple[str, int], broken: Callable[[], bool]) -> bool:
        """Wait until a key is durable; False where the connection broke and it is not."""
        with self.changed:
            while key not in self.keys:
                if broken():
                    return self._wait_for_a_look(key)
                self.changed.wait(0.05)
            return True

    def _wait_for_a_look(self, key: tuple[str, int]) -> bool:
        looks = self.looks + 2  # one of them began after the connection broke
        self.changed.wait_for(lambda: self.looks >= looks or key in self.keys)
        return key in self.keys

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self.stopping.wait(0.02):
            # First the outbox: what leaves it is at the server.
            self._add(self._waiting())
            with suppress(httpx.HTTPError):
                answer = self._http.get(self._runs)
                if answer.status_code == 200:
                    self._add(_present(answer.json()["runs"]), looks=1)

    def _add(self, keys: Iterable[tuple[str, int]], looks: int = 0) -> None:
        found = set(keys)
        with self.changed:
            self.keys |= found
            self.looks += looks
            self.changed.notify_all()

    def _waiting(self) -> Iterable[tuple[str, int]]:
        for file in self._spool.pending():
            if file.id not in self._files:
                with suppress(FileNotFoundError):
                    meta = self._spool.meta(file)
                    assert meta is not None
                    yield from ((key.run_uuid, key.generation) for key in meta.keys or ())
                    self._files.add(file.id)


def _present(runs: list[dict[str, Any]]) -> Iterable[tuple[str, int]]:
    for run in runs:
        missing = {g for first, last in run["gaps"] for g in range(first, last + 1)}
        yield from ((run["run_uuid"], g) for g in range(run["first"], run["last"] + 1) if g not in missing)


class Run(threading.Thread):
    """Sends streams as the recorder does, one generation after the other, each once the one before is durable.

    It loses its connection inside a line now and then, and where the receiver dies; then it connects again and
    sends the whole line. The real recorder does not wait: what it wrote into the kernel's buffers when the
    receiver is killed is lost, and nobody can know.
    """

    def __init__(self, streams: list[Path], port: int, known: Known, turns: threading.Semaphore, seed: str) -> None:
        super().__init__(daemon=True)
        self.streams, self.port, self.known, self.turns = streams, port, known, turns
        self.chance = random.Random(seed)
        self.resent = 0
        self.failure: BaseException | None = None
        self._socket: socket.socket | None = None

    def run(self) -> None:
        try:
            for stream in self.streams:
                data = zstd.ZstdFile(stream).read()
                *lines, torn = data.split(b"\n")
                for line in lines:
                    self.turns.acquire()
                    self._send(line)
                if torn:  # the recorder was killed
                    self._connection().sendall(torn)
                self._hang_up()
        except BaseException as error:
            self.failure = error

    def _send(self, line: bytes) -> None:
        key = _key(line)
        while True:
            with suppress(OSError):
                if self.chance.random() < 0.1:
                    self._connection().sendall(line[: self.chance.randrange(len(line))])
                    self._hang_up()
                self._connection().sendall(line + b"\n")
                if key is None or self.known.wait(key, self._broken):
                    return
            self.resent += 1
            self._hang_up()

    def _connection(self) -> socket.socket:
        while self._socket is None:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                time.sleep(0.05)  # Clojush waits 5 s
        return self._socket

    def _broken(self) -> bool:
        try:
            return self._connection().recv(1, socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _key(line: bytes) -> tuple[str, int] | None:
    finder = KeyFinder()
    finder.feed(line)
    read = finder.key() or identify(line)
    return None if isinstance(read, Rejection) else read


class Chain:
    """Server with its transform, forwarder, and clients, on this machine."""

    def __init__(self, path: Path, **environment: str) -> None:
        self.path, self.lake = path, path / "lake"
        self.ports = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.ports[0]}"
        self.outbox = path / "outbox"
        Lake.create(self.lake)
        made = [GPDATA, "token", "create", "ada", "--lake", self.lake]
        self.token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        (path / "token").write_text(self.token)
        self.server = Process(path / "server.log", GPDATA, "ingest", "--lake", self.lake, "--port", self.ports[0],
                              "--grace", 1, "--keep-free", "10MB", **environment)  # fmt: skip
        self.forward = Process(path / "forward.log", GPDATA, *self.to, "--listen", f"127.0.0.1:{self.ports[1]}")
        self.server.start()
        self.forward.start()
        until(lambda: accepts(self.ports[0]) and accepts(self.ports[1]))
        self.known = Known(self.outbox / "spool", self.address, self.token)
        self.kills = dict.fromkeys(("server", "forward", "transform"), 0)

    @property
    def to(self) -> list[object]:
        return ["forward", "--to", self.address, "--token-file", self.path / "token", "--outbox", self.outbox]

    def send(self, groups: list[list[Path]], kills: dict[str, int], chance: random.Random) -> list[Run]:
        """Replay streams, those of a group one after the other, while processes are killed; wait for the end."""
        turns = threading.Semaphore(0)
        runs = [Run(group, self.ports[1], self.known, turns, f"{chance.random()}") for group in groups]
        lines = sum(zstd.ZstdFile(stream).read().count(b"\n") for group in groups for stream in group)
        order = [what for what, count in kills.items() for _ in range(count)]
        chance.shuffle(order)
        for run in runs:
            run.start()
        for what in order:
            turns.release(1 + lines // (len(order) + 1))
            time.sleep(chance.uniform(0.0, 0.8))
            self.kill(what, chance)
        turns.release(lines + len(runs))
        for run in runs:
            run.join(60)
            assert run.failure is None, run.failure
            assert not run.is_alive(), f"a line of {run.streams} does not arrive: see the logs in {self.path}"
        return runs

    def kill(self, what: str, chance: random.Random) -> None:
        """Kill a process, and start it again where nobody else does."""
        if what == "transform":
            until(lambda: self.server.child("transform"), what="a transform")
            child = self.server.child("transform")
            with suppress(psutil.Error):
                if child is not None:
                    child.kill()
        else:
            process = self.server if what == "server" else self.forward
            process.kill()
            time.sleep(chance.uniform(0.0, 0.5))
            process.start()
        self.kills[what] += 1

    def finish(self) -> None:
        """Let everything arrive, and end all processes as an admin would."""
        until(lambda: accepts(self.ports[0]) and accepts(self.ports[1]))
        until(lambda: not any((self.outbox / "spool" / "new").iterdir()), 120, "an empty outbox")
        self.known.stop()
        self.forward.stop()
        self.server.stop()
        subprocess.run([GPDATA, "transform", "--lake", self.lake], check=True, capture_output=True)

    def end(self) -> None:
        """End what a failed test left."""
        self.known.stop()
        for process in (self.forward, self.server):
            if process.process is not None and process.process.poll() is None:
                process.kill()
