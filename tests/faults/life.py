"""A service with its transform, clients, imports and compactions: real processes on a machine that goes wrong.

What clients were told, and what readers saw, is noted with the number of calls that had been made by then: a crash
behind that call must not take it back.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from gpdata.errors import GpdataError
from gpdata.lake import Lake
from gpdata.lake.collect import Collector
from gpdata.lake.compaction import compact
from gpdata.lake.transform import Transformer
from gpdata.lake.verify import verify
from gpdata.spool import Meta
from tests.faults.machine import Forked, Machine, Nursery
from tests.faults.oracle import Key, Sent, contents, violations
from tests.faults.scenario import row
from tests.support import until, write_stream

IGNORE = frozenset({"owner", "source", "received_at"})
"""What the way in, and the moment, make of a row."""
_CLIENTS = 3
_UPLOAD = "/v1/generations"


@dataclass(frozen=True)
class Told:
    """A line of which somebody was told that it is stored."""

    epoch: int
    calls: int
    line: Sent


@dataclass(frozen=True)
class Saw:
    """What a reader saw."""

    epoch: int
    calls: int
    version: int
    rows: frozenset[Any]


def recover(root: Path, chance: random.Random) -> Lake:
    """Start again in this process, with what every start does; nothing waits afterwards."""
    lake = Lake.create(root / "lake")
    spool = lake.spool()
    grace = chance.choice([0.0, 60.0])
    Transformer(lake, spool, batch_bytes=chance.choice([20_000, 500_000]), grace=grace).run()
    time = [0.0]
    collector = Collector(lake, spool, grace, clock=lambda: time[0])
    with lake.lock():
        collector.collect_expired()
        time[0] = grace
        collector.collect_expired()
    if chance.random() < 0.1:
        with patch("gpdata.lake.compaction.SEALED", 1):
            compact(lake, keep=0.0)
    left = [path for folder in ("new", "done", "trash") for path in (spool.path / folder).iterdir()]
    assert left + list((lake.path / "manifests").glob("*.json")) == []
    return lake


class Life:
    """A lake in a directory, and the processes that work on it; `begin` starts an epoch, which a crash may end.

    Parameters
    ----------
    root : Path
        The directory that is watched; the lake becomes its `lake`.
    files : Path
        Where everything else goes.
    home, nursery : Nursery
        One starts the service, the other imports and compactions.
    seed : int
        Of what is sent.
    """

    def __init__(self, root: Path, files: Path, home: Nursery, nursery: Nursery, seed: int) -> None:
        self.root, self.files, self.seed = root, files, seed
        self.home, self.nursery = home, nursery
        self.lake = root / "lake"
        root.mkdir(exist_ok=True)
        files.mkdir(exist_ok=True)
        self.epoch = 0
        self.machine: Machine | None = None
        self._expected: dict[tuple[Key, str], int] = {}
        self._expected_lines = 0
        self.server: Forked | None = None
        self.token = ""
        self.url: str | None = None
        self.sent: list[Sent] = []
        self.told: list[Told] = []
        self.saw: list[Saw] = []
        self.wrong: list[str] = []
        self.answers: dict[int, int] = {}
        """How often each status was answered."""
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._next = [0] * _CLIENTS
        self._unsure: list[list[Sent]] = [[] for _ in range(_CLIENTS)]
        self._imports = 0
        self._chance = random.Random(seed)
        self._noting = threading.Lock()

    def begin(self, *options: object, journal: bool = True, work: bool = True) -> Machine:
        """Start the service, and everybody who uses it, on the machine; with it nothing is wrong as yet."""
        self.epoch += 1
        self.machine = Machine(self.root, self.files / f"machine-{self.epoch}", journal=journal)
        self.start(*options)
        if work:
            self._over.clear()
            works: list[Callable[[], object]] = [lambda n=n: self._client(n) for n in range(_CLIENTS)]  # type: ignore[misc]
            works += [self._import_and_compact, self._read]
            self._threads = [threading.Thread(target=self._guarded, args=(one,), daemon=True) for one in works]
            for thread in self._threads:
                thread.start()
        return self.machine

    def start(self, *options: object) -> None:
        """Start the service, alone; return once it listens or is dead."""
        log = self.files / f"server-{self.epoch}-{time.monotonic_ns()}.log"
        self.url = None
        self.server = Forked(self.home, self.machine, log, "ingest", "--lake", self.lake, "--port", 0, "--grace", 1,
                              "--keep-free", 0, *options, GPDATA_BATCH_BYTES="20000")  # fmt: skip
        server = self.server
        until(lambda: not server.alive or "listening at" in log.read_text(), what="a service that listens")
        if (found := re.search(r"listening at (\S+),", log.read_text())) is not None:
            self.url = found[1]

    def finish(self) -> None:
        """Let everybody end what is begun, and end the processes as an admin would."""
        self._over.set()
        self.join()
        assert self.server is not None
        status = self.server.stop()
        assert status == 0, self.server.log.read_text()[-3000:]
        assert not self.wrong, f"{self.wrong} (SEED={self.seed})"

    def died(self) -> None:
        """Clear up behind a crash: nobody is told anything more."""
        self._over.set()
        assert self.server is not None
        assert self.machine is not None
        self.server.kill()
        self.join()
        until(lambda: not self.machine.users(), what="the end of every process")  # type: ignore[union-attr]
        assert not self.wrong, f"{self.wrong} (SEED={self.seed})"

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a client hangs"

    def violations(self, lake: Lake, epoch: int, calls: int) -> list[str]:
        """Say what does not hold in a lake that was recovered from a crash behind so many calls of an epoch."""

        def before(what: Told | Saw) -> bool:
            return (what.epoch, what.calls) <= (epoch, calls)

        return violations(
            lake, sent=self.sent, acknowledged=[told.line for told in self.told if before(told)],
            expected=self.expected(), versions={saw.version: saw.rows for saw in self.saw if before(saw)},
            ignore=IGNORE,
        )  # fmt: skip

    def expected(self) -> dict[tuple[Key, str], int]:
        """Return the content of every row that may be there: that of a lake that nothing befell."""
        lake = Lake.create(self.files / "expected")
        rows = [sent for sent in self.sent if sent.row]
        if len(rows) > self._expected_lines:
            lake.spool().write([sent.raw for sent in rows[self._expected_lines :]], Meta("recorder"))
            Transformer(lake).run()
            self._expected_lines = len(rows)
            found = contents(lake, ignore=IGNORE)
            self._expected = {(row.key, row.sha256): row.content for row in found.rows}
        return self._expected

    def check(self) -> None:
        """Check everything, in the end."""
        status = self.nursery.run(None, "transform", "--lake", self.lake, log=self.files / "transform.log")
        assert status in (0, 3), (self.files / "transform.log").read_text()
        lake = Lake.open(self.lake)
        wrong = self.violations(lake, self.epoch, 2**62)
        wrong += [f"verify: {finding.where}: {finding.what}" for finding in verify(lake) if finding.kind == "error"]
        assert not wrong, "\n".join(wrong)
        assert not lake.spool().pending()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self.wrong.append(repr(error))

    def _client(self, number: int) -> None:
        """Upload one generation after the other, each until it is acknowledged; now and then something else."""
        chance = random.Random(f"{self.seed} {self.epoch} {number}")
        if unsure := self._unsure[number]:
            self._send(number, unsure)
        while not self._over.is_set():
            generation = self._next[number]
            lines = [row(number, generation + more) for more in range(chance.randint(1, 3))]
            self._next[number] = generation + len(lines)
            if generation and chance.random() < 0.3:
                lines.append(row(number, chance.randrange(generation)))
            if generation and chance.random() < 0.2:
                lines.append(row(number, chance.randrange(generation), "conflict", row=False, outcome="failure"))
            self._note_sent(lines)
            self._send(number, lines)

    def _send(self, number: int, lines: list[Sent]) -> None:
        self._unsure[number] = lines
        body = b"".join(line.raw + b"\n" for line in lines)
        for _ in range(10_000):
            with suppress(httpx.HTTPError):
                self._token()
                if not self.token:
                    raise httpx.ConnectError("no service")
                headers = {"Authorization": f"Bearer {self.token}"}
                answer = httpx.post(f"{self.url}{_UPLOAD}", content=body, headers=headers, timeout=60, trust_env=False)
                with self._noting:
                    self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                if answer.status_code == 200:
                    assert answer.json()["refused"] == 0, answer.text
                    self._tell(lines)
                    self._unsure[number] = []
                    return
                assert answer.status_code in (500, 503), answer.text
            if self._over.is_set():
                # Whether it was stored nobody knows; the next epoch sends it again.
                return
            time.sleep(0.02)
        raise AssertionError("an upload was never taken")

    def _import_and_compact(self) -> None:
        chance = random.Random(f"{self.seed} {self.epoch} import")
        until(lambda: (self.lake / "gpdata.json").exists() or self._over.is_set())
        while not self._over.wait(chance.uniform(0.0, 0.5)):
            log = self.files / "commands.log"
            if chance.random() < 0.5:
                self._imports += 1
                lines = [row(100 + self._imports, generation) for generation in range(3)]
                torn = Sent(b'{"torn %d' % self._imports, None, frozenset({"torn"}), row=False)
                self._note_sent([*lines, torn])
                stream = write_stream(self.files / f"{self._imports}.jsonl", [*(line.raw for line in lines), torn.raw])
                stream.write_bytes(stream.read_bytes()[:-1])
                if self.nursery.run(self.machine, "import", stream, "--lake", self.lake, log=log) == 3:
                    self._tell([*lines, torn])
            else:
                self.nursery.run(self.machine, "compact", self.lake, "--keep-days", 0, log=log)

    def _read(self) -> None:
        assert self.machine is not None
        while not self._over.wait(0.1):
            # A file that a compaction replaced is gone at once here: a reader that lost it looks again.
            with suppress(GpdataError, OSError):
                found = contents(Lake.open(self.lake), ignore=IGNORE)
                if not found.wrong and found.rows:
                    seen = Saw(self.epoch, self.machine["calls"], found.version, found.until(found.version))
                    with self._noting:
                        self.saw.append(seen)

    def _token(self) -> None:
        with self._noting:
            if not self.token and self.machine is not None and self.url is not None:
                log = self.files / "token"
                if self.nursery.run(self.machine, "token", "create", "ada", "--lake", self.lake, log=log) == 0:
                    self.token = re.findall(r"gpdata_[0-9a-f]+_[0-9a-f]+", log.read_text())[-1]

    def keep_up(self) -> None:
        """Start the service again where it ended by itself, as systemd does."""
        assert self.server is not None
        assert self.machine is not None
        if not self.server.alive and not self.machine["dead"]:
            self.server.kill()
            self.start()

    def _note_sent(self, lines: list[Sent]) -> None:
        with self._noting:
            self.sent += lines

    def _tell(self, lines: list[Sent]) -> None:
        assert self.machine is not None
        with self._noting:
            calls = self.machine["calls"]
            self.told += [Told(self.epoch, calls, line) for line in lines]
