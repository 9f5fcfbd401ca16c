from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import OPERATOR_EFFECTS, operator_effects
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import INDIVIDUALS, RUNS
from tests.analyses.genealogies import genealogies, graph_of
from tests.analyses.populations import table_of
from tests.analyses.test_selection import births_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas arrow", "arrow"])
SIZES = ("genome_size", "program_size")
NAMES = ["run_uuid", "generation", "location", "uuid", "parent_uuids", "genetic_operators", "total_error", *SIZES]
GROUPS = {"a": "odd", "b": None, "c": "odd"}
RUN_ROWS = [{"run_uuid": run, "problem": problem} for run, problem in GROUPS.items()]


def value(number):
    return math.nan if number is None else float(number)


def parent_values(parents, parent):
    """Return error and sizes of what a child is compared with, its parents given in order."""
    columns = {
        name: [value(row[key]) for row in parents] for name, key in zip(CHANGES, ("total_error", *SIZES), strict=True)
    }
    if parent == "mean":
        return {name: sum(column) / len(column) for name, column in columns.items()}
    errors = columns["error"]
    if any(map(math.isnan, errors)):
        return dict.fromkeys(columns, math.nan)
    return {name: column[errors.index(min(errors))] for name, column in columns.items()}


CHANGES = ("error", *SIZES)


def expected(rows, parent):
    """Compare each child with its parents in the graph of networkx, and take quartiles with pandas."""
    graph, born = graph_of(rows), births_of(rows)
    table = defaultdict(list)
    for node in born:
        row = graph.nodes[node]["row"]
        edges = sorted(graph.in_edges(node, data=True), key=lambda edge: edge[2]["position"])
        named = len(row["parent_uuids"] or [])
        child = {"lost": len(edges) < named, "compared": False}
        if edges and not child["lost"]:
            theirs = parent_values([graph.nodes[edge[0]]["row"] for edge in edges], parent)
            own = dict(zip(CHANGES, (value(row[key]) for key in ("total_error", *SIZES)), strict=True))
            child["compared"] = not math.isnan(own["error"]) and not math.isnan(theirs["error"])
            child |= {
                name: 0.0 if own[name] == theirs[name] else own[name] - theirs[name] for name in CHANGES
            }  # fmt: skip
        operators = row["genetic_operators"]
        table[GROUPS[node[0]], None if operators is None else tuple(operators)].append(child)
    result = []
    for (problem, operators), children in table.items():
        compared = pd.DataFrame([child for child in children if child["compared"]], columns=CHANGES, dtype=float)
        error = compared["error"]
        found = {
            "problem": problem, "genetic_operators": operators, "children": len(children),
            "lost": sum(child["lost"] for child in children), "compared": len(compared),
            "improved": int((error < 0).sum()), "same": int((error == 0).sum()), "worse": int((error > 0).sum()),
        }  # fmt: skip
        for name in CHANGES:
            for at, share in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
                known = compared[name].dropna()
                found[f"{name}_change_{at}"] = float(known.quantile(share)) if len(known) else None
        result.append(found)
    return sorted(
        result, key=lambda r: (r["problem"] is not None, -r["children"], r["genetic_operators"] or ())
    )  # fmt: skip


def as_tuple(row):
    operators = row["genetic_operators"]
    return row | {"genetic_operators": None if operators is None else tuple(operators)}


@settings(max_examples=25, deadline=None)
@given(rows=genealogies(), name=LAZY, parent=st.sampled_from(["best", "mean"]), data=st.data())
def test_equals_networkx_and_pandas(engines, rows_of, assert_same, rows, name, parent, data):
    numbers = st.sampled_from([None, math.nan, 0.0, 1.0, 2.5, 7.0])
    sizes = st.sampled_from([None, 0, 3, 10])
    rows = [
        row | {"total_error": data.draw(numbers), "genome_size": data.draw(sizes), "program_size": data.draw(sizes)}
        for row in rows
    ]
    frames = engines[name](table_of(INDIVIDUALS, rows, NAMES)), engines[name](table_of(RUNS, RUN_ROWS))
    got = rows_of(operator_effects(*frames, by="problem", parent=parent))
    assert_same(list(map(as_tuple, got)), expected(rows, parent))


def person(generation, location, uuid, parents, operators, error, genome=None):
    values = ("a", generation, location, uuid, parents, operators, error, genome, None)
    return dict(zip(NAMES, values, strict=True))


ROWS = [
    person(0, 0, "p", None, ["random"], 4.0, 10),
    person(0, 1, "q", None, ["random"], 8.0, 20),
    person(0, 2, "r", None, ["random"], math.inf, 30),
    person(1, 0, "s", ["p", "q"], ["x", "y"], 5.0, 12),  # worse than p, its best; better than the mean
    person(1, 1, "t", ["q", "q"], ["x", "y"], 2.0, 20),
    person(1, 2, "u", ["r"], ["x"], math.inf, 31),
    person(1, 3, "v", ["r"], ["x"], 9.0, None),
    person(1, 4, "w", ["lost", "p"], ["x"], 1.0, 1),
    person(2, 0, "v", ["r"], ["x"], 9.0, None),  # carried over
]
CHANGED = ("children", "lost", "compared", "improved", "same", "worse", "error_change_median")


def test_by_hand_on_every_engine(engine, rows_of, result_types):
    individuals, runs = engine(table_of(INDIVIDUALS, ROWS, NAMES)), engine(table_of(RUNS, RUN_ROWS))
    got = operator_effects(individuals, runs, by=[])
    found = {as_tuple(row)["genetic_operators"]: tuple(row[name] for name in CHANGED) for row in rows_of(got)}
    assert found == {
        ("random",): (3, 0, 0, 0, 0, 0, None),
        ("x",): (3, 1, 2, 1, 1, 0, -math.inf),
        ("x", "y"): (2, 0, 2, 1, 0, 1, (1.0 - 6.0) / 2),
    }
    assert [row["genome_size_change_median"] for row in rows_of(got)] == [None, 1.0, (2 + 0) / 2]
    assert type(got) is type(individuals)
    assert result_types(got) == {column.name: column.type.value for column in OPERATOR_EFFECTS}
    mean = rows_of(operator_effects(individuals, runs, by="problem", parent="mean"))
    assert [row["problem"] for row in mean] == ["odd"] * 3
    assert mean[2]["improved"] == 2
    assert mean[2]["genome_size_change_q1"] == np.quantile([12 - 15, 0], 0.25)


def test_nothing_to_compare(engine, rows_of):
    runs = engine(table_of(RUNS, RUN_ROWS))
    for rows in ([], [row | {"run_uuid": "not asked about"} for row in ROWS]):
        assert rows_of(operator_effects(engine(table_of(INDIVIDUALS, rows, NAMES)), runs, by="problem")) == []
    assert rows_of(operator_effects(engine(table_of(INDIVIDUALS, ROWS)), engine(table_of(RUNS, [], list(RUN_ROWS[0]))),
                                    by="problem")) == []  # fmt: skip


def test_says_what_is_wrong():
    individuals, runs = (pl.from_arrow(table_of(*given)) for given in ((INDIVIDUALS, ROWS), (RUNS, RUN_ROWS)))
    with pytest.raises(InvalidInput, match="parent='bets': did you mean 'best'"):
        operator_effects(individuals, runs, by=[], parent="bets")
    with pytest.raises(UnknownColumn, match="individuals has no column 'program_size'"):
        operator_effects(individuals.drop("program_size"), runs, by=[])
    with pytest.raises(UnknownColumn, match="runs has no column 'problm': did you mean 'problem'"):
        operator_effects(individuals, runs, by="problm")
    with pytest.raises(InvalidInput, match="by='children': the result has a column of that name"):
        operator_effects(individuals, runs.rename({"problem": "children"}), by="children")
    with pytest.raises(InvalidInput, match="an analysis joins frames of one engine"):
        operator_effects(individuals, runs.to_pandas(), by=[])
