"""What a call has done when it returns survives the loss of everything that was not synced: one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gpdata.lake import Lake
from gpdata.lake.cleaning import clean
from gpdata.lake.collect import Collector
from gpdata.lake.compaction import compact
from gpdata.lake.transform import Manifest, Transformer
from gpdata.spool import Meta, Quarantine, Spool
from tests.faults.oracle import contents
from tests.faults.storage import JournalDisk
from tests.faults.survival import NOTHING, ORDERED, Model, materialise
from tests.faults.test_mended import stop_behind
from tests.support import run_lines

META = Meta("recorder")
TABLES = ("individuals", "runs", "generations")


@pytest.fixture
def disk(tmp_path: Path) -> JournalDisk:
    """Return a disk that keeps a journal."""
    (tmp_path / "before").mkdir()
    return JournalDisk(tmp_path / "before")


@pytest.fixture(params=[NOTHING, ORDERED], ids=["nothing", "names"])
def lose(disk: JournalDisk, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Path]:
    """Return what cuts the power: nothing that was not synced is left in the directory it returns, or names only."""

    def cut() -> Path:
        model = Model()
        for step in disk.steps:
            model.play(step)
        materialise(model.survive(request.param), tmp_path / "after")
        return tmp_path / "after"

    return cut


def with_batch(disk: JournalDisk) -> Lake:
    """Return a lake with a batch."""
    lake = Lake.create(disk.root / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    assert Transformer(lake).run().accepted == 5
    return lake


def test_a_written_file(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    disk.write(disk.root / "file", b"content", disk.root)
    assert (lose() / "file").read_bytes() == b"content"


def test_a_spool_file(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    Spool(disk.root / "spool", disk=disk).write(run_lines(), META)
    spool = Spool(lose() / "spool")
    (file,) = spool.pending()
    assert list(spool.read(file)) == run_lines()


def test_an_entry_of_the_quarantine(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    Quarantine(disk.root / "quarantine", disk=disk).add(b"raw", code="torn", detail="")
    quarantine = Quarantine(lose() / "quarantine")
    (entry,) = quarantine.entries()
    assert quarantine.raw(entry) == b"raw"


def test_an_entry_that_is_dropped_goes_before_its_bytes(disk: JournalDisk) -> None:
    quarantine = Quarantine(disk.root / "quarantine", disk=disk)
    quarantine.drop(quarantine.add(b"raw", code="torn", detail=""))
    model = Model()
    for step in disk.steps:
        model.play(step)
        for seed in range(3, 30):
            names = {name.partition(".")[2] for name in model.survive(seed).get("quarantine", ())}
            assert "json" not in names or "raw.zst" in names


def test_a_new_lake(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    Lake.create(disk.root / "lake", disk=disk)
    lake = Lake.open(lose() / "lake")
    assert Transformer(lake).run().lines == 0


def test_a_batch(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    with_batch(disk)
    lake = Lake.open(lose() / "lake")
    Transformer(lake).run()
    found = contents(lake)
    assert (len(found.rows), found.wrong) == (5, [])


@pytest.mark.parametrize("table", TABLES)
def test_a_commit(table: str, disk: JournalDisk, lose: Callable[[], Path]) -> None:
    with_batch(disk)
    entry = Path("lake") / table / "_delta_log" / f"{1:020d}.json"
    before = (disk.root / entry).read_bytes()
    assert (lose() / entry).read_bytes() == before


def test_a_checkpoint(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    table = with_batch(disk).tables["runs"]
    table.checkpoint()
    before = {path.name: path.read_bytes() for path in table.log.glob("*checkpoint*")}
    assert len(before) == 2
    log = lose() / "lake" / "runs" / "_delta_log"
    assert {path.name: path.read_bytes() for path in log.glob("*checkpoint*")} == before


def test_a_torn_entry_that_was_set_aside(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    lake = with_batch(disk)
    log = lake.tables["runs"].log
    (torn,) = log.glob(f"*{1:020d}.json")
    torn.write_bytes(torn.read_bytes()[:20])
    disk.sync_directory(log)
    disk.sync_path(torn)
    lake.repair()
    assert [path.name for path in (lose() / "lake" / "runs" / "_delta_log").glob("[0-9]*.json")] == [f"{0:020d}.json"]


def test_the_manifest_comes_before_the_first_change(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    lake = Lake.create(disk.root / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    stop_behind(disk, "create", "batch-", Transformer(lake).run)
    assert list((lose() / "lake" / "manifests").glob("*.json"))


def test_lines_that_kill_stand_in_the_manifest_before_the_first_change(
    disk: JournalDisk, lose: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpdata.lake.transform.heavy_lines", lambda *_, **__: frozenset({1}))
    lake = Lake.create(disk.root / "lake", disk=disk)
    file = lake.spool().write(run_lines(), META)
    for _ in range(3):
        stop_behind(disk, "create", "batch-", Transformer(lake).run)
    (manifest,) = (lose() / "lake" / "manifests").glob("*.json")
    assert msgspec.json.decode(manifest.read_bytes(), type=Manifest).heavy == {file.id: (1,)}


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("table", TABLES)
def test_a_batch_that_is_made_again_gives_the_same_account(table: str, compacted: bool, tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    lake = Lake.create(tmp_path / "lake", disk=disk)
    lake.spool().write(run_lines("an earlier run"), META)
    Transformer(lake).run()
    lake.spool().write([*run_lines(), run_lines()[0]], META)
    stop_behind(disk, "link", f"{table}/_delta_log", Transformer(lake).run)
    if compacted:
        compact(lake, everything=False)
    account = Transformer(lake).run()
    assert (account.accepted, account.duplicates, account.runs) == (5, 1, 1)


def test_a_generation_that_is_read_has_its_individuals_and_its_run(disk: JournalDisk) -> None:
    lake = Lake.create(disk.root / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    wrong: list[str] = []

    def watch(step: object) -> None:
        if step.kind == "link":  # type: ignore[attr-defined]
            found = contents(lake)
            wrong.extend(found.wrong if found.rows else ())

    disk.watch = watch
    Transformer(lake).run()
    assert wrong == []


def test_a_retired_file(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    lake = Lake.create(disk.root / "lake", disk=disk)
    file = lake.spool().write(run_lines(), META)
    Transformer(lake, grace=60.0).run()
    spool = Spool(lose() / "lake" / "spool")
    assert [found.id for found in spool.retired()] == [file.id]  # it is kept for its grace period
    assert spool.pending() == []  # or its receipt would call every line a duplicate


def test_a_file_that_goes_back_because_the_lake_lacks_it(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    lake = Lake.create(disk.root / "lake", disk=disk)
    spool = lake.spool()
    file = spool.write(run_lines(), META)
    spool.retire([file.id])
    assert Collector(lake, spool, 0.0).collect_expired() == 0
    spool = Spool(lose() / "lake" / "spool")
    assert ([found.id for found in spool.pending()], spool.retired()) == ([file.id], [])


def test_what_a_killed_compaction_replaced_goes_behind_its_commit(disk: JournalDisk, lose: Callable[[], Path]) -> None:
    lake = with_batch(disk)
    stop_behind(disk, "link", "individuals/_delta_log", lambda: compact(lake, everything=False))
    lake = Lake.open(lake.path, disk=disk)
    assert clean(lake, 0.0)
    found = contents(Lake.open(lose() / "lake"))
    assert (len(found.rows), found.wrong) == (5, [])
