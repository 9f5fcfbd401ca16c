"""Genealogies: the graph of networkx that answers are held to, and generated ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import networkx as nx
from hypothesis import strategies as st

Row = dict[str, Any]


def graph_of(individuals: list[Row]) -> nx.MultiDiGraph:
    """Return the graph from parent to child of rows (run, generation, location), lost parents as a number on it."""
    graph = nx.MultiDiGraph()
    places = defaultdict(lambda: defaultdict(list))
    for row in individuals:
        graph.add_node((row["run_uuid"], row["generation"], row["location"]), row=row, lost=0)
        if row["uuid"] is not None:
            places[row["run_uuid"], row["uuid"]][row["generation"]].append(row["location"])
    for row in individuals:
        node = (row["run_uuid"], row["generation"], row["location"])
        for position, parent in enumerate(row["parent_uuids"] or []):
            known = places.get((row["run_uuid"], parent), {})
            earlier = [generation for generation in known if generation < row["generation"]]
            if earlier:
                graph.add_edge((row["run_uuid"], max(earlier), min(known[max(earlier)])), node, position=position)
            else:
                graph.nodes[node]["lost"] += 1
    return graph


def ancestors_of(graph: nx.MultiDiGraph, chosen: list[Any]) -> set[Any]:
    return set(chosen).union(*(nx.ancestors(graph, node) for node in chosen))


def counts_of(graph: nx.MultiDiGraph, chosen: list[Any]) -> list[Row]:
    """Count ancestors, offspring and offspring that are ancestors again, from the graph."""
    ancestors = ancestors_of(graph, chosen)

    def who(node: Any) -> Any:
        uuid = graph.nodes[node]["row"]["uuid"]
        return (node[0], uuid) if uuid is not None else node

    found: dict[int, list[set[Any]]] = defaultdict(lambda: [set(), set(), set()])
    for node in ancestors:
        found[node[1]][0].add(who(node))
        for child in graph.successors(node):
            found[node[1]][1].add(who(child))
            if child in ancestors:
                found[node[1]][2].add(who(child))
    if not found:
        return []
    recorded = {node[1] for node in graph if node[0] in {run for run, *_ in chosen}}
    names = ("ancestors", "offspring", "ancestor_offspring")
    return [
        {"generation": at} | dict(zip(names, map(len, found[at]), strict=True))
        for at in sorted(recorded)
        if min(found) <= at <= max(node[1] for node in chosen)
    ]


@st.composite
def genealogies(draw: st.DrawFn) -> list[Row]:
    """Draw individuals of some runs: uuids repeat and lack, parents are lost, old, doubled or the child itself."""
    rows = []
    for run in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        names = st.sampled_from([None, *(f"u{number}" for number in range(draw(st.integers(1, 12))))])
        lists = st.none() | st.lists(names | st.just("lost"), max_size=3)
        for generation in sorted(draw(st.sets(st.integers(0, 6), min_size=1))):
            for location in range(draw(st.integers(1, 4))):
                rows.append(
                    {
                        "run_uuid": run,
                        "generation": generation,
                        "location": location,
                        "uuid": draw(names),
                        "parent_uuids": draw(lists),
                        "genetic_operators": draw(st.sampled_from([None, ["random"], ["x", "y"]])),
                    }
                )
    return draw(st.permutations(rows))


def distinct(rows: list[Row]) -> Counter[int]:
    """Count rows of an ancestry by generation and distinct uuid, as a user would."""
    return Counter(generation for generation, _, _ in {(r["generation"], r["run_uuid"], r["uuid"]) for r in rows})
