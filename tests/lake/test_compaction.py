"""Compaction beside writers and readers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpdata
from gpdata.errors import LakeBusy, LakeDamaged
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import Sizes, choose, compact
from gpdata.lake.delta import DataFile
from gpdata.lake.maintain import Maintenance, compact_if_due, due
from gpdata.lake.parquet import TableWriter
from gpdata.lake.verify import verify
from gpdata.spool import Meta
from tests.support import contents, line

WHOLE = """
SELECT count(*) FROM generations g LEFT JOIN
    (SELECT run_uuid, generation, count(*) AS n FROM individuals GROUP BY ALL) i USING (run_uuid, generation)
WHERE i.n IS DISTINCT FROM g.population_size
"""


def run_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def batch(lake: Lake, *keys: tuple[int, int], size: int = 4) -> None:
    lake.spool().write([line(run_of(run), generation, size) for run, generation in keys], Meta("upload"))
    Transformer(lake).run()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def test_batches_and_readers_go_on_during_compactions(lake: Lake) -> None:
    """Every read is whole and never goes back, no writer waits for the rewriting, and no row is lost."""
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        version = 0
        while not done.is_set():
            lab = gpdata.open(lake.path)
            ((broken,),) = lab.sql(WHOLE).fetchall()
            ((rows,),) = lab.sql("SELECT count(*) FROM generations").fetchall()
            if broken or lab.version < version or rows != 2 * lab.version:
                wrong.append(f"version {lab.version} after {version}: {rows} rows, {broken} not whole")
            version = lab.version

    def pack() -> None:
        while not done.is_set():
            compact(Lake.open(lake.path), everything=False)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (read, pack)]
    batch(lake, (0, 0), (1, 0))
    for thread in threads:
        thread.start()
    for number in range(1, 12):
        batch(lake, (2 * number, 0), (2 * number + 1, 0))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert contents(lake.path)["generations"].num_rows == 24
    compact(lake, keep=0)
    assert [f for f in verify(lake) if f.kind == "error"] == []
    assert contents(lake.path, version=5)["generations"].num_rows == 10


def test_a_batch_is_committed_in_the_middle_of_a_rewriting(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for generation in range(3):
        batch(lake, (0, generation))
    true, between = TableWriter.close, iter(range(3, 6))

    def close(self: TableWriter) -> DataFile:
        written = true(self)
        if threading.current_thread() is threading.main_thread() and not lake.holder():
            batch(lake, (0, next(between)))
        return written

    monkeypatch.setattr(TableWriter, "close", close)
    compact(lake, everything=False)
    monkeypatch.undo()
    rows = contents(lake.path)
    assert rows["generations"].column("generation").to_pylist() == list(range(6))
    assert rows["individuals"].num_rows == 24
    assert [f for f in verify(lake) if f.kind == "error"] == []


def test_one_compaction_at_a_time(lake: Lake) -> None:
    batch(lake, (0, 0))
    with lake.lock(0, "compaction.lock"):
        assert lake.holder("compaction.lock") is not None
        with pytest.raises(LakeBusy, match="is being compacted"):
            compact(Lake.open(lake.path), wait=0)
        batch(lake, (0, 1))  # which hinders no writer
    assert lake.holder("compaction.lock") is None


def test_output_that_differs_is_found_before_anything_is_replaced(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for generation in range(2):
        batch(lake, (0, generation))
    before = {name: table.files() for name, table in lake.tables.items()}
    true = TableWriter.add

    def add(self: TableWriter, batches: list[pa.RecordBatch]) -> None:
        rows = pa.Table.from_batches(batches)
        place = rows.schema.get_field_index("total_error")
        if place >= 0:
            other = pa.array([0.125] * rows.num_rows, rows.schema.field(place).type)
            rows = rows.set_column(place, rows.schema.field(place), other)
        true(self, rows.to_batches())

    monkeypatch.setattr(TableWriter, "add", add)
    with pytest.raises(LakeDamaged, match="wrote other rows"):
        compact(lake)
    assert {name: table.files() for name, table in lake.tables.items()} == before


def test_files_are_full_and_no_small_one_is_left_over(lake: Lake) -> None:
    """To scale: files of 64 kB stand for those of 64 MB; each population is random, so that nothing compresses away."""
    for number in range(12):
        texts = [line(run_of(number), generation, 60, seed=number) for generation in range(3)]
        lake.spool().write(texts, Meta("upload"))
    Transformer(lake).run()
    sizes = Sizes(small=1 << 14, full=1 << 15)
    import gpdata.lake.parquet as parquet

    before, parquet.ROW_GROUP_BYTES = parquet.ROW_GROUP_BYTES, 1 << 14
    try:
        compact(lake, sizes=sizes)
    finally:
        parquet.ROW_GROUP_BYTES = before
    files = lake.tables["individuals"].files()
    large = sum(file.size for file in files if file.size >= sizes.small)
    assert large >= 0.95 * sum(file.size for file in files)
    assert choose(files, sizes=sizes) == []


def _file(name: str, size: int) -> DataFile:
    return DataFile(name, size, 1, "", "", 0, 0)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(0, 99))
def test_a_byte_is_rewritten_a_few_times_only(arrivals: list[int], seed: int) -> None:
    """A model of many compactions: what was written, against what came in."""
    chance = random.Random(seed)
    sizes = Sizes(small=2000, full=4000)
    files: list[DataFile] = []
    came = wrote = 0
    for number, size in enumerate(arrivals * 4):
        files.append(_file(f"batch-{number}", size))
        came += size
        if chance.random() < 0.5:
            chosen = choose(files, everything=False, sizes=sizes)
            if chosen:
                total = sum(file.size for file in chosen)
                wrote += total
                files = [file for file in files if file not in chosen] + [_file(f"sealed-{number}", total)]
    assert wrote <= 13 * came  # one, and each doubling from 1 to 4000


def test_compaction_by_itself_waits_until_enough_has_gathered(lake: Lake) -> None:
    for generation in range(3):
        batch(lake, (0, generation))
    assert not due(lake)
    assert compact_if_due(lake) == []
    assert due(lake, files=3)
    assert due(lake, size=1)
    (individuals, *_) = compact_if_due(lake, files=3)
    assert (individuals.files_before, individuals.files_after) == (3, 1)
    assert not due(lake, files=3)


def test_maintenance_starts_one_compaction_at_a_time_and_rests(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gpdata.lake.maintain.due", lambda *_: True)
    maintenance = Maintenance(lake, ["cat"], every=600, clock=lambda: now[0])
    seen: list[Any] = []
    for now[0] in (0.0, 31.0, 62.0):
        seen.append((maintenance.step(), maintenance.at_work))
    assert seen == [(False, False), (True, True), (False, True)]
    maintenance.stop()
    assert not maintenance.at_work
    starts = []
    for now[0] in (100.0, 500.0, 640.0):
        starts.append(maintenance.step())
    assert starts == [False, False, True]
    maintenance.stop()
