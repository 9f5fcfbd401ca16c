"""Lineage over real Clojush runs in a lake, gaps and repeated uuids included, against networkx."""

from __future__ import annotations

import pytest

import gpdata
from gpdata.analyses import age_error, ancestry, ancestry_counts, ancestry_edges, winner
from gpdata.importers import import_paths
from gpdata.lake import Lake
from tests.analyses.genealogies import ancestors_of, counts_of, distinct, graph_of


@pytest.fixture(scope="module")
def lab(captures, tmp_path_factory):
    lake = Lake.create(tmp_path_factory.mktemp("lineage") / "lake")
    import_paths([captures], lake)
    return gpdata.open(lake.path)


@pytest.fixture(scope="module")
def graphs(lab):
    columns = "run_uuid, generation, location, uuid, parent_uuids, total_error"
    runs = {}
    for row in lab.individuals.select(columns).to_arrow_table().to_pylist():
        runs.setdefault(row["run_uuid"], []).append(row)
    return {run: graph_of(rows) for run, rows in runs.items()}


def winner_of(graph):
    last = max(generation for _, generation, _ in graph)
    able = [(data["row"]["total_error"], node) for node, data in graph.nodes(data=True) if node[1] == last]
    return min((error, node) for error, node in able if error is not None)[1]


def test_the_ancestors_of_every_winner(lab, graphs, rows_of, engines):
    runs = sorted(graphs)
    won = winner(lab.individuals, lab.generations, run=runs)
    winners = {run: winner_of(graphs[run]) for run in runs}
    assert won.fetchall() == [(*node, graphs[run].nodes[node]["row"]["uuid"]) for run, node in winners.items()]
    found = {run: [] for run in runs}
    for row in rows_of(ancestry(lab.individuals, of=won)):
        found[row["run_uuid"]].append(row)
    repeated = roots_later = 0
    for run, graph in graphs.items():
        want = ancestors_of(graph, [winners[run]])
        assert {tuple(row.values())[:3] for row in found[run]} == want
        assert len(found[run]) == len(want)
        counts = ancestry_counts(lab.individuals, of=won.filter(f"run_uuid = '{run}'"))
        assert rows_of(counts) == counts_of(graph, [winners[run]])
        by_uuid = distinct(found[run])
        assert {row["generation"]: row["ancestors"] for row in rows_of(counts) if row["ancestors"]} == by_uuid
        repeated += len({row["uuid"] for row in found[run]}) < len(found[run])
        roots_later += any(row["is_root"] and row["generation"] > 0 for row in found[run])
    assert repeated  # an ancestor that was reproduced
    assert roots_later  # a random replacement, or genesis, in the middle of a run


def test_every_edge(lab, graphs):
    edges = ancestry_edges(lab.individuals).to_arrow_table().to_pylist()
    want = {(parent, child, at) for graph in graphs.values() for parent, child, at in graph.edges(data="position")}
    parent = ("run_uuid", "parent_generation", "parent_location")
    found = {
        (tuple(row[n] for n in parent), (row["run_uuid"], row["generation"], row["location"]), row["position"])
        for row in edges
        if row["parent_generation"] is not None
    }
    assert found == want
    lost = sum(lost for graph in graphs.values() for _, lost in graph.nodes(data="lost"))
    assert len(edges) - len(found) == lost > 0
    assert any(row["generation"] - (row["parent_generation"] or 0) > 1 for row in edges if row["generation"] > 0)


def test_ages(lab):
    rows = age_error(lab.individuals).to_arrow_table().to_pylist()
    genesis = lab.sql("SELECT count(*) FROM individuals WHERE genetic_operators = ['genesis']").fetchall()[0][0]
    assert sum(row["is_genesis"] for row in rows) == genesis > 0
    assert len(rows) == lab.sql("SELECT count(*) FROM individuals WHERE age + total_error < 1/0").fetchall()[0][0]
