"""What the walk over crash points found, and how it ends now: one test a defect, each as small as it gets."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.transform import Transformer
from gpdata.spool import Disk, Meta, Quarantine, Spool
from tests.faults.oracle import contents
from tests.faults.storage import Crash, Fault, JournalDisk
from tests.faults.survival import NOTHING, Model, Tree, materialise
from tests.support import run_lines

META = Meta("recorder")


def after_power_loss(disk: JournalDisk) -> Tree:
    """Return what is left where nothing that was not synced survives."""
    model = Model()
    for step in disk.steps:
        model.play(step)
    return model.survive(NOTHING)


def stop_behind(disk: JournalDisk, kind: str, at: str, act: Callable[[], object]) -> None:
    """Kill the process behind its first call of that kind to a path that contains `at`."""

    def watch(step: object) -> None:
        if step.kind == kind and at in f"{step.path} {step.other}":  # type: ignore[attr-defined]
            disk.dead = True
            raise Crash

    disk.watch = watch
    with pytest.raises(Crash):
        act()
    disk.watch, disk.dead = None, False


@pytest.mark.parametrize("torn", [b"", b'{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}\n', b'{"metaD'])
def test_a_lake_whose_creation_left_a_torn_log_is_created_again(torn: bytes, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    (lake.path / "gpdata.json").unlink()
    (lake.tables["generations"].log / f"{0:020d}.json").write_bytes(torn)
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), META)
    assert Transformer(lake).run().accepted == 5


def test_a_creation_that_was_killed_is_durable_once_it_is_finished(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path / "first")
    disk.root.mkdir()
    stop_behind(disk, "foreign", "generations/_delta_log", lambda: Lake.create(disk.root / "lake", disk=disk))
    Lake.create(disk.root / "lake", disk=disk)
    materialise(after_power_loss(disk), tmp_path / "second")
    assert Transformer(Lake.open(tmp_path / "second" / "lake")).run().lines == 0


def test_a_token_survives_whose_directory_was_made_by_one_that_failed(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path / "first")
    disk.root.mkdir()
    Lake.create(disk.root / "lake", disk=disk)
    tokens = Tokens(disk.root / "lake" / "tokens", disk=disk)
    stop_behind(disk, "make_directory", "tokens", lambda: tokens.create("ada"))
    token, _ = tokens.create("ada")
    materialise(after_power_loss(disk), tmp_path / "second")
    assert Tokens(tmp_path / "second" / "lake" / "tokens").list() == [token]


def test_an_entry_of_the_quarantine_never_comes_before_its_bytes(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    Quarantine(tmp_path / "quarantine", disk=disk).add(b"raw", code="torn", detail="")
    model, seen = Model(), 0
    for step in disk.steps:
        model.play(step)
        for seed in range(3, 40):
            names = model.survive(seed).get("quarantine", {})
            if any(name.endswith(".json") for name in names):
                assert any(name.endswith(".raw.zst") for name in names), f"{step}, {seed}"
                seen += 1
    assert seen


def test_an_entry_that_lost_its_bytes_gets_them_again(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    entry = quarantine.add(b"raw", code="torn", detail="")
    (tmp_path / f"{entry.id}.raw.zst").unlink()
    assert quarantine.raw(quarantine.add(b"raw", code="torn", detail="")) == b"raw"


def test_an_entry_that_is_there_is_durable_when_it_is_added_again(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    quarantine = Quarantine(tmp_path / "quarantine", disk=disk)
    add = lambda: quarantine.add(b"raw", code="torn", detail="")  # noqa: E731
    stop_behind(disk, "rename", ".json", add)
    add()
    assert {name.split(".", 1)[1] for name in after_power_loss(disk)["quarantine"]} >= {"json", "raw.zst"}


def test_a_file_with_both_names_of_a_rename_loses_the_old_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    file = spool.write([b"line"], META)
    os.link(file.path, tmp_path / "done" / file.path.name)
    spool.retire([file.id])
    assert (spool.pending(), len(spool.retired())) == ([], 1)


@pytest.mark.parametrize("table", ["individuals", "runs", "generations"])
def test_a_commit_that_was_killed_before_its_sync_is_durable_before_its_spool_files_go(
    table: str, tmp_path: Path
) -> None:
    disk = JournalDisk(tmp_path / "first")
    disk.root.mkdir()
    lake = Lake.create(disk.root / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    stop_behind(disk, "link", f"{table}/_delta_log", Transformer(lake).run)
    Transformer(lake).run()
    materialise(after_power_loss(disk), tmp_path / "second")
    left = Lake.open(tmp_path / "second" / "lake")
    Transformer(left).run()
    found = contents(left)
    assert (len(found.rows), found.wrong) == (5, [])


@pytest.mark.parametrize("how", ["the sync of the directory fails", "the process is killed before it"])
def test_a_line_that_is_called_a_duplicate_is_durable(how: str, tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    lake = Lake.create(tmp_path / "lake", disk=disk)
    spool = lake.spool()
    if how.startswith("the process"):
        stop_behind(disk, "rename", "spool/new", lambda: spool.write(run_lines(), META))
    else:
        writer = spool.writer(META)
        writer.add(run_lines()[0])
        steps = {"sync": 0, "rename": 1, "sync_directory": 2}
        disk.set_fault(Fault(1 + steps["sync_directory"], errno.EIO))  # behind the write of the trailer
        with pytest.raises(OSError, match="Input/output"):
            writer.commit()
        disk.set_fault(None)
    ledger = LakeLedger(lake, spool)
    ledger.refresh()
    assert ledger.sha256("00000000-0000-4000-8000-000000000001", 0) is not None
    assert len(after_power_loss(disk)["lake/spool/new"]) == 1


def test_a_checkpoint_whose_sync_failed_does_not_stay(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path)
    lake = Lake.create(tmp_path / "lake", disk=disk)
    lake.spool().write(run_lines(), META)
    Transformer(lake).run()
    table = lake.tables["generations"]
    disk.set_fault(Fault(0, errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        table.checkpoint()
    disk.set_fault(None)
    assert not list(table.log.glob("*checkpoint*"))
    assert sum(file.rows for file in table.files()) == 5


def test_a_name_is_renamed_to_itself_only_where_it_is_the_same_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    Disk().rename(one, other)
    assert (other.read_bytes(), one.exists()) == (b"1", False)
