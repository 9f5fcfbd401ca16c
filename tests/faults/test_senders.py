"""kill -9 of service, forwarder and Recorder(URL) before each call with which they take in, send and remove lines.

As in test_processes.py the steps are those that the layer saw. In `make test` a few; `make test-faults` CASES and
each name once; SEED brings back a failure.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.transform import Transformer
from gpdata.lake.verify import verify
from tests.faults.machine import Machine, Nursery, Running, name, scratch
from tests.faults.oracle import Sent, contents
from tests.faults.recording import GENERATIONS
from tests.faults.scenario import row, run_uuid
from tests.support import free_port, until
from tests.upload.service import accepts

CASES = int(os.environ.get("CASES", "150"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))


@dataclass
class Place:
    """A lake with its service, and a directory for what is before it."""

    directory: Path
    server: Nursery
    sender: Nursery
    token: str = ""
    port: int = field(default_factory=free_port)

    @property
    def lake(self) -> Path:
        return self.directory / "server" / "lake"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, machine: Machine | None = None) -> int:
        """Start the service; return its process id once it listens, or is dead."""
        log = self.directory / "server.log"
        pid = self.server.start(machine, "ingest", "--lake", self.lake, "--port", self.port, "--keep-free", 0,
                                "--no-transform", log=log)  # fmt: skip
        until(lambda: accepts(self.port) or gone(pid), what="a service that listens")
        return pid

    def rows(self) -> set[tuple[tuple[str, int], str]]:
        """Transform what the service took; return the keys and hashes of all lines, which must be whole."""
        lake = Lake.open(self.lake)
        Transformer(lake).run()
        found = contents(lake)
        assert not found.wrong, found.wrong
        assert not list(lake.quarantine.entries())
        return {(row.key, row.sha256) for row in found.rows}


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@contextmanager
def place() -> Iterator[Place]:
    """Give a lake with its service, which does not run yet."""
    with scratch() as directory, ExitStack() as stack:
        made = Place(directory, stack.enter_context(Nursery()), stack.enter_context(Nursery()))
        Lake.create(made.lake)
        made.token = Tokens(made.lake / "tokens").create("ada")[1]
        (directory / "token").write_text(made.token)
        yield made


class Uploads:
    """One upload, and the service that is killed at it."""

    def __init__(self, at: Place) -> None:
        self.at = at

    def act(self, number: int, kill: int | None) -> list[str]:
        """Upload until it is acknowledged, with a service that is killed before the given call; return the calls."""
        machine = Machine(self.at.lake, self.at.directory / "machine", journal=True)
        lines = [row(number, generation) for generation in range(3)]
        body = b"".join(line.raw + b"\n" for line in lines)
        if kill is not None:
            machine.kill(kill + 1)
        pid = self.at.serve(machine)
        told = self._post(body)
        if told is None:
            assert kill is not None
            assert self.at.server.wait() == -signal.SIGKILL
            pid = self.at.serve()
            told = self._post(body)
        assert told == (200, 3)
        self.at.server.end(pid)
        self.at.server.wait()
        assert {(line.key, line.sha256) for line in lines} <= self.at.rows()
        return [name(step) for step in machine.steps()]

    def _post(self, body: bytes) -> tuple[int, int] | None:
        with suppress(httpx.HTTPError):
            headers = {"Authorization": f"Bearer {self.at.token}"}
            answer = httpx.post(f"{self.at.url}/v1/generations", content=body, headers=headers, trust_env=False)
            found = answer.json()
            return answer.status_code, found["stored"] + found["duplicate"]
        return None


class Forwards:
    """Lines of a sender by plain TCP, and the forwarder that is killed."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.listen = free_port()
        at.serve()

    def act(self, number: int, kill: int | None) -> list[str]:
        root = self.at.directory / f"outbox-{number}"
        root.mkdir()
        machine = Machine(root, self.at.directory / "machine", journal=True)
        if kill is not None:
            machine.kill(kill + 1)
        lines = [row(number, generation) for generation in range(2)]
        steps: list[str] = []
        for current in (machine, None):
            # In the end the forwarder runs on a machine that nobody harms.
            pid = self._start(root, current)
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.listen)) as connection:
                connection.sendall(b"".join(line.raw + b"\n" for line in lines))
            until(lambda p=pid: gone(p) or self._arrived(lines, root), 60, "the lines at the service")  # type: ignore[misc]
            steps = steps or [name(step) for step in machine.steps()]
            if not gone(pid):
                self.at.sender.end(pid)
            status = self.at.sender.wait()
            if status != -signal.SIGKILL:
                break
        assert status == 0
        assert {(line.key, line.sha256) for line in lines} <= self.at.rows()
        return steps

    def _start(self, root: Path, machine: Machine | None) -> int:
        pid = self.at.sender.start(
            machine, "forward", "--to", self.at.url, "--token-file", self.at.directory / "token", "--outbox", root,
            "--listen", f"127.0.0.1:{self.listen}", log=self.at.directory / "forward.log",
        )  # fmt: skip
        until(lambda: accepts(self.listen) or gone(pid), what="a forwarder that listens")
        return pid

    def _arrived(self, lines: list[Sent], root: Path) -> bool:
        spool = Lake.open(self.at.lake).spool()
        there = {line for file in spool.pending() for line in spool.read(file)}
        return not any((root / "spool" / "new").iterdir()) and {line.raw for line in lines} <= there


class Records:
    """A Recorder that is killed, and the forwarder that sends what it left."""

    def __init__(self, at: Place) -> None:
        self.at = at
        at.serve()

    def act(self, number: int, kill: int | None) -> list[str]:
        root = self.at.directory / f"outbox-{number}"
        root.mkdir()
        machine = Machine(root, self.at.directory / "machine", journal=True)
        if kill is not None:
            machine.kill(kill + 1)
        log = self.at.directory / f"recorder-{number}.log"
        arguments = (self.at.url, run_uuid(number), root)
        recorder = Running(machine, log, *arguments, module="recording.py", GPDATA_TOKEN=self.at.token)
        status = recorder.process.wait(120)
        assert status == (0 if kill is None else -signal.SIGKILL), log.read_text()
        durable = {int(found) for found in re.findall(r"durable (\d+)", log.read_text())}
        drained = self.at.sender.run(
            None, "forward", "--to", self.at.url, "--token-file", self.at.directory / "token", "--outbox", root,
            "--drain", log=log,
        )  # fmt: skip
        assert drained == 0, log.read_text()
        mine = {key[1] for key, _ in self.at.rows() if key[0] == run_uuid(number)}
        assert durable <= mine <= set(range(GENERATIONS))
        assert kill is not None or len(durable) == GENERATIONS
        return [name(step) for step in machine.steps()]


WAYS: dict[str, Callable[[Place], Uploads | Forwards | Records]] = {
    "service": Uploads,
    "forwarder": Forwards,
    "Recorder": Records,
}


@pytest.mark.parametrize("what", WAYS)
def test_killed_at_a_few_calls(what: str) -> None:
    killed(what, most=1)


@pytest.mark.faults
@pytest.mark.parametrize("what", WAYS)
def test_killed_at_every_named_call(what: str) -> None:
    reached = killed(what, most=CASES // 10, names=True)
    print(f"\n{what}: {reached.total()} kills at {len(reached)} named steps; {SEED=}")
    for step, count in sorted(reached.items()):
        print(f"  {count:4} {step}")


def killed(what: str, *, most: int, names: bool = False) -> Counter[str]:
    """Kill a process that takes in or sends, before each of some calls; return what was reached."""
    chance = random.Random(SEED)
    reached: Counter[str] = Counter()
    with place() as at:
        way = WAYS[what](at)
        steps = way.act(0, None)
        order = list(
            range(len(steps) - len(steps) // 8)
        )  # the last ones may not be made: threads are quicker or slower
        chance.shuffle(order)
        first = {steps[number]: number for number in reversed(order)}
        chosen = [*first.values()] if names else order[:most]
        chosen += [number for number in order if number not in chosen][: most - len(chosen)] if names else []
        for case, number in enumerate(chosen, 1):
            try:
                way.act(case, number)
            except AssertionError as error:
                raise AssertionError(f"killed before {steps[number]} ({number}); SEED={SEED}: {error}") from error
            reached[steps[number]] += 1
        assert [found for found in verify(Lake.open(at.lake)) if found.kind == "error"] == []
    return reached
