"""The barriers of `tests.faults.barriers`: the list is whole, each can be switched off, and something then fails."""

from __future__ import annotations

import ast
import asyncio
import hmac
import os
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import gpdata
from gpdata.errors import LakeDamaged
from gpdata.ingest.accounts import Denied
from gpdata.ingest.listen import tls_context
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from gpdata.lake.follow import Follower
from gpdata.lake.maintain import compact_if_due
from gpdata.lake.transform import Transformer
from gpdata.spool import Disk, Meta, Quarantine, Spool, zstd
from gpdata.spool.plain_tcp import PlainServer
from gpdata.spool.room import Room
from tests.faults.barriers import BARRIERS, NO_BARRIERS, calls
from tests.faults.mutation import ROOT, switched_off
from tests.faults.oracle import contents
from tests.faults.storage import JournalDisk
from tests.faults.test_mended import stop_behind
from tests.ingest.conftest import make_certificate
from tests.support import line, run_lines

PACKAGE = Path(gpdata.__file__ or "").parent
META = Meta("recorder")


def test_every_barrier_of_the_code_is_in_the_list() -> None:
    found = calls(PACKAGE, "spool", "lake", "upload", "ingest", "importers", "sweeps")
    there = Counter((call.file, call.function, call.code) for call in found)
    named = Counter[tuple[str, str, str]]()
    for file, function, code, _ in {(b.file, b.function, b.code, b.number) for b in BARRIERS}:
        inside = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
        named.update({(file, function, ast.unparse(call)) for call in inside})
    named.update(NO_BARRIERS.keys())
    missing = [call for call, count in there.items() if named[call] < count]
    assert not missing, (
        f"{missing} stand in the code, but not in the list: add it to tests/faults/barriers.toml with a test that "
        "fails without it, or the reason why there need be none"
    )
    gone = [call for call in NO_BARRIERS if call not in there]
    assert not gone, f"{gone} are no longer in the code; take them out of NO_BARRIERS"


def test_every_barrier_of_the_list_is_in_the_code() -> None:
    for barrier in BARRIERS:
        before = (PACKAGE / barrier.file).read_text()
        after = switched_off(before, barrier)  # LookupError where it is not there: mend the list
        assert ast.unparse(after) != ast.unparse(ast.parse(before))
        assert bool(barrier.caught_by) != bool(barrier.redundant)


def test_a_barrier_that_is_not_caught_is_told(tmp_path: Path) -> None:
    """The check can fail, and it can pass."""
    command = [sys.executable, "-m", "tests.faults.mutation"]
    good = subprocess.run(
        [*command, "an entry of the log is never"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stdout
    assert "1 barriers switched off, 0 not caught" in good.stdout
    other = os.environ | {"MUTATION_TEST": "tests/spool/test_quarantine.py"}
    bad = subprocess.run(
        [*command, "an entry of the log is never"], cwd=ROOT, capture_output=True, text=True, check=False, env=other
    )
    assert bad.returncode == 1, bad.stdout
    assert "NOT CAUGHT" in bad.stdout


@pytest.mark.faults
def test_each_barrier_switched_off_is_caught() -> None:
    assert subprocess.run([sys.executable, "-m", "tests.faults.mutation"], cwd=ROOT, check=False).returncode == 0


def test_the_disk_syncs_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, int]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((os.path.relpath(path, tmp_path), path.stat().st_size if path.is_file() else 0))

    monkeypatch.setattr(os, "fsync", fsync)
    disk = Disk()
    with disk.create(tmp_path / "a") as file:
        file.write(b"abc")
        disk.sync(file)
    disk.sync_path(tmp_path / "a")
    disk.sync_directory(tmp_path)
    assert synced == [("a", 3), ("a", 3), (".", 0)]
    synced.clear()
    disk.make_directory(tmp_path / "b" / "c")
    assert synced == [("..", 0), (".", 0), ("b", 0)]


def test_the_ballast_is_durable(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    assert Room(tmp_path, 0, disk=disk).ballast(4096)
    assert [step.kind for step in disk.steps] == ["create", "sync", "rename", "sync_directory"]


class Locked(Disk):
    """A disk on which a log is changed, and files go, only while the locks are held that stand for that."""

    def __init__(self) -> None:
        self.lake: Lake | None = None
        self.seen: Counter[str] = Counter()

    def _look(self, path: Path, *names: str) -> None:
        lake = self.lake or Lake(next(p for p in path.parents if (p / "lock").exists()), self)
        for name in names:
            assert lake.holder(name) == os.getpid(), f"{path} is changed without {name}"
            self.seen[name] += 1

    def link(self, source: Path, target: Path) -> None:
        self._look(target, "lock")
        super().link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        if source.parent.name == "_delta_log" or target.parent.name == "trash":
            self._look(target, "lock")
        if target.name == "ages.json":
            self._look(target, "lock", "compaction.lock")
        super().rename(source, target)

    def sync_directory(self, path: Path) -> None:
        if path.name == "_delta_log":
            self._look(path, "lock")
        super().sync_directory(path)


@pytest.fixture
def locked(tmp_path: Path) -> Lake:
    """Return a lake on such a disk, with a batch of which the last log entry is torn."""
    disk = Locked()
    lake = disk.lake = Lake.create(tmp_path / "lake", disk=disk)
    assert disk.seen["lock"] > 0
    lake.spool().write(run_lines(), META)
    Transformer(lake).run()
    newest = max(lake.tables["generations"].log.glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:50])
    lake.spool().write(run_lines(), META)
    disk.seen.clear()
    return lake


class _Idle(threading.Event):
    """Ends a follower once nothing is left to do, or after many steps; a step takes ten seconds of its clock."""

    def __init__(self, lake: Lake) -> None:
        super().__init__()
        self.lake, self.now = lake, 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += 10.0
        spool = self.lake.spool()
        if self.now > 1000 or not (spool.pending() or spool.retired()):
            self.set()
        return self.is_set()


def _follow(lake: Lake) -> None:
    room, stop = Room(lake.path, 0), _Idle(lake)
    assert room.ballast(4096)
    Follower(Transformer(lake, grace=1.0), room, gather=0.0, stop=stop, clock=lambda: stop.now).run()
    assert stop.now < 1000


@pytest.mark.parametrize(
    "act",
    [Lake.repair, lambda lake: Transformer(lake).run(), compact, _follow],
    ids=["repair", "transform", "compact", "follow"],
)
def test_a_lake_is_changed_under_its_lock(act: Callable[[Lake], object], locked: Lake) -> None:
    act(locked)
    assert locked.disk.seen["lock"] > 0  # type: ignore[attr-defined]


def test_a_clean_up_holds_both_locks(tmp_path: Path) -> None:
    disk = Locked()
    disk.lake = lake = Lake.create(tmp_path / "lake", disk=disk)
    compact_if_due(lake)
    lake.spool().write(run_lines(), META)
    compact(lake)
    assert disk.seen["compaction.lock"] == 2


def test_an_entry_of_the_log_is_never_replaced(tmp_path: Path) -> None:
    class Overtaken(Disk):
        taken: Path | None = None

        def create(self, path: Path) -> BinaryIO:
            if self.taken is not None and path.name.endswith(".json.tmp"):
                self.taken.write_bytes(b"another's")
            return super().create(path)

    disk = Overtaken()
    lake = Lake.create(tmp_path / "lake", disk=disk)
    table = lake.tables["runs"]
    disk.taken = table.log / f"{1:020d}.json"
    with pytest.raises(FileExistsError):
        table.commit("WRITE", batch=1)
    assert disk.taken.read_bytes() == b"another's"


def test_a_file_that_left_the_table_stops_its_compaction(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    for generation in range(2):
        lake.spool().write([line(generation=generation)], META)
        Transformer(lake).run()

    def meddle(name: str, *_: int) -> None:
        table = lake.tables[name]
        table.commit("DELETE", remove=table.files()[:1])

    with pytest.raises(LakeDamaged, match="left the table"):
        compact(lake, progress=meddle)


def test_secrets_are_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path / "tokens")
    _, secret = tokens.create("ada")
    compared: list[tuple[int, int]] = []
    true = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append((len(one), len(other)))
        return true(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    asyncio.run(tokens.identify(secret))
    for wrong in (secret[:-1] + ("0" if secret[-1] != "0" else "1"), f"gpdata_{'0' * 12}_{'0' * 64}", "nonsense"):
        with pytest.raises(Denied):
            asyncio.run(tokens.identify(wrong))
    assert compared == [(64, 64)] * 4


def test_tls_1_2_is_the_least(tmp_path: Path) -> None:
    assert tls_context(*make_certificate(tmp_path)).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_files_stay_in_the_order_of_their_commits_where_the_clock_goes_back(tmp_path: Path) -> None:
    times = iter([3, 2, 1])
    spool = Spool(tmp_path, clock=lambda: next(times))
    written = [spool.write([b"%d" % number], META).id for number in range(3)]
    assert [file.id for file in spool.pending()] == written


def test_other_bytes_in_the_quarantine_are_told(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    entry = quarantine.add(b"raw", code="torn", detail="")
    assert quarantine.check(entry) is None
    (tmp_path / f"{entry.id}.raw.zst").write_bytes(zstd.compress(b"war"))
    assert "SHA-256" in (quarantine.check(entry) or "")


def test_a_plain_connection_from_elsewhere_is_not_served(tmp_path: Path) -> None:
    async def connect() -> tuple[int, int]:
        server = PlainServer(Spool(tmp_path), Quarantine(tmp_path / "quarantine"), source="plain", networks=())
        await server.start("127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.addresses[0])
        while not server.counts.rejected and not server.counts.connections:
            await asyncio.sleep(0.01)
        writer.close()
        await server.stop(0.0)
        return server.counts.rejected, server.counts.connections

    assert asyncio.run(asyncio.wait_for(connect(), 20)) == (1, 0)


def test_a_half_committed_batch_whose_file_was_compacted_is_not_committed_again(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    lake = Lake.create(tmp_path / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    stop_behind(disk, "link", "individuals/_delta_log", Transformer(lake).run)
    lake = Lake.open(lake.path)
    compact(lake, everything=False)
    Transformer(lake).run()
    found = contents(lake)
    assert (len(found.rows), found.wrong) == (5, [])


def test_a_transformer_sees_what_another_one_stored(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    one, other = Transformer(lake), Transformer(Lake.open(lake.path))
    for transformer, generation, duplicates in ((one, 0, 0), (other, 1, 0), (one, 1, 1)):
        lake.spool().write([line(generation=generation)], META)
        assert transformer.run().duplicates == duplicates
