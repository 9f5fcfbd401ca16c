"""What is stored comes back: canonical rows -> storage -> Parquet -> an engine's canonical rows."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpdata.engines.duckdb import DuckDB
from gpdata.lake.encoding import STORAGE, encode_individuals
from gpdata.lake.parquet import SEALED, Profile, TableWriter
from gpdata.lake.snapshot import Snapshot
from gpdata.lake.uuids import pack, text
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, arrow_schema
from gpdata.spool import Disk

CANONICAL = st.uuids().map(str)
NAMES = st.one_of(
    CANONICAL,
    st.sampled_from(["", "ind-7", "0" * 36, "A0000000-0000-4000-8000-000000000001"]),
    st.text(max_size=40),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TYPES = st.sampled_from(["string", "int", "float", "bool", "null", "json"])
INSTRUCTIONS = st.one_of(
    st.sampled_from(["exec_if", "7", "-0.5", "1e5", "true", "null", "NaN", "[1]", '{"a":1}', "1.", "+3", "\x00", "~0"]),
    TEXT,
)


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for location in range(draw(st.integers(1, 6))):
        n = draw(st.integers(0, 5))
        genome = draw(st.booleans())

        def per_gene(values: st.SearchStrategy[Any], n: int = n, genome: bool = genome) -> Any:
            """None, or a list as long as the genome in which at least one gene has the field."""
            if not genome or n == 0 or not draw(st.booleans()):
                return None
            listed = draw(st.lists(st.none() | values, min_size=n, max_size=n))
            return None if all(value is None for value in listed) else listed

        total = draw(st.none() | st.floats(allow_nan=False))
        found.append(
            {
                "run_uuid": "r",
                "generation": 0,
                "location": location,
                "uuid": draw(st.none() | NAMES),
                "parent_uuids": draw(st.none() | st.lists(NAMES, max_size=3)),
                "total_error": total,
                "normalized_error": draw(st.sampled_from([total, None, 1.0])),
                "errors": draw(st.none() | st.lists(st.none() | st.floats(allow_nan=False), max_size=3)),
                "gene_instruction": draw(st.lists(INSTRUCTIONS, min_size=n, max_size=n)) if genome else None,
                "gene_type": draw(st.lists(TYPES, min_size=n, max_size=n)) if genome else None,
                "gene_close": per_gene(st.integers(0, 9)),
                "gene_silent": per_gene(st.booleans()),
                "gene_uuid": per_gene(NAMES),
                "gene_parent_uuid": per_gene(NAMES),
                "extra": draw(st.none() | TEXT),
            }
        )  # fmt: skip
    return found


def stored_and_read(batches: list[pa.RecordBatch], level: int = 1) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "individuals").mkdir()
        with TableWriter(
            "individuals", path / "individuals", "a.parquet", Profile(level, row_group=4), Disk(), path
        ) as writer:
            writer.add(encode_individuals(batch, 1) for batch in batches)
            file = writer.close()
        snapshot = Snapshot(path, 1, {RUNS.name: (), GENERATIONS.name: (), INDIVIDUALS.name: (file,)})
        return DuckDB().individuals(snapshot, None).order("generation, location").to_arrow_table()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(rows())
def test_individuals_come_back_exactly(given_rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in INDIVIDUALS.names} for row in given_rows],
        schema=arrow_schema(INDIVIDUALS),
    )
    assert stored_and_read([batch]).to_pylist() == batch.to_pylist()


@pytest.mark.parametrize("distinct", [1, 2, 128, 129, 300])
def test_the_unused_dictionary_entries_never_show(distinct: int) -> None:
    names = [f"i{k}" for k in range(distinct)]
    row = {
        "run_uuid": "r",
        "generation": 0,
        "location": 0,
        "gene_instruction": names,
        "gene_type": ["string"] * distinct,
    }
    batch = pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in INDIVIDUALS.names}], schema=arrow_schema(INDIVIDUALS)
    )
    assert stored_and_read([batch], SEALED).column("gene_instruction").to_pylist() == [names]


def test_row_groups_are_bounded_and_the_statistics_true() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        rows_ = [{"run_uuid": f"r{k % 3}", "generation": k, "location": 0} for k in range(10)]
        batch = pa.RecordBatch.from_pylist(
            [{n: r.get(n) for n in INDIVIDUALS.names} for r in rows_], schema=arrow_schema(INDIVIDUALS)
        )
        with TableWriter("individuals", path, "a.parquet", Profile(1, row_group=4), Disk(), path) as writer:
            writer.add([encode_individuals(batch, 5)])
            assert writer.rows == 10
            file = writer.close()
        assert [pq.read_metadata(path / "a.parquet").row_group(i).num_rows for i in range(3)] == [4, 4, 2]
    assert (file.rows, file.run_min, file.run_max, file.generation_min, file.generation_max) == (
        10,
        "r0",
        "r2",
        0,
        9,
    )
    assert (file.batch_min, file.batch_max) == (5, 5)


@given(st.lists(st.none() | NAMES, max_size=20), st.integers(0, 5))
def test_pack_gives_back_what_it_calls_canonical(texts: list[str | None], skip: int) -> None:
    array = pa.array(["x" * 36, *texts], pa.string()).slice(min(skip, 1 + len(texts)))
    packed, canonical = pack(array)
    for original, good, data in zip(array.to_pylist(), canonical, packed, strict=True):
        assert good == bool(original and re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", original))
        assert not good or text(data.tobytes()) == original


def test_the_keys_come_first() -> None:
    for schema in STORAGE.values():
        assert "batch" in schema.names[:4]
