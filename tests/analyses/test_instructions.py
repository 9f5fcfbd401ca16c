from __future__ import annotations

from collections import Counter, defaultdict

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import INSTRUCTION_FREQUENCY, instruction_frequency
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import GENES, INDIVIDUALS, RUNS
from tests.analyses.populations import table_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas", "pandas arrow", "arrow"])
NAMES = ["run_uuid", "generation", "location", "instruction", "type"]
KEY = NAMES[:3]
GROUPS = {"a": "odd", "b": None, "c": "odd"}
RUN_ROWS = [{"run_uuid": run, "problem": problem} for run, problem in GROUPS.items()]

gene = st.tuples(
    st.sampled_from("abcd"),
    st.integers(0, 1),
    st.integers(0, 2),
    st.sampled_from(["exec_if", "1", "Ünï", ""]),
    st.sampled_from(["string", "int"]),
)


def expected(genes, chosen):
    """Count again, in plain Python."""
    counts, runs = defaultdict(Counter), defaultdict(set)
    for run, at, location, *name in genes:
        if run in GROUPS and (chosen is None or (run, at, location) in chosen):
            counts[GROUPS[run]][tuple(name)] += 1
            runs[GROUPS[run], tuple(name)].add(run)
    return [
        {"problem": group, "instruction": name[0], "type": name[1], "genes": n,
         "share": n / counts[group].total(), "runs": len(runs[group, name])}
        for group in sorted(counts, key=lambda group: (group is not None, group))
        for name, n in sorted(counts[group].items(), key=lambda item: (-item[1], item[0]))
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    genes=st.lists(gene, max_size=25),
    chosen=st.none() | st.lists(st.tuples(st.sampled_from("abx"), st.integers(0, 1), st.integers(0, 2)), max_size=4),
    name=LAZY,
)
def test_equals_plain_python(engines, rows_of, assert_same, genes, chosen, name):
    make = engines[name]
    frame = make(table_of(GENES, [dict(zip(NAMES, row, strict=True)) for row in genes], NAMES))
    of = chosen
    if chosen is not None:
        of = make(table_of(INDIVIDUALS, [dict(zip(KEY, key, strict=True)) for key in chosen], KEY))
    got = instruction_frequency(frame, make(table_of(RUNS, RUN_ROWS)), by="problem", of=of)
    assert_same(rows_of(got), expected(genes, chosen))


GENES_ = [("a", 0, 0, "x", "string"), ("a", 0, 1, "1", "int"), ("c", 0, 0, "x", "string"), ("c", 0, 0, "1", "string")]


def test_by_hand_on_every_engine(engine, rows_of, result_types):
    genes = engine(table_of(GENES, [dict(zip(NAMES, row, strict=True)) for row in GENES_]))
    runs = engine(table_of(RUNS, RUN_ROWS))
    got = instruction_frequency(genes, runs, by=[])
    assert [tuple(row.values()) for row in rows_of(got)] == [
        ("x", "string", 2, 0.5, 2),
        ("1", "int", 1, 0.25, 1),
        ("1", "string", 1, 0.25, 1),
    ]
    assert type(got) is type(genes)
    assert result_types(got) == {column.name: column.type.value for column in INSTRUCTION_FREQUENCY}
    twice = engine(table_of(INDIVIDUALS, [dict(zip(KEY, ("c", 0, 0), strict=True))] * 2))
    found = rows_of(instruction_frequency(genes, runs, by=[], of=twice))
    assert [(row["instruction"], row["genes"]) for row in found] == [("1", 1), ("x", 1)]
    nothing = engine(table_of(GENES, [], NAMES))
    assert rows_of(instruction_frequency(nothing, runs, by="problem")) == []


def test_duckdb_relations_are_not_run():
    genes = duckdb.sql(
        "SELECT 'a' AS run_uuid, 0 AS generation, 0 AS location, error('was run')::VARCHAR AS instruction, 's' AS type"
    )
    got = instruction_frequency(genes, duckdb.sql("SELECT 'a' AS run_uuid"), by=[])
    assert got.columns == [column.name for column in INSTRUCTION_FREQUENCY]


def test_says_what_is_wrong():
    genes = pl.DataFrame([dict(zip(NAMES, row, strict=True)) for row in GENES_])
    runs = pl.from_arrow(table_of(RUNS, RUN_ROWS))
    with pytest.raises(UnknownColumn, match="genes has no column 'type'"):
        instruction_frequency(genes.drop("type"), runs, by=[])
    with pytest.raises(UnknownColumn, match="individuals has no column 'location'"):
        instruction_frequency(genes, runs, by=[], of=genes.drop("location"))
    with pytest.raises(InvalidInput, match="by='genes': the result has a column of that name"):
        instruction_frequency(genes, runs.rename({"problem": "genes"}), by="genes")
    with pytest.raises(InvalidInput, match="of is of duckdb: an analysis joins frames of one engine"):
        instruction_frequency(genes, runs, by=[], of=duckdb.from_arrow(genes.to_arrow()))
