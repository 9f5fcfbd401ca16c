"""Torn, zeroed, overwritten and bit-flipped bytes, in spool files and at the end of the Delta logs.

What a spool file's good frames hold becomes rows, exactly; the damaged bytes are in the quarantine. A damaged newest
log entry or checkpoint, and a batch that comes a second time, change no row. The commands are run as a person or
systemd runs them. `make test-faults`: CASES of each; SEED brings back a failure.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpdata.errors import LakeDamaged
from gpdata.lake import Lake
from gpdata.lake.delta import _is_entry
from gpdata.lake.transform import Transformer
from gpdata.lake.verify import verify
from gpdata.spool import Damage, Meta
from tests.faults.machine import Nursery, running, scratch
from tests.faults.oracle import Contents, contents
from tests.faults.scenario import row
from tests.faults.stages import QUARANTINED
from tests.support import until

CASES = int(os.environ.get("CASES", "150"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))
_LINES = 6
_BATCHES = 5
Damaging = Callable[[bytearray, random.Random], None]


def torn(data: bytearray, chance: random.Random) -> None:
    """Cut the end off."""
    del data[chance.randrange(len(data)) :]


def zeroed(data: bytearray, chance: random.Random) -> None:
    """Make a stretch zero, as a block that was never written."""
    begin = chance.randrange(len(data))
    end = min(len(data), begin + chance.choice([1, 16, 512, 4096]))
    data[begin:end] = bytes(end - begin)


def flipped(data: bytearray, chance: random.Random) -> None:
    """Flip some bits."""
    for _ in range(chance.choice([1, 1, 3])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def overwritten(data: bytearray, chance: random.Random) -> None:
    """Put other bytes into a stretch."""
    begin = chance.randrange(len(data))
    data[begin : begin + 64] = chance.randbytes(min(64, len(data) - begin))


def emptied(data: bytearray, chance: random.Random) -> None:
    """Leave nothing."""
    data.clear()


SPOOL_DAMAGE: tuple[Damaging, ...] = (torn, zeroed, flipped, overwritten, emptied)
LOG_DAMAGE: tuple[Damaging, ...] = (torn, emptied)
"""What a crash makes of a log entry that was not synced; `zeroed` is all of it."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.mark.parametrize("damage", SPOOL_DAMAGE)
def test_a_damaged_spool_file_costs_only_the_lines_that_are_damaged(damage: Damaging, nursery: Nursery) -> None:
    damaged_spools(damage, 1, nursery)


@pytest.mark.faults
@pytest.mark.parametrize("damage", SPOOL_DAMAGE)
def test_many_damaged_spool_files(damage: Damaging, nursery: Nursery) -> None:
    damaged_spools(damage, CASES, nursery)


def damaged_spools(damage: Damaging, cases: int, nursery: Nursery) -> None:
    """Damage one of three files; what is readable of it becomes rows, what is not is in the quarantine."""
    chance = random.Random(f"{SEED} {damage.__name__}")
    with scratch() as directory:
        template = directory / "template"
        spool = Lake.create(template).spool()
        sent = [[row(file, generation) for generation in range(_LINES)] for file in range(3)]
        files = [spool.write([line.raw for line in lines], Meta("upload", "ada")) for lines in sent]
        where = directory / "lake"
        for case in range(cases):
            shutil.rmtree(where, ignore_errors=True)
            shutil.copytree(template, where)
            lake = Lake.open(where)
            path = where / "spool" / "new" / files[1].path.name
            data = bytearray(path.read_bytes())
            damage(data, chance)
            path.write_bytes(data)
            broken = list(lake.spool().read(lake.spool().pending()[1]))
            _run(nursery, where, directory)
            good = {line.raw for line in sent[1]} & {part for part in broken if isinstance(part, bytes)}
            expected = {line.sha256 for line in [*sent[0], *sent[2]]} | {
                line.sha256 for line in sent[1] if line.raw in good
            }
            context = f"{damage.__name__}, case {case}, SEED={SEED}"
            found = contents(lake)
            assert found.wrong == [], context
            assert {line.sha256 for line in found.rows} == expected, context
            assert len(found.rows) == len(expected), context
            aside = [lake.quarantine.raw(entry) for entry in lake.quarantine.entries()]
            stretches = [part.raw for part in broken if isinstance(part, Damage)]
            assert sorted(stretches) == sorted(aside), context
            # Nothing vanishes: each byte of the file is in a good frame, in a note, or in the quarantine.
            if damage is flipped:
                assert len(good) >= _LINES - 3, context
            assert not lake.spool().pending(), context


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of several batches, each of which committed an entry, and a checkpoint; its last file kept."""
    path = tmp_path_factory.mktemp("torn") / "lake"
    lake = Lake.create(path)
    for batch in range(_BATCHES):
        lake.spool().write([row(batch, generation).raw for generation in range(3)], Meta("upload", "ada"))
        if batch == _BATCHES - 1:
            shutil.copytree(path, path.with_name("before"))
        Transformer(lake).run()
    return path


def _run(nursery: Nursery, lake: Path, directory: Path) -> None:
    log = directory / "log"
    status = nursery.run(None, "transform", "--lake", lake, log=log)
    assert status in (0, QUARANTINED), log.read_text()


@pytest.mark.parametrize("damage", LOG_DAMAGE)
@pytest.mark.parametrize("table", ["individuals", "runs", "generations"])
def test_an_empty_or_half_newest_entry_is_set_aside_and_the_batch_made_again(
    template: Path, table: str, damage: Damaging, tmp_path: Path, nursery: Nursery
) -> None:
    """Of a crash between a commit's link and its sync: the manifest and the spool file are still there."""
    expected = contents(Lake.open(template))
    where = _crashed(template, tmp_path, upto=table)
    entry = _newest(where / table)
    data = bytearray(entry.read_bytes())
    damage(data, random.Random(SEED))
    entry.write_bytes(data)
    whole = _is_entry(entry)  # its last line lost no more than its end
    _run(nursery, where, tmp_path)
    _same(where, expected)
    assert whole or list((where / table / "_delta_log").glob("set-aside-*"))


@pytest.mark.parametrize("table", ["individuals", "runs", "generations"])
def test_an_entry_that_is_cut_where_a_line_ends_is_set_aside(
    template: Path, table: str, tmp_path: Path, nursery: Nursery
) -> None:
    expected = contents(Lake.open(template))
    where = _crashed(template, tmp_path / "whole", upto=table)
    lines = _newest(where / table).read_bytes().splitlines(keepends=True)
    assert len(lines) > 1
    for number in range(1, len(lines)):
        folder = tmp_path / str(number)
        shutil.copytree(where, folder / "lake")
        _newest(folder / "lake" / table).write_bytes(b"".join(lines[:number]))
        _run(nursery, folder / "lake", folder)
        _same(folder / "lake", expected)
        assert list((folder / "lake" / table / "_delta_log").glob("set-aside-*"))


@pytest.mark.parametrize("damage", LOG_DAMAGE)
def test_a_service_starts_behind_a_torn_entry(template: Path, damage: Damaging, tmp_path: Path) -> None:
    where = _crashed(template, tmp_path, upto="generations")
    entry = _newest(where / "generations")
    data = bytearray(entry.read_bytes())
    damage(data, random.Random(SEED))
    entry.write_bytes(data)
    log = tmp_path / "log"
    with running(None, log, "ingest", "--lake", where, "--port", 0, "--keep-free", 0, "--grace", 0) as service:
        pending = where / "spool" / "new"
        until(lambda: not service.alive or not any(pending.iterdir()), what="the end of what waits")
        assert service.stop() == 0, log.read_text()
    _same(where, contents(Lake.open(template)))


@pytest.mark.parametrize("damage", [torn, emptied, zeroed])
def test_a_damaged_checkpoint_is_set_aside(template: Path, damage: Damaging, tmp_path: Path, nursery: Nursery) -> None:
    where = tmp_path / "lake"
    shutil.copytree(template, where)
    lake = Lake.open(where)
    for table in lake.tables.values():
        table.checkpoint()
    expected = contents(lake)
    for table in lake.tables.values():
        (path,) = table.log.glob("*.checkpoint.parquet")
        data = bytearray(path.read_bytes())
        if damage is zeroed:
            data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        else:
            damage(data, random.Random(SEED))
        path.write_bytes(data)
    lake.spool().write([row(9, 0).raw], Meta("upload", "ada"))
    _run(nursery, where, tmp_path)
    found = contents(Lake.open(where))
    assert found.wrong == []
    assert found.until(expected.version) == expected.until(expected.version)
    assert len(found.rows) == len(expected.rows) + 1


def test_a_torn_pointer_to_the_checkpoint_changes_nothing(template: Path, tmp_path: Path, nursery: Nursery) -> None:
    where = tmp_path / "lake"
    shutil.copytree(template, where)
    lake = Lake.open(where)
    for table in lake.tables.values():
        table.checkpoint()
        pointer = table.log / "_last_checkpoint"
        pointer.write_bytes(pointer.read_bytes()[:5])
    expected = contents(Lake.open(template))
    _run(nursery, where, tmp_path)
    _same(where, expected)


@pytest.mark.parametrize("upto", ["", "individuals", "runs", "generations"])
def test_a_batch_that_is_made_twice_is_there_once(template: Path, upto: str, tmp_path: Path, nursery: Nursery) -> None:
    """Of a crash behind a table's commit: the manifest is there, and so is the spool file."""
    where = _crashed(template, tmp_path, upto=upto)
    _run(nursery, where, tmp_path)
    _same(where, contents(Lake.open(template)))


def test_the_spool_file_of_a_batch_that_comes_back_is_a_duplicate(
    template: Path, tmp_path: Path, nursery: Nursery
) -> None:
    """Of a restored backup, or a collection that was not durable: the lines come again under another batch."""
    where = tmp_path / "lake"
    shutil.copytree(template, where)
    before = template.with_name("before") / "spool" / "new"
    for path in before.iterdir():
        shutil.copy(path, where / "spool" / "new" / path.name)
    _run(nursery, where, tmp_path)
    _same(where, contents(Lake.open(template)))


@pytest.mark.parametrize("seed", range(5))
def test_a_newest_entry_with_flipped_bits_is_never_read_as_another_lake(
    template: Path, seed: int, tmp_path: Path
) -> None:
    """Nothing that a crash does: synced bytes that rot. A row may be unreadable then, never wrong, and it is told."""
    chance = random.Random(f"{SEED} {seed}")
    where = tmp_path / "lake"
    shutil.copytree(template, where)
    expected = contents(Lake.open(template))
    entry = _newest(where / "generations")
    data = bytearray(entry.read_bytes())
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    entry.write_bytes(data)
    lake = Lake.open(where)
    problems = [finding for finding in verify(lake) if finding.kind == "error"]
    try:
        found = contents(lake)
    except (LakeDamaged, OSError, TypeError, ValueError, KeyError):
        assert problems, f"byte {at}, SEED={SEED}: the lake cannot be read, and verify says nothing"
        return
    if {r.key for r in found.rows} != {r.key for r in expected.rows}:
        assert problems, f"byte {at}, SEED={SEED}: rows are gone, and verify says nothing"
    assert {(r.key, r.content) for r in found.rows} <= {(r.key, r.content) for r in expected.rows}


def _crashed(template: Path, directory: Path, *, upto: str) -> Path:
    """Return a lake whose last batch is committed up to a table, with its manifest and its spool file."""
    where = directory / "lake"
    shutil.copytree(template.with_name("before"), where)
    order = ["", "individuals", "runs", "generations"]
    for table in order[1 : order.index(upto) + 1]:
        shutil.rmtree(where / table)
        shutil.copytree(template / table, where / table)
    lake = Lake.open(where)
    manifest = b'{"batch":%d,"spool":"spool","files":["%s"]}' % (
        _BATCHES,
        lake.spool().pending()[0].id.encode(),
    )
    (where / "manifests" / f"{_BATCHES:012d}.json").write_bytes(manifest)
    return where


def _newest(table: Path) -> Path:
    return max((table / "_delta_log").glob("[0-9]*.json"))


def _same(where: Path, expected: Contents) -> None:
    lake = Lake.open(where)
    found = contents(lake)
    assert found.wrong == []
    assert {(r.key, r.content) for r in found.rows} == {(r.key, r.content) for r in expected.rows}
    assert len(found.rows) == len(expected.rows)
    assert [finding for finding in verify(lake) if finding.kind == "error"] == []
    assert not lake.spool().pending()
