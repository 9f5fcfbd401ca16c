"""Results brought here: never more than fits, as files where they do not, on classic and Connect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import gpdata
from gpdata.convert import to_arrow, to_pandas, to_polars
from gpdata.errors import InvalidInput
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.sessions import local_size
from gpdata.sessions.local import local
from gpdata.sessions.local_batches import batches
from gpdata.sessions.local_memory import free_memory
from tests.support import run_lines, write_stream

Sessions = Callable[[str], Any]
both = pytest.mark.parametrize("kind", ["spark", "connect"])
spark = pytest.mark.xdist_group("spark")
INSTEAD = r"aggregate it, select fewer columns or runs, or take gpdata\.local\(frame\)"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lakes")
    made = Lake.create(folder / "lake")
    for number in range(3):
        run = f"00000000-0000-4000-8000-{number:012d}"
        import_paths([write_stream(folder / f"{run}.jsonl", run_lines(run, generations=3, size=20))], made)
    return made.path


def wide(session: Any, rows: int = 40_000) -> Any:
    return session.range(0, rows, 1, 4).selectExpr("id", "repeat('x', 100) AS text", "explode(array(1, 2)) AS n")


@spark
@both
def test_too_many_rows_are_refused_before_they_are_here(sessions: Sessions, kind: str) -> None:
    frame = wide(sessions(kind))
    with pytest.raises(InvalidInput, match=rf"80,000 rows|rows or more.*GB are allowed; {INSTEAD}"):
        to_arrow(frame, most=10**6)
    assert to_arrow(frame, most=10**8).num_rows == 80_000
    # pandas takes several times as much.
    with pytest.raises(InvalidInput, match=INSTEAD):
        to_pandas(frame, most=2 * 10**7)
    assert len(to_polars(frame)) == 80_000


@spark
def test_classic_fetches_nothing_of_what_is_refused(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    real = type(sessions("spark").range(1)).toArrow

    def watched(frame: Any) -> pa.Table:
        table = real(frame)
        fetched.append(table.num_rows)
        return table

    monkeypatch.setattr(type(sessions("spark").range(1)), "toArrow", watched)
    with pytest.raises(InvalidInput, match=r"80,000 rows of about 1[0-9][0-9] bytes"):
        to_arrow(wide(sessions("spark")), most=10**6)
    assert max(fetched) == local_size._SAMPLE


@spark
def test_what_the_driver_refuses_is_told(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = sessions("spark").range(1)

    class Refused(Exception):
        java_exception = "Total size ... is bigger than spark.driver.maxResultSize 2.0 GiB"

    monkeypatch.setattr("py4j.protocol.Py4JJavaError", Refused)

    def refuse(_: Any) -> pa.Table:
        raise Refused

    monkeypatch.setattr(type(frame), "toArrow", refuse)
    with pytest.raises(InvalidInput, match=rf"spark.driver.maxResultSize=2g\); {INSTEAD}"):
        to_arrow(frame)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_other_engines_give_all_rows(lake: Path, engine: str) -> None:
    frame = gpdata.open(lake, engine=engine).individuals
    assert to_arrow(frame).num_rows == len(to_pandas(frame)) == len(to_polars(frame)) == 180
    if engine == "duckdb":
        with pytest.raises(InvalidInput, match=rf"\d+ rows or more, .* {INSTEAD}"):
            to_arrow(frame, most=1000)


def test_free_memory_is_the_least_of_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    for name, text in {
        "proc/meminfo": "MemTotal: 900 kB\nMemAvailable:   800 kB\n",
        "proc/self/status": "VmRSS:\t  100 kB\n",
        "sys/fs/cgroup/memory.current": "1000\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    limit = tmp_path / "sys/fs/cgroup/memory.max"
    limit.write_text("max\n")
    assert free_memory(tmp_path) == 800 * 1024
    limit.write_text("401000\n")
    assert free_memory(tmp_path) == 400_000
    (tmp_path / "sys/fs/cgroup/memory.stat").write_text("anon 1\ninactive_file 500\n")
    assert free_memory(tmp_path) == 400_500
    monkeypatch.setenv("MEM_LIMIT", str(300 * 1024))
    assert free_memory(tmp_path) == 200 * 1024
    monkeypatch.delenv("MEM_LIMIT")
    assert free_memory() > 0


@spark
@both
def test_a_spark_frame_is_opened_beside_you(sessions: Sessions, kind: str, lake: Path, tmp_path: Path) -> None:
    lab = gpdata.open(lake, engine=sessions(kind))
    key = ["run_uuid", "generation", "location"]
    there = lab.individuals.select(*key, "uuid", "parent_uuids", "age", "total_error", "errors").orderBy(*key)
    here = local(there, tmp_path / "mine")
    assert isinstance(here, duckdb.DuckDBPyRelation)
    rows = to_arrow(here)
    assert rows.equals(to_arrow(there).cast(rows.schema))
    assert all(file.suffix == ".parquet" for file in (tmp_path / "mine").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    # Analyses take it as they took the frame, and the lab's times are what they were.
    assert to_arrow(gpdata.age_error(here)).num_rows == rows.num_rows == 180
    runs = local(lab.runs.orderBy("run_uuid"))
    assert runs.select("started_at").fetchall() == [(datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),)] * 3


@spark
@both
def test_batches_are_all_rows_in_order(sessions: Sessions, kind: str) -> None:
    frame = wide(sessions(kind), 10_000).orderBy("id", "n")
    found = pa.Table.from_batches(list(batches(frame)))
    assert found.equals(to_arrow(frame))
    nothing = frame.filter("id < 0")
    assert to_arrow(local(nothing)).num_rows == 0


def test_other_frames_and_what_cannot_be_written(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(50_000)), "b": ["x"] * 50_000})
    assert to_arrow(local(table)).equals(table)
    assert to_arrow(local(pl.LazyFrame({"a": [1]}))).to_pydict() == {"a": [1]}
    assert local(duckdb.sql("SELECT 1 AS one")).fetchall() == [(1,)]
    (tmp_path / "there").mkdir()
    with pytest.raises(InvalidInput, match="exists already; name a directory that does not"):
        local(table, tmp_path / "there")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot be written to .*; give a directory that is not there yet"):
        local(table, tmp_path / "file" / "below")
    with pytest.raises(InvalidInput, match="a list was given"):
        local([1, 2], tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]
