from __future__ import annotations

import duckdb
import narwhals as nw
import polars as pl
import pytest

from gpdata.analyses import last_generation
from gpdata.errors import InvalidInput, UnknownColumn

ROWS = [
    {"run_uuid": "gaps", "generation": 0, "outcome": "continue", "best_test_errors": None},
    {"run_uuid": "gaps", "generation": 7, "outcome": "success", "best_test_errors": [0.0]},
    {"run_uuid": "killed", "generation": 2, "outcome": "continue", "best_test_errors": []},
    {"run_uuid": "gaps", "generation": 3, "outcome": "continue", "best_test_errors": [1.0, 2.0]},
    {"run_uuid": "killed", "generation": 1, "outcome": "continue", "best_test_errors": None},
    {"run_uuid": "one", "generation": 0, "outcome": "failure", "best_test_errors": None},
]


def test_keeps_the_greatest_generation_of_each_run(engine, generations_of, rows_of):
    got = rows_of(last_generation(engine(generations_of(ROWS))))
    ends = {row["run_uuid"]: (row["generation"], row["outcome"]) for row in got}
    assert ends == {"gaps": (7, "success"), "killed": (2, "continue"), "one": (0, "failure")}
    assert len(got) == 3


def test_keeps_all_columns_and_the_kind_of_frame(engine, generations_of):
    frame = engine(generations_of(ROWS).append_column("extra column", [range(len(ROWS))]))
    last = last_generation(frame)
    assert type(last) is type(frame)
    before, after = (nw.from_native(native).collect_schema() for native in (frame, last))
    assert after == before
    assert "extra column" in after


def test_no_rows(engine, generations_of, rows_of):
    assert rows_of(last_generation(engine(generations_of([])))) == []


def test_a_duckdb_relation_is_not_run(generations_of):
    relation = duckdb.sql("select 'a' as run_uuid, 1 as generation, error('was run') as boom")
    assert last_generation(relation).columns == ["run_uuid", "generation", "boom"]


def test_names_a_missing_column():
    frame = pl.DataFrame({"run_uid": ["a"], "generation": [0]})
    with pytest.raises(UnknownColumn, match=r"generations has no column 'run_uuid': did you mean 'run_uid'\?"):
        last_generation(frame)


def test_names_what_is_no_frame():
    with pytest.raises(InvalidInput, match="generations is a list, which is no frame"):
        last_generation([1, 2])
