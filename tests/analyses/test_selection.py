from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import (
    HYPERSELECTION,
    SELECTION_COUNTS,
    hyperselection,
    selection_counts,
    tournament_expectation,
)
from gpdata.errors import InvalidInput, UnknownColumn
from tests.analyses.genealogies import genealogies, graph_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas", "arrow"])


def births_of(rows):
    """Say of each row whether it tells of a birth, in plain Python."""
    oldest = {}
    for row in sorted(rows, key=lambda row: (row["run_uuid"], row["generation"], row["location"])):
        oldest.setdefault((row["run_uuid"], row["uuid"]), (row["generation"], row["location"]))
    return {
        (row["run_uuid"], row["generation"], row["location"])
        for row in rows
        if row["uuid"] is None
        or oldest[row["run_uuid"], row["uuid"]] == (row["generation"], row["location"])
        or row["uuid"] in (row["parent_uuids"] or [])
    }


def expected(rows):
    """Count the edges of networkx again, and the missing parents from the rows."""
    graph, born = graph_of(rows), births_of(rows)
    table, missing = [], defaultdict(list)
    for node in sorted(graph):
        children = [child for _, child, _ in graph.out_edges(node, keys=True) if child in born]
        table.append((*node, graph.nodes[node]["row"]["uuid"], len(children), len(set(children))))
    for node in sorted(born):
        found = Counter(position for *_, position in graph.in_edges(node, data="position"))
        for position, parent in enumerate(graph.nodes[node]["row"]["parent_uuids"] or []):
            if position not in found:
                missing[node[0], parent].append(node)
    lost = [(run, None, None, parent, len(children), len(set(children))) for (run, parent), children in missing.items()]
    return table, sorted(lost, key=lambda row: (row[0], row[3] is None, row[3] or ""))


@settings(max_examples=25, deadline=None)
@given(rows=genealogies(), name=LAZY)
def test_counts_are_those_of_networkx(engines, individuals_of, rows_of, rows, name):
    got = [tuple(row.values()) for row in rows_of(selection_counts(engines[name](individuals_of(rows))))]
    table, lost = expected(rows)
    assert got == table + lost


def person(generation, location, uuid, parents):
    return {
        "run_uuid": "a", "generation": generation, "location": location, "uuid": uuid, "parent_uuids": parents,
    }  # fmt: skip


ROWS = [
    person(0, 0, "p", None),
    person(0, 1, "q", None),
    person(1, 0, "r", ["p", "p"]),  # a multiset
    person(1, 1, "p", ["p"]),  # reproduced, and again
    person(1, 2, "p", ["p"]),
    person(1, 3, "s", ["q", "lost"]),
    person(2, 0, "r", ["p", "p"]),  # carried over: not born again
    person(2, 1, "t", ["p", "r"]),  # p is at its lowest location in generation 1
    person(2, 2, "new", None),
    person(2, 3, "u", ["q"]),  # q was not carried over: two generations older
]


def test_by_hand_on_every_engine(engine, individuals_of, rows_of, result_types):
    given = engine(individuals_of(ROWS))
    got = selection_counts(given)
    assert [tuple(row.values())[1:] for row in rows_of(got)] == [
        (0, 0, "p", 4, 3),
        (0, 1, "q", 2, 2),
        (1, 0, "r", 1, 1),
        (1, 1, "p", 1, 1),
        (1, 2, "p", 0, 0),
        (1, 3, "s", 0, 0),
        *((2, location, uuid, 0, 0) for location, uuid in enumerate(["r", "t", "new", "u"])),
        (None, None, "lost", 1, 1),
    ]
    assert type(got) is type(given)
    if not isinstance(got, pd.DataFrame):  # numpy has no integer that can be null
        assert result_types(got) == {column.name: column.type.value for column in SELECTION_COUNTS}
    shares = hyperselection(got, percents=[50, 1])
    assert [tuple(row.values())[1:] for row in rows_of(shares)] == [
        (0, 1.0, 2, 6),
        (0, 50.0, 1, 6),
        (1, 1.0, 2, 2),
        (1, 50.0, 2, 2),
    ]
    assert result_types(shares) == {column.name: column.type.value for column in HYPERSELECTION}
    assert rows_of(selection_counts(given, runs=[])) == rows_of(hyperselection(selection_counts(given, runs="b"))) == []


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([None, 0, 1]), st.sampled_from([0, 1, 2, 5, 19, 95])),
        min_size=1,
        max_size=30,
    ),
    percents=st.lists(st.sampled_from([1, 2.5, 5, 10, 50, 100]), min_size=1, max_size=4),
    name=st.sampled_from(["duckdb", "polars lazy", "polars", "arrow"]),
)
def test_hyperselection_equals_fractions(engines, rows_of, counts, percents, name):
    schema = {"run_uuid": pl.String, "generation": pl.Int32, "selections": pl.Int32}
    frame = engines[name](pl.DataFrame(counts, schema=schema, orient="row").to_arrow())
    groups = defaultdict(list)
    for run, at, selections in counts:
        if at is not None:
            groups[run, at].append(selections)
    want = [
        (run, at, percent, sum(Fraction(100 * n, sum(group)) >= Fraction(percent) for n in group), sum(group))
        for (run, at), group in sorted(groups.items())
        if sum(group)
        for percent in sorted(set(percents))
    ]
    assert [tuple(row.values()) for row in rows_of(hyperselection(frame, percents=percents))] == want


@pytest.mark.parametrize(("population", "tournament"), [(1, 1), (1, 4), (5, 1), (5, 3), (3, 5)])
def test_tournaments_are_won_as_in_all_that_there_are(population, tournament):
    wins = Counter(min(drawn) for drawn in product(range(population), repeat=tournament))
    want = [wins[rank] / population**tournament for rank in range(population)]
    assert tournament_expectation(population, tournament) == pytest.approx(want, rel=1e-12)


def test_the_formula_of_the_paper():
    i = np.arange(1, 1001, dtype=object)
    want = [Fraction((1000 - k + 1) ** 7 - (1000 - k) ** 7, 1000**7) for k in i]
    got = tournament_expectation(1000, 7)
    assert got == pytest.approx([float(p) for p in want], rel=1e-9, abs=1e-18)
    assert got.sum() == pytest.approx(1)
    assert 100 * got[0] == pytest.approx(0.698, abs=5e-4)  # the best of 1,000 is in about 0.7 % of tournaments of 7


def test_says_what_is_wrong(individuals_of):
    frame = pl.from_arrow(individuals_of(ROWS))
    counts = selection_counts(frame)
    for percents in ([], [0], [5, 101], [float("nan")]):
        with pytest.raises(InvalidInput, match="give numbers above 0 and up to 100"):
            hyperselection(counts, percents=percents)
    with pytest.raises(UnknownColumn, match="the selection_counts has no column 'selections'"):
        hyperselection(frame)
    with pytest.raises(UnknownColumn, match="individuals has no column 'parent_uuids'"):
        selection_counts(frame.drop("parent_uuids"))
    with pytest.raises(InvalidInput, match="valid is the run_uuid of a run"):
        selection_counts(frame, runs=3)
    with pytest.raises(InvalidInput, match="give 1 or more"):
        tournament_expectation(0, 7)
