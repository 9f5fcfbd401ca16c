from __future__ import annotations

import math

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import DIVERSITY, diversity
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import GENERATIONS, INDIVIDUALS, arrow_schema
from gpdata.wire.summary import GENOME
from tests.analyses.populations import table_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas arrow", "arrow"])
NAMES = ["run_uuid", "generation", "location", "total_error", "errors", "program", "behaviors", *GENOME]
SHARES = ("error_vectors", "total_errors", "genomes", "programs", "behaviors")

numbers = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, None])
genes = st.lists(
    st.tuples(
        st.sampled_from(["x", "1"]), st.sampled_from(["string", "int"]), st.sampled_from([None, 0]), st.booleans()
    ),
    max_size=2,
)


@st.composite
def individual(draw):
    genome = draw(st.none() | genes)
    lists = dict.fromkeys(GENOME) | (
        dict(zip(GENOME, map(list, zip(*genome, strict=True)), strict=False))
        if genome
        else {"gene_instruction": [], "gene_type": []}
        if genome is not None
        else {}
    )
    return lists | {
        "total_error": draw(numbers),
        "errors": draw(st.none() | st.lists(numbers, max_size=2)),
        "program": draw(st.sampled_from([None, "(a)", "(b)"])),
        "behaviors": draw(st.none() | st.lists(st.sampled_from([None, "a", "b"]), max_size=2)),
    }


def plain(value):
    """Make of a cell what is equal where the cells are: NaN equal to itself, 0 to -0."""
    if isinstance(value, list):
        return tuple(map(plain, value))
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def expected(rows):
    """Count again, in plain Python."""
    generations = {}
    for row in rows:
        generations.setdefault((row["run_uuid"], row["generation"]), []).append(row)
    table = []
    for (run, generation), group in sorted(generations.items()):
        values = {
            "error_vectors": [plain(row["errors"]) for row in group if row["errors"] is not None],
            "total_errors": [row["total_error"] for row in group if plain(row["total_error"]) not in (None, "nan")],
            "genomes": [
                tuple(plain(row[name]) for name in GENOME) for row in group if row["gene_instruction"] is not None
            ],
            "programs": [row["program"] for row in group if row["program"] is not None],
            "behaviors": [plain(row["behaviors"]) for row in group if row["behaviors"] is not None],
        }
        shares = {name: len(set(found)) / len(group) if found else None for name, found in values.items()}
        table.append({"run_uuid": run, "generation": generation, "population_size": len(group)} | shares)
    return table


@settings(max_examples=25, deadline=None)
@given(population=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), individual()), max_size=14), name=LAZY)
def test_equals_plain_python(engines, rows_of, assert_same, population, name):
    rows = [
        {"run_uuid": run, "generation": at, "location": place} | values
        for place, (run, at, values) in enumerate(population)
    ]
    got = rows_of(diversity(engines[name](table_of(INDIVIDUALS, rows, NAMES))))
    assert_same(got, expected(rows))


def row(location, errors, program, genome=None):
    return dict.fromkeys(NAMES) | {
        "run_uuid": "a", "generation": 3, "location": location, "errors": errors, "program": program,
        "gene_instruction": genome, "gene_type": ["string"] * len(genome) if genome else None,
    }  # fmt: skip


ROWS = [
    row(0, [1.0, 2.0], "p", ["x", "y"]),
    row(1, [1.0, 2.0], "q", ["x", "y"]),
    row(2, [2.0, 1.0], None, ["y", "x"]),
    row(3, None, "p"),
]


def test_every_engine_gives_the_same(engine, rows_of, assert_same, result_types):
    given = engine(table_of(INDIVIDUALS, ROWS, NAMES))
    got = diversity(given)
    want = dict(zip(SHARES, (2 / 4, None, 2 / 4, 2 / 4, None), strict=True))
    assert_same(rows_of(got), [{"run_uuid": "a", "generation": 3, "population_size": 4} | want])
    assert type(got) is type(given)
    assert result_types(got) == {column.name: column.type.value for column in DIVERSITY}


def test_from_generations_programs_are_the_senders_where_none_was_recorded(engine, rows_of):
    counted = {"run_uuid": "a", "population_size": 4, "distinct_error_vectors": 3, "distinct_total_errors": None}
    counted |= {"distinct_genomes": 4, "distinct_behaviors": 1}
    report = [("percent-programs-unique", 0.75)]
    rows = [
        counted | {"generation": 1, "distinct_programs": None, "report": report},
        counted | {"generation": 0, "distinct_programs": 2, "report": report},
        counted | {"generation": 2, "distinct_programs": None, "report": [("mean-age", 1.0)]},
        counted | {"generation": 3, "distinct_programs": None, "report": None},
    ]
    got = rows_of(diversity(engine(table_of(GENERATIONS, rows))))
    assert [r["programs"] for r in got] == [0.5, 0.75, None, None]
    assert {tuple(r[name] for name in SHARES if name != "programs") for r in got} == {(0.75, None, 1.0, 0.25)}


def test_no_rows(engine, rows_of):
    for table, names in ((INDIVIDUALS, NAMES), (GENERATIONS, arrow_schema(GENERATIONS).names)):
        kept = [name for name in names if name not in ("started_at", "received_at")]
        assert rows_of(diversity(engine(table_of(table, [], kept)))) == []


def test_duckdb_relations_are_not_run():
    lists = ", ".join(f"NULL::VARCHAR[] AS {name}" for name in GENOME)
    relation = duckdb.sql(
        "SELECT 'a' AS run_uuid, 0 AS generation, 1.0 AS total_error, [error('was run')]::DOUBLE[] AS errors, "
        f"NULL::VARCHAR[] AS behaviors, 'p' AS program, {lists}"
    )
    assert diversity(relation).columns == [column.name for column in DIVERSITY]


def test_says_what_is_wrong():
    frame = pl.from_arrow(table_of(INDIVIDUALS, ROWS, NAMES))
    with pytest.raises(UnknownColumn, match="individuals has no column 'behaviors'"):
        diversity(frame.drop("behaviors"))
    with pytest.raises(UnknownColumn, match="individuals has no column 'gene_uuid'"):
        diversity(frame.drop("gene_uuid"))
    with pytest.raises(UnknownColumn, match="generations has no column 'report'"):
        diversity(pl.DataFrame({"population_size": [1]}))
    with pytest.raises(InvalidInput, match="is no frame"):
        diversity(pa.array([1]))
