"""The walk over crash points: what a crash leaves at a step, recovered by plain code, held to the oracle."""

from __future__ import annotations

import copy
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from gpdata.errors import GpdataError
from gpdata.ingest.ledger import LakeLedger
from gpdata.lake import Lake
from gpdata.lake.batch import Account
from gpdata.lake.cleaning import Moment, clean
from gpdata.lake.collect import Collector
from gpdata.lake.compaction import compact
from gpdata.lake.transform import Transformer
from gpdata.lake.verify import verify
from gpdata.spool import Disk, Spool
from tests.faults.oracle import Key, Sent, contents, violations
from tests.faults.quick import CHECKPOINT_EVERY, quick
from tests.faults.scenario import BATCH_BYTES, Offer, World, shuffled, take
from tests.faults.storage import Crash, JournalDisk, Step
from tests.faults.survival import ALL, NOTHING, ORDERED, Model, Tree, fingerprint, materialise

EXTREMES = (ALL, NOTHING, ORDERED)
_AGAIN, _COMPACT, _VERIFY = 0.15, 0.06, 0.02
"""Shares of the points at which the recovery crashes, too; is followed by a compaction; is verified in full."""
_MEMORY = Path("/dev/shm")


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory for a while, in memory where there is such a file system."""
    with tempfile.TemporaryDirectory(prefix="gpdata-faults-", dir=_MEMORY if _MEMORY.is_dir() else None) as path:
        yield Path(path)


@dataclass
class Journey:
    """A scenario that ran to its end on simulated storage."""

    seed: int
    world: World
    steps: list[Step]
    expected: dict[tuple[Key, str], int]


@dataclass(frozen=True)
class Point:
    """A crash: behind how many steps, and with which of the surviving states."""

    scenario: int
    step: int
    survival: int


@dataclass
class Result:
    """What a walk found."""

    points: int = 0
    again: int = 0
    """Of the points, those at which the recovery crashed, too."""
    kinds: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    methods: Counter[str] = field(default_factory=Counter)
    """Crashes in the middle of a recovery, by the call before which it was."""

    def add(self, other: Result) -> None:
        """Add what another walk found."""
        self.points += other.points
        self.again += other.again
        self.kinds += other.kinds
        self.phases += other.phases
        self.methods += other.methods
        self.wrong += other.wrong


def record(
    root: Path,
    seed: int,
    *,
    skip: Callable[[Step], bool] | None = None,
    before: Callable[[Callable[[World], None], World], object] = lambda phase, world: None,
) -> Journey:
    """Let a scenario run to its end, undisturbed; `skip` leaves barriers out, `before` is called before each phase."""
    disk = JournalDisk(root, skip=skip)
    world = World(root, disk, seed)
    disk.watch = world.watch
    for phase in shuffled(seed):
        disk.phase = phase.__name__
        before(phase, world)
        phase(world)
    steps = list(disk.steps)
    lake = world.lake()
    Transformer(lake, batch_bytes=BATCH_BYTES).run()
    found = contents(lake)
    assert not found.wrong, found.wrong
    return Journey(seed, world, steps, {(row.key, row.sha256): row.content for row in found.rows})


def walk(
    journey: Journey,
    directory: Path,
    *,
    seeds: Callable[[int], list[int]],
    most: int | None = None,
    known: set[int] | None = None,
) -> Result:
    """Crash behind steps of a journey, in the states that `seeds` names for a step; each state once."""
    result = Result()
    known = set() if known is None else known
    model = Model()
    for number, step in enumerate(journey.steps, 1):
        model.play(step)
        for seed in seeds(number):
            tree = model.survive(seed)
            told = sum(at <= number for at, _ in journey.world.acknowledged)
            state = hash((journey.seed, fingerprint(tree), told))
            if state in known:
                continue
            known.add(state)
            point = Point(journey.seed, number, seed)
            result.points += 1
            result.kinds[step.kind] += 1
            result.phases[step.phase] += 1
            wrong = crash(journey, point, model, tree, directory, result)
            result.wrong += [f"{point}, behind {step}: {what}" for what in wrong]
            if most is not None and result.points >= most:
                return result
    return result


def crash(journey: Journey, point: Point, model: Model, tree: Tree, directory: Path, result: Result) -> list[str]:
    """Make what a crash leaves, start again, and say what does not hold."""
    chance = random.Random(f"{point}")
    root = directory / f"{point.step}-{point.survival}"
    materialise(tree, root)
    world = journey.world
    restart = Restart(
        pack=chance.random() < _COMPACT,
        offers=[o for o in world.offers if o.since <= point.step and (o.told is None or o.told > point.step)],
        told=[line for at, line in world.acknowledged if at <= point.step],
    )
    try:
        if chance.random() < _AGAIN:
            # A process that was killed leaves all that it wrote, but none of it is synced by that.
            model = copy.deepcopy(model) if point.survival == ALL else Model(root)
            root = _crash_again(root, model, restart, chance, result)
        lake = restart.run(root, Disk(), chance)
        return judge(journey, point, lake, restart, chance)
    except (GpdataError, OSError, ArithmeticError, LookupError, ValueError, AssertionError) as error:
        return [f"a person is needed: {type(error).__name__}: {error}"]
    finally:
        for path in directory.glob(f"{point.step}-{point.survival}*"):
            shutil.rmtree(path)


@dataclass
class Restart:
    """What is done after a crash: the clients send again what was not answered, and the transform starts."""

    pack: bool
    """Whether the lake is compacted and cleaned up, too."""
    offers: list[Offer]
    told: list[Sent]

    def run(self, root: Path, disk: Disk, chance: random.Random) -> Lake:
        """Start again, with what every start does; nothing waits afterwards."""
        lake = Lake.create(root / "lake", disk=disk)
        late = chance.random() < 0.3  # a clock that is far ahead: unfinished files of dead writers go
        spool = Spool(lake.path / "spool", disk=disk, clock=(lambda: 4 * 10**18) if late else time.time_ns)
        if self.offers:
            self._send(lake, spool)
        grace = chance.choice([0.0, 60.0])
        with patch("gpdata.lake.delta.CHECKPOINT_EVERY", chance.choice([CHECKPOINT_EVERY, 50, 50, 50])):
            Transformer(lake, spool, batch_bytes=BATCH_BYTES, grace=grace).run()
        now = [0.0]
        collector = Collector(lake, spool, grace, clock=lambda: now[0])
        with lake.lock():
            collector.collect_expired()
            now[0] = grace
            collector.collect_expired()
        if self.pack:
            compact(lake, keep=chance.choice([0.0, 3600.0]))
            with lake.lock(name="compaction.lock"), lake.lock():
                for days in (3, 6):
                    clean(lake, 0.0, moment=Moment("another boot", days * 86400.0, 0.0))
        return lake

    def _send(self, lake: Lake, spool: Spool) -> None:
        ledger = LakeLedger(lake, spool)
        ledger.refresh()
        for offer in self.offers:
            outcomes = take(spool, ledger, offer)
            assert all(outcome.result != "refused" for outcome in outcomes), outcomes
            self.told += offer.lines


def _crash_again(root: Path, model: Model, restart: Restart, chance: random.Random, result: Result) -> Path:
    disk = JournalDisk(root, stop=chance.choice([chance.randrange(12), chance.randrange(60), chance.randrange(400)]))
    try:
        restart.run(root, disk, random.Random(chance.random()))
    except Crash:
        result.again += 1
    for step in disk.steps:
        model.play(step)
    if disk.steps:
        result.methods[disk.steps[-1].kind] += 1
    survivor = root.with_name(root.name + "-again")
    materialise(model.survive(chance.choice([*EXTREMES, chance.randrange(10, 10**6)])), survivor)
    return survivor


def judge(journey: Journey, point: Point, lake: Lake, restart: Restart, chance: random.Random) -> list[str]:
    world = journey.world
    seen = {version: saw for at, version, saw in world.versions if at <= point.step}
    wrong = violations(lake, sent=world.sent, acknowledged=restart.told, expected=journey.expected, versions=seen)
    wrong += _left(lake)
    transformer = Transformer(lake)
    for receipt in world.receipts:
        waits = receipt.since <= point.step and (receipt.taken is None or receipt.taken >= point.step)
        if waits and not restart.pack:  # the clean-up behind a compaction takes forgotten receipts away, days later
            account = transformer.receipt(receipt.file)
            if not _agrees(account, receipt.account, failed=bool(world.failures)):
                wrong.append(f"the receipt of {receipt.file.id} says {account}, not {receipt.account}")
    if chance.random() < _VERIFY:
        wrong += [f"verify: {finding.where}: {finding.what}" for finding in verify(lake) if finding.kind == "error"]
    return wrong


def _agrees(account: Account | None, wanted: Account, *, failed: bool) -> bool:
    """Say whether a receipt tells the truth.

    A try that failed may have left its file, where only the sync of its name was refused: then a line of the try
    that followed is one that was stored before. No line more than was expected is a new one.
    """
    if account is None or not failed:
        return account == wanted
    counted = account.lines, account.quarantined, account.accepted + account.duplicates
    return account.accepted <= wanted.accepted and counted == (
        wanted.lines, wanted.quarantined, wanted.accepted + wanted.duplicates
    )  # fmt: skip


def _left(lake: Lake) -> list[str]:
    """Say what a recovery left to do."""
    spool = lake.spool()
    folders = ("new", "done", "trash")
    left = [f"spool/{path.parent.name}/{path.name}" for f in folders for path in (spool.path / f).iterdir()]
    left += [f"manifests/{path.name}" for path in (lake.path / "manifests").glob("*.json")]
    return [f"{what} was left behind" for what in left]


__all__ = ["EXTREMES", "Journey", "Point", "Result", "crash", "quick", "record", "scratch", "walk"]
