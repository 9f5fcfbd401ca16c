"""A lab's day on simulated storage: uploads, batches, collection, compaction, quarantine, restarts.

Each phase opens the lake anew, as a process does that was started again; they follow one another as they might,
and differ from seed to seed. What a client is told is noted with the number of the step at which it is told.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from gpdata.ingest.body import decoder
from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.upload import Bounds, Work
from gpdata.lake import Lake
from gpdata.lake.batch import Account
from gpdata.lake.cleaning import Moment, clean
from gpdata.lake.collect import Collector
from gpdata.lake.compaction import compact
from gpdata.lake.replay import replay
from gpdata.lake.transform import Transformer
from gpdata.spool import Disk, Meta, Outcome, Spool, SpoolFile
from gpdata.spool.plain_lines import Lines
from gpdata.wire import Limits
from tests.faults.oracle import Contents, Sent, contents
from tests.faults.storage import JournalDisk, Step
from tests.support import line

_START = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR = 3600.0
BATCH_BYTES = 8_000
"""Raw bytes of a batch: two or three files."""
_T = TypeVar("_T")


@dataclass
class Receipt:
    """A spool file whose writer waits for an account."""

    file: SpoolFile
    since: int
    """The step at which the file was acknowledged."""
    account: Account
    """What it must say."""
    taken: int | None = None
    """The step at which the writer began to take it."""


@dataclass
class Offer:
    """A body that a client uploads, again and again until it is answered."""

    owner: str
    received_at: datetime
    lines: list[Sent]
    since: int
    """The step at which it was sent first."""
    told: int | None = None
    """The step at which it was answered."""


@dataclass
class World:
    """A lake under simulated storage, and what its clients know."""

    root: Path
    disk: Disk
    seed: int = 0
    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[tuple[int, Sent]] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    versions: list[tuple[int, int, frozenset[Any]]] = field(default_factory=list)
    """Step, version, and what a reader saw of it."""
    account: Account = field(default_factory=Account)
    failures: int = 0
    on_failure: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._ticks = 0
        self._bodies = 0

    @property
    def path(self) -> Path:
        return self.root / "lake"

    @property
    def now(self) -> int:
        """The number of steps so far."""
        return len(self.disk.steps) if isinstance(self.disk, JournalDisk) else 0

    def lake(self) -> Lake:
        return Lake.open(self.path, disk=self.disk)

    def spool(self, lake: Lake) -> Spool:
        return Spool(lake.path / "spool", disk=self.disk, clock=self.tick)

    def tick(self) -> int:
        """A clock in nanoseconds, which goes wrong by ten years now and then."""
        self._ticks += 1
        wrong = timedelta(days=3650) * self.chance.choice([0, 0, 0, 1, -1])
        return int((_START + wrong).timestamp() * 1e9) + self._ticks

    def attempt(self, act: Callable[[], _T]) -> _T:
        """Do something, again where the disk fails, as clients and the transform do."""
        for _ in range(4):
            try:
                return act()
            except OSError:
                self.failures += 1
                self.on_failure()
        return act()

    def tell(self, *lines: Sent) -> None:
        """Note that a client was told that its lines are stored."""
        self.acknowledged += [(self.now, line) for line in lines]

    def upload(self, spool: Spool, ledger: LakeLedger, owner: str, lines: list[Sent], *refused: Sent) -> None:
        """Upload lines in one body, as the service takes them; those to be refused come last."""
        self._bodies += 1
        received = _START + timedelta(seconds=self._bodies)
        offer = Offer(owner, received, lines, self.now)
        self.offers.append(offer)
        self.sent += [*lines, *refused]
        outcomes = self.attempt(lambda: take(spool, ledger, offer, *refused))
        self.tell(*lines)
        offer.told = self.now
        assert [outcome.result == "refused" for outcome in outcomes] == [False] * len(lines) + [True] * len(refused)

    def some(self, what: str, least: int, most: int) -> int:
        """Choose a number: the same in a scenario, however often something failed before."""
        return random.Random(f"{self.seed} {what}").randint(least, most)

    def record(self, spool: Spool, lines: list[Sent], account: Account, owner: str | None = None) -> None:
        """Write lines into the spool as a Recorder on the same machine does, and wait for the receipt."""
        self._bodies += 1
        meta = Meta("recorder", owner, _START + timedelta(seconds=self._bodies), receipt=True)
        self.sent += lines
        file = self.attempt(lambda: spool.write([sent.raw for sent in lines], meta))
        self.tell(*lines)
        self.receipts.append(Receipt(file, self.now, account))

    def plain(self, lake: Lake, spool: Spool, data: list[bytes], *lines: Sent) -> None:
        """Send bytes by plain TCP, and close the connection."""
        self._bodies += 1
        ledger = LakeLedger(lake, spool)
        self.attempt(ledger.refresh)
        self.sent += lines
        meta = Meta("plain")

        def act() -> None:
            taker = Lines(spool, lake.quarantine, meta, "127.0.0.1", ledger, Limits(), None)
            taker.received_at = _START + timedelta(seconds=self._bodies)
            for piece in data:
                taker.take([piece])
            taker.end()

        self.attempt(act)
        self.tell(*lines)

    def transform(self, lake: Lake, spool: Spool, *, grace: float = 0.0) -> None:
        """Transform what is in the spool; the receipts that are there are taken, but for one."""
        transformer = Transformer(lake, spool, batch_bytes=BATCH_BYTES, grace=grace)
        self.account.add(self.attempt(transformer.run))
        for receipt in [receipt for receipt in self.receipts if receipt.taken is None][:-1]:
            receipt.taken = self.now
            account = self.attempt(lambda r=receipt: transformer.receipt(r.file))  # type: ignore[misc]
            assert self.failures or account == receipt.account, (account, receipt.account)

    def watch(self, step: Step) -> None:
        """Read the lake as a reader might, behind each commit of the table that is committed last."""
        if step.kind == "link" and step.other.startswith("lake/generations/_delta_log/"):
            found: Contents = contents(Lake.open(self.path))
            assert not found.wrong, found.wrong
            self.versions.append((self.now, found.version, found.until(found.version)))


def take(spool: Spool, ledger: LakeLedger, offer: Offer, *refused: Sent) -> list[Outcome]:
    """Take a body in as the service does; say what became of its lines."""
    body = b"".join(sent.raw + b"\n" for sent in [*offer.lines, *refused])
    encoding = decoder("")
    assert encoding is not None
    work = Work(spool, ledger, Limits(), Bounds(), encoding, offer.owner, "a test")
    try:
        cut = len(body) // 2
        work.begin(body[:cut], offer.received_at, ended=False)
        work.step()
        work.begin(body[cut:], offer.received_at, ended=True)
        assert work.last()
        return work.outcomes
    finally:
        work.close()


def run_uuid(number: int) -> str:
    """Return the uuid of a run."""
    return f"00000000-0000-4000-8000-{number:012d}"


def row(run: int, generation: int, *codes: str, row: bool = True, **top: Any) -> Sent:
    """Return a line that becomes a row, or one that has to be set aside."""
    raw = line(run_uuid(run), generation, 2, **top)
    return Sent(raw, (run_uuid(run), generation), frozenset(codes), row)


def create(w: World) -> None:
    """A lake is made."""
    w.attempt(lambda: Lake.create(w.path, disk=w.disk))


def upload(w: World) -> None:
    """Two users upload; with a duplicate, a conflict, what is no line, and somebody else's run."""
    lake = w.lake()
    spool = w.spool(lake)
    ledger = LakeLedger(lake, spool)
    w.attempt(ledger.refresh)
    garbage = Sent(b'{"config-uuid": 1}', None)
    w.upload(spool, ledger, "ada", [row(1, 0), row(1, 1)], garbage)
    w.upload(spool, ledger, "ben", [row(2, 0)], row(1, 2, outcome="failure"))
    conflict = row(1, 1, "conflict", row=False, outcome="failure")
    w.upload(spool, ledger, "ada", [row(1, 2), row(1, 0), conflict, row(1, 3)])
    w.record(spool, [row(3, 0), row(3, 0)], Account(2, 1, 1, 0, 1, 1, 2))
    w.record(spool, [row(3, 1)], Account(1, 1, 0, 0, 0, 1, 2))


def batches(w: World) -> None:
    """Several batches of several files; the files go at once."""
    lake = w.lake()
    w.transform(lake, w.spool(lake))


def others(w: World) -> None:
    """Plain TCP with a torn line, duplicates and conflicts of what the lake has, a line for another's run."""
    lake = w.lake()
    spool = w.spool(lake)
    torn = Sent(b'{"config-uuid": "' + run_uuid(4).encode() + b'", "ind', None, frozenset({"torn"}), row=False)
    foreign = row(1, 9, "other_owner", row=False)
    w.plain(lake, spool, [row(4, 0).raw + b"\n", foreign.raw + b"\n", torn.raw], row(4, 0), foreign, torn)
    ledger = LakeLedger(lake, spool)
    w.attempt(ledger.refresh)
    conflict = row(1, 2, "conflict", row=False, outcome="success")
    w.upload(spool, ledger, "ada", [row(1, 0), conflict, row(1, 4)])
    w.upload(spool, ledger, "ben", [row(2, generation) for generation in range(1, w.some("ben", 2, 4))])
    late = row(1, 8, "other_owner", row=False)
    w.record(spool, [row(3, 2), late], Account(2, 1, 0, 1, 0, 1, 2))
    failed = row(5, 0, "internal_error")
    w.sent.append(failed)
    w.attempt(lambda: lake.quarantine.add(failed.raw, code="internal_error", detail="as an older gpdata", owner="ada"))
    w.tell(failed)


def graced(w: World) -> None:
    """Batches whose files are kept for a time; one that is over for some of them."""
    lake = w.lake()
    spool = w.spool(lake)
    time = [0.0]
    collector = Collector(lake, spool, 60.0, clock=lambda: time[0])
    w.transform(lake, spool, grace=60.0)
    with lake.lock():
        assert w.attempt(collector.collect_expired) == 0
        time[0] = 59.0
        assert w.attempt(collector.collect_expired) == 0
        time[0] = 60.0
        assert w.attempt(collector.collect_expired) > 0 or w.failures
    assert not spool.retired()


def beside(w: World) -> None:
    """A compaction while batches are written; what it replaced stays for an hour."""
    lake = w.lake()
    spool = w.spool(lake)
    done: list[int] = []

    def meanwhile(table: str, *_: int) -> None:
        if not done:
            done.append(1)
            ledger = LakeLedger(lake, spool)
            ledger.refresh()
            w.upload(spool, ledger, "ada", [row(1, 5), row(6, 0)])
            w.transform(lake, spool)

    w.attempt(lambda: compact(lake, everything=False, keep=_HOUR, progress=meanwhile))


def again(w: World) -> None:
    """Quarantined lines are tried again: one becomes a row, one is a conflict still."""
    lake = w.lake()

    def act() -> int:
        entries = [entry for entry in lake.quarantine.entries() if entry.code in ("internal_error", "conflict")]
        assert len(entries) == 3 or w.failures
        return replay(lake, entries)

    assert w.attempt(act) == 1 or w.failures


def sealed(w: World) -> None:
    """A compaction of everything, and the clean-up behind it, hours and days later."""
    lake = w.lake()
    spool = w.spool(lake)
    ledger = LakeLedger(lake, spool)
    w.attempt(ledger.refresh)
    w.upload(spool, ledger, "ada", [row(1, generation) for generation in range(6, 6 + w.some("ada", 1, 2))])
    w.attempt(lambda: compact(lake, keep=_HOUR))
    for receipt in w.receipts:  # nobody asks for them any more: after days they go
        receipt.taken = w.now if receipt.taken is None else receipt.taken
    with lake.lock(name="compaction.lock"), lake.lock():
        for hours in (2, 60, 100):
            moment = Moment("this boot", hours * _HOUR, hours * _HOUR)
            w.attempt(lambda m=moment: clean(lake, _HOUR, moment=m))  # type: ignore[misc]


def last(w: World) -> None:
    """More uploads, half of which are still in the spool at the end."""
    lake = w.lake()
    spool = w.spool(lake)
    ledger = LakeLedger(lake, spool)
    w.attempt(ledger.refresh)
    w.upload(spool, ledger, "ben", [row(7, 0), row(7, 1)])
    w.transform(lake, spool, grace=60.0)
    w.upload(spool, ledger, "ben", [row(7, 2), row(7, 1)])
    w.record(spool, [row(3, 3)], Account(1, 1, 0, 0, 0, 1, 2))


def shuffled(seed: int) -> list[Callable[[World], None]]:
    """Return the phases in an order that makes sense: what comes between uploads differs."""
    chance = random.Random(f"order {seed}")
    middle = [beside, again, sealed]
    if seed:
        chance.shuffle(middle)
    return [create, upload, batches, others, graced, *middle, last]
