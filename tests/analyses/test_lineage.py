from __future__ import annotations

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import (
    ANCESTRY,
    ANCESTRY_COUNTS,
    ANCESTRY_EDGES,
    ancestry,
    ancestry_counts,
    ancestry_edges,
)
from gpdata.errors import InvalidInput, UnknownColumn
from tests.analyses.genealogies import ancestors_of, counts_of, distinct, genealogies, graph_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas", "arrow"])
KEY = ("run_uuid", "generation", "location")


def key(row):
    return tuple(row[name] for name in KEY)


def person(run, generation, location, uuid, parents, operators=("alternation",)):
    values = (run, generation, location, uuid, parents, list(operators))
    return dict(zip((*KEY, "uuid", "parent_uuids", "genetic_operators"), values, strict=True))


ROWS = [
    person("a", 0, 0, "p", None, ["random"]),
    person("a", 0, 1, "q", None, ["random"]),
    person("a", 1, 0, "r", ["p", "p"]),
    person("a", 1, 1, "q", ["q"], ["reproduction"]),
    person("a", 1, 2, "q", ["q"], ["reproduction"]),
    person("a", 3, 0, "s", ["q", "p", "lost"]),  # generation 2 was lost; p is two generations older
    person("a", 3, 1, "new", None, ["random"]),
    person("a", 3, 2, "born", [], ["genesis"]),
    person("a", 4, 0, "w", ["s", "new"]),
    person("a", 4, 1, "x", ["r"]),  # r was not carried over
    person("a", 4, 2, "y", ["born", "gone"]),
    person("b", 4, 0, "w", ["p", "p"]),  # another run: p of a is not its parent
]


@settings(max_examples=60, deadline=None)
@given(rows=genealogies(), name=LAZY, data=st.data())
def test_ancestors_are_those_of_networkx(engines, individuals_of, rows_of, rows, name, data):
    graph = graph_of(rows)
    chosen = data.draw(st.lists(st.sampled_from(sorted(graph)), max_size=3))
    individuals, of = (
        engines[name](individuals_of(some)) for some in (rows, [graph.nodes[node]["row"] for node in chosen])
    )
    got = rows_of(ancestry(individuals, of=of))
    assert [key(row) for row in got] == sorted(ancestors_of(graph, chosen))
    for row in got:
        recorded = graph.nodes[key(row)]["row"]
        assert row["uuid"] == recorded["uuid"]
        assert row["is_root"] == (not recorded["parent_uuids"])
    assert rows_of(ancestry_counts(individuals, of=of)) == counts_of(graph, chosen)


@settings(max_examples=60, deadline=None)
@given(rows=genealogies(), name=LAZY)
def test_edges_are_those_of_networkx(engines, individuals_of, rows_of, rows, name):
    graph = graph_of(rows)
    got = rows_of(ancestry_edges(engines[name](individuals_of(rows))))
    order = [(*key(row), row["position"]) for row in got]
    assert order == sorted((*key(row), at) for row in rows for at in range(len(row["parent_uuids"] or [])))
    for row in got:
        recorded = graph.nodes[key(row)]["row"]
        assert (row["uuid"], row["parent_uuid"]) == (recorded["uuid"], recorded["parent_uuids"][row["position"]])
    found = {
        ((row["run_uuid"], row["parent_generation"], row["parent_location"]), key(row), row["position"])
        for row in got
        if row["parent_generation"] is not None
    }
    assert found == {(parent, child, at) for parent, child, at in graph.edges(data="position")}
    assert len(got) - len(found) == sum(lost for _, lost in graph.nodes(data="lost"))


def test_every_engine_gives_the_same(engine, individuals_of, rows_of):
    frame = engine(individuals_of(ROWS))
    of = engine(individuals_of([ROWS[8]]))
    assert [(*key(row), row["is_root"]) for row in rows_of(ancestry(frame, of=of))] == [
        ("a", 0, 0, True),
        ("a", 0, 1, True),
        ("a", 1, 1, False),  # q of generation 1 means its lowest location, and is its own child
        ("a", 3, 0, False),
        ("a", 3, 1, True),  # random in the middle of the run: a root
        ("a", 4, 0, False),
    ]
    assert [tuple(row.values()) for row in rows_of(ancestry_counts(frame, of=of))] == [
        (0, 2, 3, 2),  # offspring r, q and s; q is two rows and counts once
        (1, 1, 1, 1),
        (3, 2, 1, 1),
        (4, 1, 0, 0),
    ]


def test_a_parent_is_a_multiset_member_and_a_lost_one_is_said(engine, individuals_of, rows_of):
    edges = rows_of(ancestry_edges(engine(individuals_of(ROWS))))
    parents = {}
    for row in edges:
        where = (row["parent_uuid"], row["parent_generation"], row["parent_location"])
        parents.setdefault(key(row), []).append(where)
    assert parents["a", 1, 0] == [("p", 0, 0), ("p", 0, 0)]
    assert parents["a", 3, 0] == [("q", 1, 1), ("p", 0, 0), ("lost", None, None)]
    assert parents["a", 4, 1] == [("r", 1, 0)]
    assert parents["b", 4, 0] == [("p", None, None), ("p", None, None)]
    assert [row["position"] for row in edges if key(row) == ("a", 3, 0)] == [0, 1, 2]
    assert not {("a", 0, 0), ("a", 3, 1), ("a", 3, 2)} & set(parents)
    assert [list(row["genetic_operators"]) for row in edges if key(row) == ("a", 1, 1)] == [["reproduction"]]


def test_a_broken_line_is_no_root(individuals_of, rows_of):
    frame = CONNECTION.from_arrow(individuals_of(ROWS))
    assert rows_of(ancestry(frame, of=frame.filter("run_uuid = 'b'"))) == [
        {"run_uuid": "b", "generation": 4, "location": 0, "uuid": "w", "is_root": False}
    ]
    roots = rows_of(ancestry(frame, of=frame.filter("uuid = 'y'")))
    assert [(row["uuid"], row["is_root"]) for row in roots] == [("born", True), ("y", False)]


CONNECTION = duckdb.connect()


def test_the_result_is_as_declared_and_of_the_kind_given(engine, individuals_of, result_types):
    rows = [row for row in ROWS if row["uuid"] in ("p", "q", "r")]  # no parent is lost: pandas has no null integer
    frame = engine(individuals_of(rows))
    results = {
        "ancestry": (ancestry(frame, of=frame), ANCESTRY),
        "ancestry_counts": (ancestry_counts(frame, of=frame), ANCESTRY_COUNTS),
        "ancestry_edges": (ancestry_edges(frame), ANCESTRY_EDGES),
    }
    for got, columns in results.values():
        assert type(got) is type(frame)
        assert result_types(got) == {column.name: column.type.value for column in columns}


def test_nothing_in_nothing_out(engine, individuals_of, rows_of):
    frame, none = engine(individuals_of(ROWS)), engine(individuals_of([]))
    for individuals in (frame, none):
        assert rows_of(ancestry(individuals, of=none)) == []
        assert rows_of(ancestry_counts(individuals, of=none)) == []
    assert rows_of(ancestry_edges(none)) == []
    assert rows_of(ancestry_edges(frame, runs="not there")) == []
    assert rows_of(ancestry_edges(frame, runs=[])) == []


def test_a_system_without_uuids_has_winners_and_no_ancestors(engine, individuals_of, rows_of):
    frame = engine(individuals_of([row | {"uuid": None, "parent_uuids": None} for row in ROWS]))
    assert [row["is_root"] for row in rows_of(ancestry(frame, of=frame))] == [True] * len(ROWS)
    counts = rows_of(ancestry_counts(frame, of=frame))
    assert [row["ancestors"] for row in counts] == [2, 3, 3, 4]
    assert rows_of(ancestry_edges(frame)) == []


def test_a_duckdb_result_joins_with_the_frame_it_came_from(individuals_of):
    connection = duckdb.connect()  # of its own, as a lab's is
    connection.register("rows", individuals_of(ROWS))
    connection.execute("CREATE VIEW individuals AS SELECT * FROM rows")
    before = connection.execute("SELECT view_name FROM duckdb_views()").fetchall()
    frame = connection.table("individuals")
    graph = ancestry(frame, of=frame.filter("uuid = 'w' AND run_uuid = 'a'"))
    joined = graph.join(frame, "run_uuid, generation, location")
    assert len(joined.fetchall()) == len(graph.fetchall()) == 6
    assert graph.join(ancestry_edges(frame), "run_uuid, generation, location").aggregate("count(*)").fetchall() == [
        (6,)
    ]
    assert connection.execute("SELECT view_name FROM duckdb_views()").fetchall() == before


def test_only_the_chosen_runs_are_read(individuals_of):
    CONNECTION.register("rows_of_two", individuals_of(ROWS))
    trap = CONNECTION.sql("SELECT * REPLACE (if(run_uuid = 'b', error('b was read'), uuid) AS uuid) FROM rows_of_two")
    of = CONNECTION.sql("SELECT 'a' AS run_uuid, 4 AS generation, 0 AS location")
    assert len(ancestry(trap, of=of).fetchall()) == 6
    assert len(ancestry_counts(trap, of=of).fetchall()) == 4
    assert ancestry_edges(trap, runs="a").fetchall()
    with pytest.raises(duckdb.Error, match="b was read"):
        ancestry_edges(trap)


def test_of_may_be_of_another_engine(individuals_of, rows_of):
    frame = CONNECTION.from_arrow(individuals_of(ROWS))
    of = pl.DataFrame({"run_uuid": ["a"], "generation": [4], "location": [0]})
    assert len(rows_of(ancestry(frame, of=of))) == 6


def test_ancestors_counted_by_distinct_uuid(individuals_of, rows_of):
    rows = [person("a", 0, 0, "p", None), person("a", 1, 0, "p", ["p"]), person("a", 1, 1, "p", ["p"])]
    frame = pl.from_arrow(individuals_of(rows))
    found = rows_of(ancestry(frame, of=frame.filter(pl.col("generation") == 1)))
    assert len(found) == 3
    assert distinct(found) == {0: 1, 1: 1}
    assert ancestry_counts(frame, of=frame.filter(pl.col("generation") == 1)).rows() == [(0, 1, 1, 1), (1, 1, 0, 0)]


def test_says_what_is_wrong(individuals_of):
    frame = pl.from_arrow(individuals_of(ROWS))
    of = pl.DataFrame({"run_uuid": ["a", "a", "z"], "generation": [4, 9, 0], "location": [0, 0, 0]})
    with pytest.raises(
        InvalidInput, match=r"of has 3 individuals, 2 of which are not in individuals, .*'generation': 9"
    ):
        ancestry(frame, of=of)
    with pytest.raises(UnknownColumn, match="individuals has no column 'parent_uuids'"):
        ancestry(frame.drop("parent_uuids"), of=of)
    with pytest.raises(UnknownColumn, match="individuals has no column 'run_uuid'"):
        ancestry_counts(frame.drop("run_uuid"), of=frame)
    with pytest.raises(UnknownColumn, match="individuals has no column 'location'"):
        ancestry(frame, of=of.drop("location"))
    with pytest.raises(InvalidInput, match="runs=7: valid is the run_uuid of a run"):
        ancestry_edges(frame, runs=7)
    with pytest.raises(InvalidInput, match="individuals is a dict, which is no frame"):
        ancestry_edges({})
