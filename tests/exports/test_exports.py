"""Lineage written for other tools is read back by them, and is the genealogy."""

from __future__ import annotations

import math
import re

import duckdb
import networkx as nx
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings

import gpdata as gp
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.exports import to_networkx, to_phylogeny, write_dot, write_graphml, write_phylogeny
from tests.analyses.genealogies import genealogies, graph_of

SCHEMA = {
    "run_uuid": pl.String,
    "generation": pl.Int32,
    "location": pl.Int32,
    "uuid": pl.String,
    "parent_uuids": pl.List(pl.String),
    "genetic_operators": pl.List(pl.String),
    "total_error": pl.Float64,
    "errors": pl.List(pl.Float64),
    "genome_size": pl.Int32,
    "program_size": pl.Int32,
}
ROWS = [
    ("a", 0, 0, "p", None, ["random"], 9.0, [9.0, 0.0], 5, None),
    ("a", 0, 1, "q", None, ["random"], math.inf, None, 5, 6),
    ("a", 1, 0, 'r "x"\\', ["p", "p"], ["alternation"], 3.0, [1.0, 2.0, 0.0, None], 5, 6),
    ("a", 1, 1, "s", ["q", "lost"], None, None, [0.0], 5, 6),
    ("a", 2, 0, "w", ['r "x"\\', "s"], ["x", "y"], 0.0, [0.0, 0.0], 5, 6),
    ("a", 2, 1, "n", ["p"], ["x"], 1.0, [1.0], 5, 6),
    ("b", 0, 0, "p", None, ["random"], 1.0, [1.0], 5, 6),
]


def frame(rows=ROWS):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture
def graph():
    individuals = frame()
    winner = individuals.filter(uuid="w")
    return to_networkx(
        gp.ancestry_edges(individuals), ancestors=gp.ancestry(individuals, of=winner), individuals=individuals
    )


def test_the_graph_of_an_ancestry(graph):
    assert sorted(graph) == ["a/0/0", "a/0/1", "a/1/0", "a/1/1", "a/2/0"]
    # n, who is no ancestor, chose p too: three selections, and one child that is an ancestor.
    assert graph.nodes["a/0/0"] == {
        "run_uuid": "a", "generation": 0, "location": 0, "uuid": "p", "total_error": 9.0, "genome_size": 5,
        "solved": 0.5, "selections": 3, "children": 1, "parents_missing": 0,
    }  # fmt: skip
    assert graph.nodes["a/1/1"]["parents_missing"] == 1
    assert "total_error" not in graph.nodes["a/1/1"]
    assert graph.nodes["a/1/0"]["solved"] == 0.25  # an error that is null is not solved
    assert "solved" not in graph.nodes["a/0/1"]
    assert graph.number_of_edges("a/0/0", "a/1/0") == 2
    assert graph["a/0/0"]["a/1/0"][1] == {"position": 1, "operators": "alternation"}
    assert nx.is_directed_acyclic_graph(graph)


def test_a_threshold_solves_more():
    individuals = frame()
    graph = to_networkx(gp.ancestry_edges(individuals), individuals=individuals, threshold=1)
    assert graph.nodes["a/1/0"]["solved"] == 0.5
    with pytest.raises(InvalidInput, match="threshold is NaN"):
        to_networkx(gp.ancestry_edges(individuals), threshold=math.nan)


@settings(max_examples=60, deadline=None)
@given(rows=genealogies())
def test_the_graph_is_that_of_networkx(rows):
    schema = {name: SCHEMA[name] for name in rows[0]}
    individuals = pl.DataFrame([{n: row[n] for n in schema} for row in rows], schema=schema)
    wanted = graph_of(rows)
    got = to_networkx(gp.ancestry_edges(individuals), ancestors=gp.ancestry(individuals, of=individuals))
    assert set(got) == {"/".join(map(str, node)) for node in wanted}
    assert sorted((a, b, k) for a, b, k in got.edges(data="position")) == sorted(
        ("/".join(map(str, a)), "/".join(map(str, b)), k) for a, b, k in wanted.edges(data="position")
    )
    for node in wanted:
        facts = got.nodes["/".join(map(str, node))]
        assert facts["selections"] == wanted.out_degree(node)
        assert facts["children"] == len(set(wanted.successors(node)))
        assert facts["parents_missing"] == wanted.nodes[node]["lost"]


def test_graphml_is_read_back(graph, tmp_path):
    write_graphml(graph, tmp_path / "a.graphml")
    back = nx.read_graphml(tmp_path / "a.graphml", force_multigraph=True)
    assert dict(back.nodes(data=True)) == dict(graph.nodes(data=True))
    assert sorted(map(str, back.edges(data=True))) == sorted(map(str, graph.edges(data=True)))


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|->|[\w.+-]+|[{}\[\];=,]')


def test_dot_has_width_height_and_hue(graph, tmp_path):
    write_dot(graph, tmp_path / "a.dot")
    text = (tmp_path / "a.dot").read_text(encoding="utf-8")
    assert TOKEN.sub("", text).strip() == ""  # nothing but quoted texts, words and signs
    assert text.count("{") == text.count("}")
    line = {name: next(li for li in text.splitlines() if li.startswith(f'  "{name}" [')) for name in graph}
    assert "width=0.433, height=0.250" in line["a/0/0"]  # 0.25 x sqrt(3), and one child
    assert 'fillcolor="0.167 0.700 0.950"' in line["a/0/0"]  # half of the cases: yellow
    assert 'fillcolor="0.333' in line["a/2/0"]
    assert 'fillcolor="0.000 0.000 0.800"' in line["a/0/1"]  # not known: grey
    assert "dashed" in line["a/1/1"]
    assert text.count("->") == graph.number_of_edges()
    assert 'tooltip="r \\"x\\"\\\\, generation 1' in text
    assert text.count("rank=same") == 3


def test_dot_is_read_by_pydot(graph, tmp_path):
    pydot = pytest.importorskip("pydot", reason="pydot is not installed: DOT is read back with it where it is")
    write_dot(graph, tmp_path / "a.dot")
    (read,) = pydot.graph_from_dot_file(tmp_path / "a.dot")
    assert len(read.get_edges()) == graph.number_of_edges()


def test_genes_are_on_the_edges(tmp_path):
    edges = pl.DataFrame(
        {
            "run_uuid": ["a", "a"], "generation": [1, 1], "location": [0, 0], "uuid": ["r", "r"],
            "parent_uuid": ["p", "gone"], "parent_generation": [0, None], "parent_location": [0, None],
            "genes": [4, None], "distance": [7, None],
        }
    )  # fmt: skip
    for given_edges in (edges, edges.to_pandas(), duckdb.from_arrow(edges.to_arrow())):
        graph = to_networkx(given_edges)
        assert [facts for *_, facts in graph.edges(data=True)] == [{"genes": 4, "distance": 7}]
        assert graph.nodes["a/1/0"]["parents_missing"] == 1
    write_dot(graph, tmp_path / "a.dot")
    assert 'penwidth=1.30, label="7"' in (tmp_path / "a.dot").read_text()


def test_a_phylogeny_goes_out_and_comes_back(tmp_path):
    individuals = frame()
    edges = gp.ancestry_edges(individuals)
    taxa = to_phylogeny(edges)
    assert dict(zip(taxa["taxon_label"], taxa["ancestor_list"], strict=True)) == {
        "p": "[NONE]", "q": "[NONE]", 'r "x"\\': "[0]", "s": "[1]", "w": "[2,3]", "n": "[0]",
    }  # fmt: skip
    assert taxa["parents_missing"].tolist() == [0, 0, 0, 1, 0, 0]
    write_phylogeny(taxa, tmp_path / "a.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), taxa)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[:2] == [
        "id,ancestor_list,origin_time,run_uuid,generation,location,taxon_label,parents_missing",
        "0,[NONE],0,a,0,0,p,0",
    ]
    assert '"[2,3]"' in lines[5]
    single = to_phylogeny(edges, parents="first")
    assert single["ancestor_list"].tolist() == ["[NONE]", "[NONE]", "[0]", "[1]", "[2]", "[0]"]
    measured = gp.phylogeny(single).to_dict("records")[0]
    assert math.isnan(measured["mrca_depth"]) or measured["mrca_depth"] is None
    assert measured["mean_pairwise_distance"] == 3.0  # w and n; s is a tree of its own
    assert measured["phylogenetic_diversity"] == 5
    with pytest.raises(InvalidInput, match="parents='best'"):
        to_phylogeny(edges, parents="best")


def test_a_first_parent_that_was_lost_has_no_stand_in():
    rows = [ROWS[0], ("a", 1, 0, "r", ["lost", "p"], None, None, None, None, None)]
    taxa = to_phylogeny(gp.ancestry_edges(frame(rows)), parents="first")
    assert taxa[["ancestor_list", "parents_missing"]].to_numpy().tolist() == [["[NONE]", 0], ["[NONE]", 1]]


def test_nothing_makes_an_empty_file(tmp_path):
    edges = gp.ancestry_edges(frame([]))
    graph = to_networkx(edges)
    assert len(graph) == 0
    write_graphml(graph, tmp_path / "a.graphml")
    assert len(nx.read_graphml(tmp_path / "a.graphml")) == 0
    write_dot(graph, tmp_path / "a.dot")
    assert (tmp_path / "a.dot").read_text().endswith("}\n")
    assert len(to_phylogeny(edges)) == 0
    assert "id" in to_phylogeny(edges)
    with pytest.raises(UnknownColumn, match="parent_uuid"):
        to_networkx(frame())


def test_importing_loads_no_networkx():
    import subprocess
    import sys

    code = "import sys, gpdata.exports; assert not {'networkx', 'pandas', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
