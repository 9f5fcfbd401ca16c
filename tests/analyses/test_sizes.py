from __future__ import annotations

import math

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import SIZE_CURVES, size_curves
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import GENERATIONS, RUNS
from tests.analyses.populations import table_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas", "pandas arrow", "arrow"])
NAMES = ["run_uuid", "generation", "genome_size_mean", "program_size_mean", "report"]
GROUPS = {"a": "odd", "b": None, "c": "odd", "d": "odd"}
RUN_ROWS = [{"run_uuid": run, "problem": problem} for run, problem in GROUPS.items()]

number = st.sampled_from([None, math.nan, 0.0, 1.5, 20.0, 33.25])
reports = st.none() | st.dictionaries(
    st.sampled_from(["mean-program-size", "mean-program-percent-params", "mean-age"]),
    st.sampled_from([0.0, 0.25, 40.0]),
)


def expected(rows):
    """Summarise again with pandas."""
    facts = []
    for row in rows:
        report, own = row["report"] or {}, row["program_size_mean"]
        facts.append(
            {
                "problem": GROUPS[row["run_uuid"]],
                "generation": row["generation"],
                "genome_size": row["genome_size_mean"],
                "program_size": report.get("mean-program-size") if own is None or math.isnan(own) else own,
                "percent_parens": report.get("mean-program-percent-params"),
            }
        )
    columns = ["problem", "generation", "genome_size", "program_size", "percent_parens"]
    facts = pd.DataFrame(facts, columns=columns)
    result = []
    for (problem, at), group in facts.groupby(["problem", "generation"], dropna=False):
        found = {"problem": problem if isinstance(problem, str) else None, "generation": int(at), "runs": len(group)}
        for name in ("genome_size", "program_size", "percent_parens"):
            known = pd.to_numeric(group[name]).dropna()
            for suffix, share in (("", 0.5), ("_q1", 0.25), ("_q3", 0.75)):
                found[name + suffix] = float(known.quantile(share)) if len(known) else None
        result.append(found)
    return sorted(result, key=lambda row: (row["problem"] is not None, row["problem"], row["generation"]))


@settings(max_examples=25, deadline=None)
@given(
    values=st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), st.tuples(number, number, reports), max_size=10
    ),
    name=LAZY,
)
def test_equals_pandas(engines, rows_of, assert_same, values, name):
    rows = [dict(zip(NAMES, (*key, *found), strict=True)) for key, found in values.items()]
    sent = [row | {"report": None if row["report"] is None else list(row["report"].items())} for row in rows]
    frames = engines[name](table_of(GENERATIONS, sent, NAMES)), engines[name](table_of(RUNS, RUN_ROWS))
    assert_same(rows_of(size_curves(*frames, by="problem")), expected(rows))


def generation(run, at, genome, program, **report):
    sent = [(name.replace("_", "-"), value) for name, value in report.items()]
    return dict(zip(NAMES, (run, at, genome, program, sent or None), strict=True))


ROWS = [
    generation("a", 0, 20.0, 25.0, mean_program_size=99.0),  # our own mean goes before the sender's
    generation("c", 0, 30.0, None, mean_program_size=41.0, mean_program_percent_params=0.25),
    generation("a", 2, None, None),
    generation("b", 0, 7.0, None, mean_age=3.0),
    generation("not asked about", 0, 1000.0, 1000.0),
]


def test_by_hand_on_every_engine(engine, rows_of, result_types):
    generations, runs = engine(table_of(GENERATIONS, ROWS)), engine(table_of(RUNS, RUN_ROWS))
    got = size_curves(generations, runs, by="problem")
    names = ("problem", "generation", "runs", "genome_size", "genome_size_q1", "program_size", "percent_parens")
    assert [tuple(row[name] for name in names) for row in rows_of(got)] == [
        (None, 0, 1, 7.0, 7.0, None, None),
        ("odd", 0, 2, 25.0, 22.5, 33.0, 0.25),
        ("odd", 2, 1, None, None, None, None),
    ]
    assert type(got) is type(generations)
    assert result_types(got) == {"problem": "string"} | {column.name: column.type.value for column in SIZE_CURVES}
    assert rows_of(size_curves(engine(table_of(GENERATIONS, [], NAMES)), runs, by=[])) == []


def test_duckdb_relations_are_not_run():
    generations = duckdb.sql(
        "SELECT 'a' AS run_uuid, 0 AS generation, error('was run')::DOUBLE AS genome_size_mean, "
        "1.0 AS program_size_mean, MAP {'x': 1.0} AS report"
    )
    runs = duckdb.sql("SELECT 'a' AS run_uuid")
    assert size_curves(generations, runs, by=[]).columns == [column.name for column in SIZE_CURVES]


def test_says_what_is_wrong():
    generations, runs = (pl.from_arrow(table_of(*given)) for given in ((GENERATIONS, ROWS), (RUNS, RUN_ROWS)))
    for name in ("report", "genome_size_mean"):
        with pytest.raises(UnknownColumn, match=f"generations has no column '{name}'"):
            size_curves(generations.drop(name), runs, by=[])
    with pytest.raises(InvalidInput, match="by='runs': the result has a column of that name"):
        size_curves(generations, runs.rename({"problem": "runs"}), by="runs")
    with pytest.raises(InvalidInput, match="an analysis joins frames of one engine"):
        size_curves(generations, runs.to_pandas(), by=[])
