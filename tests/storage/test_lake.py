"""A lake and its spool in a store: the same rows as on a disk, for every reader, whoever else writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

import gpdata
from gpdata.errors import InvalidInput, LakeBusy
from gpdata.importers import import_paths
from gpdata.ingest.options import Options
from gpdata.ingest.service import Service
from gpdata.lake import Lake, Transformer
from gpdata.lake.backup import back_up, restore
from gpdata.lake.batch import Batch
from gpdata.lake.compaction import compact
from gpdata.lake.objects import ObjectTable
from gpdata.lake.verify import verify
from gpdata.spool import Meta, Spool
from gpdata.storage import ObjectPath
from gpdata.storage.lease import Lease, LeaseLost, holder
from tests import s3
from tests.support import RUN, contents, line, run_lines, write_stream

pytestmark = pytest.mark.xdist_group("s3")
OTHER = "00000000-0000-4000-8000-000000000002"


def _fill(lake: Lake) -> None:
    """Record two runs in three batches, one line twice, and one that is none."""
    spool = lake.spool()
    for lines in (run_lines(), [b"no line", line(OTHER, 0)], [line(OTHER, 0), line(OTHER, 1, outcome="failure")]):
        spool.write(lines, Meta("import"))
        Transformer(lake).run()


def _one_by_default(first: str, *others: str) -> list[object]:
    """Return parameters of which `make test` tries the first only."""
    return [first, *(pytest.param(other, marks=pytest.mark.faults) for other in others)]


def _assert_whole(lake: Lake) -> None:
    assert [found for found in verify(lake) if found.kind == "error"] == []


@pytest.fixture
def beside(tmp_path: Path) -> Lake:
    """Return a lake on this disk with what `_fill` records."""
    lake = Lake.create(tmp_path / "beside")
    _fill(lake)
    return lake


def test_every_engine_reads_what_a_disk_would_hold(place: ObjectPath, beside: Lake) -> None:
    lake = Lake.create(place)
    _fill(lake)
    assert contents(place) == contents(beside.path)  # type: ignore[arg-type]
    assert [entry.id for entry in lake.quarantine.entries()] == [entry.id for entry in beside.quarantine.entries()]
    _assert_whole(lake)
    on_polars = gpdata.open(str(place), engine="polars")
    assert on_polars.individuals.select(pl.len()).collect().item() == 5 * 4 + 2 * 4
    assert (
        on_polars.genes.collect().height
        == gpdata.open(beside.path).sql("FROM genes").aggregate("count(*)").fetchall()[0][0]
    )
    chosen = gpdata.open(str(place), runs=OTHER)
    assert chosen.individuals.aggregate("count(*)").fetchall() == [(8,)]
    assert all(file.startswith(f"{place}/individuals/") for file in chosen.files("individuals"))


def test_duckdb_pushes_columns_and_filters_into_the_store_s_files(place: ObjectPath) -> None:
    _fill(Lake.create(place))
    plan = (
        gpdata.open(place).sql("EXPLAIN SELECT sum(total_error) FROM individuals WHERE generation = 2").fetchall()[0][1]
    )
    scan = plan[plan.index("Scan") :]
    assert "generation" in scan
    assert "Filters" in scan
    assert "program" not in scan


def test_compaction_keeps_every_version(place: ObjectPath) -> None:
    lake = Lake.create(place)
    _fill(lake)
    before = [contents(place, version=n) for n in (1, 2, 3)]  # type: ignore[arg-type]
    opened = gpdata.open(place)
    done = compact(lake, keep=3600)
    assert [table.files_after for table in done] == [1, 1, 1]
    assert [contents(place, version=n) for n in (1, 2, 3)] == before  # type: ignore[arg-type]
    assert opened.sql("SELECT count(*) FROM individuals").fetchall() == [(28,)]  # replaced files stay for a while
    compact(lake, keep=0)
    assert len(list(lake.tables["individuals"].path.glob("*.parquet"))) == 1
    assert [contents(place, version=n) for n in (1, 2, 3)] == before  # type: ignore[arg-type]
    _assert_whole(lake)


def test_a_recorder_and_an_import_write_into_a_store(place: ObjectPath, tmp_path: Path) -> None:
    with gpdata.Recorder(str(place), system="mine", problem="odd") as run:
        run.generation([{"total_error": 1.0}, {"total_error": 0.0}], outcome="success")
    account = import_paths([write_stream(tmp_path / "a.jsonl", run_lines())], Lake.create(place))
    assert account.accepted == 5
    assert gpdata.open(place).run_count == 2


@pytest.mark.faults
def test_the_command_line_takes_an_address(place: ObjectPath, server: s3.Server, tmp_path: Path) -> None:
    def gpdata_(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from gpdata.cli import main; main()", *words]
        environment = s3.inherited(server.environment)
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    stream = write_stream(tmp_path / "a.jsonl", run_lines())
    assert gpdata_("import", str(stream), "--lake", str(place)).returncode == 0
    for words in (["verify"], ["info"], ["compact"], ["transform"]):
        lake = ["--lake"] if words == ["transform"] else []
        done = gpdata_(*words, *lake, str(place))
        assert done.returncode == 0, done.stderr
    refused = gpdata_("backup", str(place), str(tmp_path / "backups"))
    assert refused.returncode != 0
    assert "needs a directory of this machine" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_backup_stays_on_a_disk(place: ObjectPath, tmp_path: Path) -> None:
    beside = Lake.create(tmp_path / "beside")
    for source, target in ((Lake.create(place), tmp_path / "backups"), (beside, Path(str(place)))):
        with pytest.raises(InvalidInput, match="needs a directory of this machine"):
            back_up(source, target)
    with pytest.raises(InvalidInput, match="needs a directory of this machine"):
        restore(tmp_path, Path(str(place)))


def test_a_spool_of_this_disk_feeds_a_lake_in_a_store(place: ObjectPath, tmp_path: Path) -> None:
    lake, spool = Lake.create(place), Spool(tmp_path / "spool")
    spool.write(run_lines(), Meta("import"))
    assert Transformer(lake, spool).run().accepted == 5
    assert spool.pending() == []


def test_no_credential_is_in_a_lake(place: ObjectPath, server: s3.Server) -> None:
    _fill(Lake.create(place))

    def below(folder: ObjectPath) -> Iterator[ObjectPath]:
        for found in folder.iterdir():
            yield from [found] if found.is_file() else below(found)

    objects = list(below(place))
    assert len(objects) > 10
    secret = server.environment["AWS_SECRET_ACCESS_KEY"].encode()
    assert not [found for found in objects if secret in found.read_bytes()]


@contextmanager
def _broken_off(monkeypatch: pytest.MonkeyPatch, table: str) -> Iterator[None]:
    """Let a process end before the commit of a table."""
    commit = ObjectTable.commit

    def stop(self: ObjectTable, *given: object, **named: object) -> None:
        if self.name == table:
            raise KeyboardInterrupt
        commit(self, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(ObjectTable, "commit", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("table", _one_by_default("individuals", "runs", "generations"))
def test_a_batch_that_was_broken_off_is_finished(
    place: ObjectPath, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    lake = Lake.create(place)
    lake.spool().write(run_lines(), Meta("import"))
    with _broken_off(monkeypatch, table):
        Transformer(lake).run()
    assert gpdata.open(place).version == 0, "a batch that is half committed is not seen"
    again = Lake.open(place)
    again.spool().write([line(OTHER, 0)], Meta("import"))
    Transformer(again).run()
    lab = gpdata.open(place)
    assert (lab.version, lab.run_count) == (2, 2)
    _assert_whole(again)


def _steal(lake: Lake) -> None:
    """Make the lock look as if its holder, another machine, were silent for long."""
    assert isinstance(lake.path, ObjectPath)
    lock = lake.path / "lock"
    content = lock.read_bytes().replace(b'"seconds":30.0', b'"seconds":0.0')
    lock.client.put(lock.key, content)


@pytest.mark.parametrize("table", _one_by_default("generations", "individuals", "runs"))
def test_a_writer_that_stood_still_cannot_commit(
    place: ObjectPath, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """One stands still before a commit; another takes over, finishes its batch and makes one more; the first wakes."""
    monkeypatch.setattr(Lease, "_renew", lambda self: None)
    monkeypatch.setattr(Lease, "check", lambda self: None)  # its clock stood still as well
    stale, fresh = Lake.create(place), Lake.open(place)
    stale.spool().write(run_lines(), Meta("import"))
    commit, meanwhile = ObjectTable.commit, []

    def stand_still(self: ObjectTable, *given: object, **named: object) -> None:
        if self is stale.tables[table] and not meanwhile:
            meanwhile.append(True)
            _steal(stale)
            fresh.spool().write([line(OTHER, 0)], Meta("import"))
            Transformer(fresh).run(wait=60)
            compact(fresh, keep=0)
        commit(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectTable, "commit", stand_still)
    with pytest.raises(LeaseLost, match="taken the lake's lock over"):
        Transformer(stale).run()
    assert meanwhile
    lab = gpdata.open(place)
    assert (lab.version, lab.run_count, lab.individuals.aggregate("count(*)").fetchall()) == (2, 2, [(24,)])
    _assert_whole(Lake.open(place))
    Transformer(stale).run(wait=60)
    assert gpdata.open(place).version == 2
    _assert_whole(Lake.open(place))


def test_who_knows_that_the_lock_is_lost_begins_nothing(place: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(place)
    lake.spool().write(run_lines(), Meta("import"))
    make = Batch.make

    def lose(self: Batch, *given: object, **named: object) -> None:
        for table in lake.tables.values():
            assert isinstance(table, ObjectTable)
            assert table.lease is not None
            table.lease._until = 0.0
        make(self, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "make", lose)
        with pytest.raises(LakeBusy, match="not renewed"):
            Transformer(lake).run()
    assert lake.tables["individuals"].committed_batch() == 0
    monkeypatch.setattr("gpdata.storage.lease._is_gone", lambda record: True)
    assert Transformer(lake).run().accepted == 5


def test_two_writers_wait_for_each_other(place: ObjectPath) -> None:
    lake, other = Lake.create(place), Lake.open(place)
    with lake.lock():
        assert other.holder() is not None
        with pytest.raises(LakeBusy, match="is being written by process"):
            Transformer(other).run(wait=0)
    assert other.holder() is None
    Transformer(other).run(wait=0)


def test_a_service_does_not_keep_its_tokens_in_a_store(place: ObjectPath, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--tokens"):
        Service(Options(lake=Path(str(place)), port=0))
    with Service(Options(lake=Path(str(place)), port=0, tokens=tmp_path / "tokens", transform=False)) as service:
        assert service.lake.path == place
        assert holder(place / "spool" / "ingest.lock") is not None


@pytest.mark.faults  # it waits as long as a holder may be silent
def test_two_services_of_one_spool_in_a_store_are_refused(place: ObjectPath, tmp_path: Path) -> None:
    options = Options(lake=Path(str(place)), port=0, tokens=tmp_path / "tokens", transform=False)
    with Service(options), pytest.raises(LakeBusy, match="process"):
        Service(options)


def test_a_lake_of_another_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="s3://"):
        gpdata.open("gs://lab/lake")


def test_a_line_that_is_stored_already_counts_as_such(place: ObjectPath) -> None:
    lake = Lake.create(place)
    for _ in range(2):
        lake.spool().write([line(RUN, 0)], Meta("import"))
    account = Transformer(lake).run()
    assert (account.accepted, account.duplicates) == (1, 1)
