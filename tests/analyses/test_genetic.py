"""Genes and best parents followed back: against plain Python, hand-computed cases, and the captures' gene uuids."""

from __future__ import annotations

from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import DamerauLevenshtein

import gpdata
from gpdata.analyses import BEST_PARENT_CHAIN, GENETIC_ANCESTRY, ancestry, best_parent_chain, genetic_ancestry
from gpdata.errors import InvalidInput, UnknownColumn
from tests.analyses.genealogies import genealogies, graph_of

SCHEMA = {
    "run_uuid": pl.String,
    "generation": pl.Int32,
    "location": pl.Int32,
    "uuid": pl.String,
    "parent_uuids": pl.List(pl.String),
    "total_error": pl.Float64,
    "gene_instruction": pl.List(pl.String),
    "gene_type": pl.List(pl.String),
    "gene_uuid": pl.List(pl.String),
    "gene_parent_uuid": pl.List(pl.String),
}


def person(run, generation, location, uuid, parents, genes, error=None):
    """Make a row; genes are texts `instruction:uuid<copied`."""
    parts = [gene.replace("<", ":").split(":") for gene in genes]
    return (
        run,
        generation,
        location,
        uuid,
        parents,
        error,
        [part[0] for part in parts],
        ["string"] * len(parts),
        [part[1] for part in parts],
        [part[2] if len(part) > 2 else None for part in parts],
    )


ROWS = [
    person("a", 0, 0, "p", None, ["x:1", "y:2"], 9.0),
    person("a", 0, 1, "q", None, ["z:3"], 7.0),
    person("a", 0, 2, "o", None, ["z:4"], 1.0),
    person("a", 1, 0, "r", ["p", "q"], ["x:5<1", "z:3"], 8.0),  # z was kept: its own uuid is q's
    person("a", 1, 1, "s", ["p", "o"], ["y:6<2"], 8.0),  # nothing of o, its other parent
    person("a", 2, 0, "w", ["s", "r", "gone"], ["z:7<3", "n:8", "y:9<6"], 2.0),  # r's x is lost on the way
    person("a", 2, 1, "v", ["s"], ["y:10<99"], 3.0),  # s has no gene 99
    person("a", 2, 2, "u", [], ["n:11"], 4.0),
    person("b", 2, 0, "w", ["gone"], ["n:12<1"], 5.0),  # another run: gene 1 of a is not meant
]


def frame(rows=ROWS):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def links(edges):
    return [tuple(row[n] for n in ("uuid", "parent_uuid", "genes", "distance")) for row in edges]


def test_genes_are_followed_to_who_began_them():
    individuals = frame()
    got = genetic_ancestry(individuals, of=individuals.filter(run_uuid="a", uuid="w")).to_dicts()
    assert links(got) == [
        # Of r only z is traced, so that p gave w nothing through r: its x stayed in r.
        ("r", "q", 1, 1),
        ("s", "p", 1, 1),
        ("w", "r", 1, 3),
        ("w", "s", 1, 2),
        ("w", "gone", None, None),
    ]
    assert [(row["parent_generation"], row["parent_location"]) for row in got][-1] == (None, None)


def test_what_is_lost_is_said_and_not_invented():
    individuals = frame()
    found = genetic_ancestry(individuals, of=individuals.filter(pl.col("uuid").is_in(["v", "u"])))
    assert links(found.to_dicts()) == [("v", None, 1, None)]
    other = genetic_ancestry(individuals, of=individuals.filter(run_uuid="b"))
    assert links(other.to_dicts()) == [("w", "gone", None, None)]


def test_genes_that_were_not_tracked_are_refused():
    individuals = frame().with_columns(gene_uuid=pl.lit(None, pl.List(pl.String)))
    with pytest.raises(InvalidInput, match="has no gene uuids"):
        genetic_ancestry(individuals, of=individuals.filter(uuid="v"))
    with pytest.raises(UnknownColumn, match="gene_uuid"):
        genetic_ancestry(individuals.drop("gene_uuid"), of=individuals.filter(uuid="v"))
    assert len(genetic_ancestry(individuals, of=individuals.clear())) == 0


def plain_distance(a, b):
    """Unrestricted Damerau-Levenshtein as a shortest path over single edits is too dear: Boytsov's recurrence."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            options = [table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i - 1] != b[j - 1])]
            # A swap with everything between removed and put in, for each pair of places that it may join.
            options += [
                table[k - 1, m - 1] + (i - k - 1) + 1 + (j - m - 1)
                for k in range(1, i)
                for m in range(1, j)
                if a[k - 1] == b[j - 1] and a[i - 1] == b[m - 1]
            ]
            table[i, j] = min(options)
    return table[len(a), len(b)]


@settings(max_examples=300, deadline=None)
@given(a=st.text("abc", max_size=8), b=st.text("abc", max_size=8))
def test_the_distance_is_that_of_every_swap_tried(a, b):
    assert DamerauLevenshtein.distance(a, b) == DamerauLevenshtein.distance(b, a) == plain_distance(a, b)


@pytest.mark.parametrize(("a", "b", "far"), [("", "", 0), ("abc", "", 3), ("ca", "abc", 2), ("abcdef", "bacdfe", 2)])
def test_known_distances(a, b, far):
    assert DamerauLevenshtein.distance(a, b) == far


def test_the_chain_of_best_parents():
    individuals = frame()
    got = best_parent_chain(individuals, of=individuals.filter(pl.col("uuid").is_in(["w", "u"]))).to_dicts()
    names = ("run_uuid", "of_location", "step", "uuid", "is_root", "parents_missing")
    assert [tuple(row[n] for n in names) for row in got] == [
        ("a", 0, 0, "w", False, 1),
        ("a", 0, 1, "s", False, 0),  # r has the same error: the first that the sender names
        ("a", 0, 2, "o", True, 0),  # though it gave no gene
        ("a", 2, 0, "u", True, 0),
        ("b", 0, 0, "w", False, 1),  # broken, no root
    ]
    none = individuals.with_columns(total_error=pl.when(pl.col("uuid") == "s").then(None).otherwise("total_error"))
    followed = best_parent_chain(none, of=none.filter(run_uuid="a", uuid="w"))
    assert followed["uuid"].to_list() == ["w", "r", "q"]
    # The only parent has no error, so that none is known to be the best: the chain ends, and v is no root.
    ended = best_parent_chain(none, of=none.filter(uuid="v"))
    assert ended.select("uuid", "is_root").rows() == [("v", False)]


@settings(max_examples=80, deadline=None)
@given(rows=genealogies(), data=st.data())
def test_chains_are_those_of_networkx(rows, data):
    errors = st.none() | st.just(float("nan")) | st.sampled_from([0.0, 1.0, 2.0])
    rows = [row | {"total_error": data.draw(errors)} for row in rows]
    graph = graph_of(rows)
    start = data.draw(st.sampled_from(sorted(graph)))
    schema = {name: SCHEMA[name] for name in rows[0] if name in SCHEMA}
    individuals = pl.DataFrame([{n: row[n] for n in schema} for row in rows], schema=schema)
    of = pl.DataFrame([start], schema=["run_uuid", "generation", "location"], orient="row")
    wanted, at = [], start
    while at is not None:
        wanted.append(at)
        known = []
        for parent, _, position in graph.in_edges(at, data="position"):
            error = graph.nodes[parent]["row"]["total_error"]
            if error is not None and error == error:
                known.append((error, position, parent))
        at = min(known)[2] if known else None
    got = best_parent_chain(individuals, of=of).to_dicts()
    assert [(row["run_uuid"], row["generation"], row["location"]) for row in got] == wanted
    assert [row["parents_missing"] for row in got] == [graph.nodes[node]["lost"] for node in wanted]
    assert [row["is_root"] for row in got] == [not graph.nodes[node]["row"]["parent_uuids"] for node in wanted]


def test_the_results_are_as_declared(engine, individuals_of, result_types):
    import pyarrow as pa

    table = frame([row for row in ROWS if row[3] in ("p", "q", "r")]).to_arrow()
    individuals = engine(table.cast(pa.schema([f.with_type(_small(f.type)) for f in table.schema])))
    for result, columns in (
        (genetic_ancestry(individuals, of=individuals), GENETIC_ANCESTRY),
        (best_parent_chain(individuals, of=individuals), BEST_PARENT_CHAIN),
    ):
        assert type(result) is type(individuals)
        assert result_types(result) == {column.name: column.type.value for column in columns}


def _small(type_):
    import pyarrow as pa

    if pa.types.is_large_list(type_):
        return pa.list_(_small(type_.value_type))
    return pa.string() if pa.types.is_large_string(type_) else type_


@pytest.fixture(scope="module")
def lab(captured):
    return gpdata.open(captured)


def test_every_run_of_the_captures_that_tracks_genes(lab):
    """The genes are followed again one by one, in plain Python, from the last generation's first individual."""
    runs = [
        run for (run,) in lab.sql("SELECT run_uuid FROM individuals WHERE gene_uuid IS NOT NULL GROUP BY 1").fetchall()
    ]
    assert len(runs) == 4
    for run in runs:
        mine = lab.individuals.filter(f"run_uuid = '{run}'")
        winner = gpdata.winner(mine, lab.generations, run=run)
        got = genetic_ancestry(mine, of=winner).to_arrow_table().to_pylist()
        rows = (
            mine.select("generation, location, uuid, parent_uuids, gene_uuid, gene_parent_uuid, gene_instruction")
            .to_arrow_table()
            .to_pylist()
        )
        places = defaultdict(dict)
        for row in sorted(rows, key=lambda row: -row["location"]):
            places[row["uuid"]][row["generation"]] = row
        start = winner.to_arrow_table().to_pylist()[0]
        first = next(r for r in rows if (r["generation"], r["location"]) == (start["generation"], start["location"]))
        edges, seen = defaultdict(set), set()
        stack = [(first["generation"], first["location"], gene) for gene in first["gene_uuid"]]
        known = {(row["generation"], row["location"]): row for row in rows}
        while stack:
            generation, location, gene = place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            child = known[generation, location]
            for at in [i for i, uuid in enumerate(child["gene_uuid"]) if uuid == gene]:
                parents = {}
                for uuid in child["parent_uuids"] or []:
                    earlier = [g for g in places[uuid] if g < generation]
                    if earlier:
                        parents[uuid] = places[uuid][max(earlier)]
                for source in (gene, (child["gene_parent_uuid"] or [None] * 999)[at]):
                    givers = [p for p in parents.values() if source is not None and source in (p["gene_uuid"] or [])]
                    for giver in givers:
                        edges[(generation, location), (giver["generation"], giver["location"])].add(at)
                        stack.append((giver["generation"], giver["location"], source))
                    if givers:
                        break
        assert {
            ((r["generation"], r["location"]), (r["parent_generation"], r["parent_location"])): r["genes"]
            for r in got
            if r["parent_generation"] is not None
        } == {pair: len(genes) for pair, genes in edges.items()}
        assert edges
        everybody = {(r["generation"], r["location"]) for r in ancestry(mine, of=winner).to_arrow_table().to_pylist()}
        assert {parent for _, parent in edges} < everybody
        pairs = [
            (known[r["generation"], r["location"]], known[r["parent_generation"], r["parent_location"]], r["distance"])
            for r in got
            if r["parent_generation"] is not None
        ]
        pairs.sort(key=lambda pair: len(pair[0]["gene_instruction"]) + len(pair[1]["gene_instruction"]))
        for child, parent, distance in pairs[:3]:
            assert distance == plain_distance(child["gene_instruction"], parent["gene_instruction"])
