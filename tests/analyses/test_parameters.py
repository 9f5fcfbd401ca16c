"""What differs between runs, what they share, and a choice of them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

import gpdata
from gpdata.analyses import RUNS_TABLE, SHARED_PARAMETERS, runs_table, select_runs, shared_parameters
from gpdata.errors import InvalidInput, UnknownColumn

RUNS = pl.DataFrame(
    {
        "run_uuid": ["a", "b", "c", "d"],
        "problem": ["odd", "odd", "odd", "odd"],
        "label": ["pilot", "pilot", None, "main"],
        "owner": ["ada", "ben", "ada", None],
        "started_at": [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (1, 2, 3)] + [None],
        "flags": [["x"], [], [], []],
        "extra": ["1", "2", "3", "4"],
        "population-size": ["1000", "1000", "200", "1000"],
        "parent-selection": ["lexicase", "tournament", "lexicase", None],
        "use-ALPS": ["false", "false", "true", "false"],
        "rate": ["0.1", "0.5", "1.0E101", "2.0"],
        "error-function": ["odd$fn__79@4a93", "odd$fn__80@1c2d", "odd$fn__79@0", "odd$fn__1@1"],
        "run-uuid": ["a", "b", "c", "d"],
        "config.label": ["pilot", "pilot", None, "main"],
        "nothing": [None] * 4,
    },
    schema_overrides={"nothing": pl.String},
)


def chosen(**options):
    return "".join(select_runs(RUNS, **options)["run_uuid"])


def test_what_differs_is_shown_and_the_rest_folded_away():
    table = runs_table(RUNS)
    assert table.columns == [
        "run_uuid", "label", "owner", "started_at", "population-size", "parent-selection", "use-ALPS", "rate",
    ]  # fmt: skip
    assert table.columns[: len(RUNS_TABLE)] == [column.name for column in RUNS_TABLE]
    assert table.equals(RUNS.select(table.columns))
    shared = shared_parameters(RUNS)
    assert shared.columns == [column.name for column in SHARED_PARAMETERS]
    assert shared.rows() == [("problem", "odd"), ("error-function", "odd"), ("nothing", None)]


def test_one_run_and_none():
    assert runs_table(RUNS[:1]).columns == ["run_uuid"]
    assert shared_parameters(RUNS[:1]).height == len(RUNS.columns) - 5
    assert shared_parameters(RUNS.clear()).rows() == []
    assert runs_table(RUNS.clear()).shape == (0, 1)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, "abcd"),
        ({"parent-selection": "lexicase"}, "ac"),
        ({"parent-selection": ["lexicase", None]}, "acd"),
        ({"parent-selection": None}, "d"),
        ({"parent-selection": []}, ""),
        ({"population-size": 1000}, "abd"),
        ({"population-size": [200, 1000], "use-ALPS": True}, "c"),
        ({"rate": 0.1}, "a"),
        ({"rate": [2, "1.0E101"]}, "cd"),
        ({"started_at": datetime(2026, 11, 2, 12, tzinfo=UTC)}, "b"),
    ],
)
def test_by_config(where, found):
    assert chosen(where=where) == found


def test_none_means_the_json_null_too():
    runs = RUNS.with_columns(epsilon=pl.Series(["null", "0.1", None, "null"]))
    assert select_runs(runs, where={"epsilon": None})["run_uuid"].to_list() == ["a", "c", "d"]
    assert select_runs(runs, where={"epsilon": [None, 0.1]}).height == 4


def test_by_label_owner_and_date():
    assert chosen(label="pilot") == "ab"
    assert chosen(label=["pilot", "main"], owner="ada") == "a"
    assert chosen(since="2026-11-02") == "bc"
    assert chosen(since=date(2026, 11, 2), until="2026-11-03T12:00") == "b"
    assert chosen(until=datetime(2026, 11, 2, 14, tzinfo=UTC)) == "ab"
    assert chosen(since="2026-11-02T12:00", until="2026-11-02T12:00:01+00:00") == "b"


def test_what_is_not_there_is_told_the_near_ones():
    with pytest.raises(UnknownColumn, match="did you mean 'population-size'"):
        chosen(where={"population-sise": 1})
    with pytest.raises(InvalidInput, match="no run has parent-selection='lexicas': did you mean 'lexicase'"):
        chosen(where={"parent-selection": "lexicas"})
    with pytest.raises(InvalidInput, match="no run has population-size=3: valid are '1000', '200'"):
        chosen(where={"population-size": 3})
    with pytest.raises(InvalidInput, match="no run has label='pilott': did you mean 'pilot'"):
        chosen(label="pilott")
    with pytest.raises(InvalidInput, match="until='tomorrow' is no date"):
        chosen(until="tomorrow")
    with pytest.raises(UnknownColumn, match="run_uuid"):
        runs_table(RUNS.drop("run_uuid"))
    with pytest.raises(InvalidInput, match="no frame"):
        runs_table(3)


@pytest.mark.parametrize("kind", ["duckdb", "polars lazy", "pandas", "arrow"])
def test_other_kinds_of_frames(engines, rows_of, kind):
    runs = engines[kind](RUNS.drop("nothing").to_arrow())
    assert [
        row["run_uuid"] for row in rows_of(select_runs(runs, where={"population-size": 1000}, since="2026-11-02"))
    ] == ["b"]
    assert "problem" not in rows_of(runs_table(runs))[0]
    assert rows_of(shared_parameters(runs))[0] == {"parameter": "problem", "value": "odd"}
    assert type(runs_table(runs)) is type(shared_parameters(runs)) is type(select_runs(runs)) is type(runs)


def test_a_text_is_looked_for_in_every_column_of_text():
    assert chosen(text="TOURN") == "b"
    assert chosen(text="main", where={"population-size": 1000}) == "d"
    assert chosen(text="odd$fn__8") == "b"  # a text, not a pattern
    assert chosen(text="nowhere") == ""
    assert chosen(text="") == "abcd"


def test_a_lab(captured):
    lab = gpdata.open(captured)
    table = gpdata.runs_table(lab)
    assert {"run_uuid", "problem", "parent-selection", "random-seed"} <= set(table.columns)
    assert not {"system", "run-uuid", "config", "extra", "alternation-rate"} & set(table.columns)
    shared = dict(gpdata.shared_parameters(lab).fetchall())
    config = lab.runs.select("config").fetchall()
    assert all(dict(run)["alternation-rate"] == shared["alternation-rate"] for (run,) in config)
    # Every column but the key and those that hold several things is told in one of the two, or repeats another.
    left = set(lab.runs.columns) - set(table.columns) - set(shared)
    assert left <= {"config", "flags", "extra", "run-uuid", "config.label"}
    wanted = gpdata.select_runs(lab.runs, where={"parent-selection": "tournament", "population-size": 30})
    counted = lab.sql(
        """SELECT count(*) FROM runs WHERE "parent-selection" = 'tournament' AND "population-size" = '30'"""
    )
    assert len(wanted.fetchall()) == counted.fetchall()[0][0] > 0
    assert len(wanted.join(table, "run_uuid").fetchall()) == len(wanted.fetchall())
