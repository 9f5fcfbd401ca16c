"""A genealogy as a graph of networkx, and as GraphML."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.analyses.frames import check_columns, give_rows, take, wrap
from gpdata.analyses.genealogy import KEY
from gpdata.errors import InvalidInput
from gpdata.schema import INDIVIDUALS

if TYPE_CHECKING:
    import networkx as nx

Key = tuple[str, int, int]

_EDGE = ("position", "genes", "distance")
_FACTS = ("total_error", "genome_size", "program_size")


def to_networkx(
    edges: Any, *, ancestors: Any = None, individuals: Any = None, threshold: float = 0.0
) -> nx.MultiDiGraph[str]:
    """Make a graph of networkx of a genealogy: a node for each individual, an edge from each parent to its child.

    Parameters
    ----------
    edges : frame
        What `gpdata.ancestry_edges` or `gpdata.genetic_ancestry` returned, of any engine.
    ancestors : frame, optional
        What `gpdata.ancestry` returned: the graph has these individuals, and no others. By default it has all that
        an edge names.
    individuals : frame, optional
        `lab.individuals`: what is known of each individual of the graph is read from it, of no other.
    threshold : float
        The error up to which a training case counts as solved, for `solved`.

    Returns
    -------
    networkx.MultiDiGraph
        The nodes are called `run_uuid/generation/location`. Attributes of a node; what is not known is left out:

        - `run_uuid`, `generation`, `location`, `uuid`.
        - `selections`: how often it was taken as a parent, over all edges given, those to individuals that are not
          in the graph included. A parent that was taken twice for one child counts twice.
        - `children`: how many different nodes of the graph it is a parent of.
        - `parents_missing`: how many of its parents were not recorded. They have no node: none is invented.
        - with `individuals`: `total_error`, `genome_size`, `program_size`, and `solved`, the share of its training
          cases whose error is at most the threshold.

        Attributes of an edge: `position` and `operators`, of `ancestry_edges`; `genes` and `distance`, of
        `genetic_ancestry`.

    Raises
    ------
    InvalidInput
        A frame is none, or `threshold` is NaN.
    UnknownColumn
        A column is missing.

    Notes
    -----
    The edges are collected; of a large lake give those of the runs that are asked about.

    Examples
    --------
    >>> import gpdata, polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [0, 0, 1],
    ...         "location": [0, 1, 0],
    ...         "uuid": ["p", "q", "r"],
    ...         "parent_uuids": [None, None, ["p", "p", "lost"]],
    ...         "genetic_operators": [["random"], ["random"], ["alternation"]],
    ...     }
    ... )
    >>> graph = to_networkx(gpdata.ancestry_edges(individuals))
    >>> graph.number_of_nodes(), graph.number_of_edges(), graph.nodes["a/1/0"]["parents_missing"]
    (2, 2, 1)
    """
    import networkx as nx

    if math.isnan(threshold):
        raise InvalidInput("threshold is NaN: give the greatest error at which a case counts as solved.")
    rows = _rows(edges, "edges", [*KEY, "uuid", "parent_uuid", "parent_generation", "parent_location"], _EDGE)
    nodes: dict[Key, dict[str, Any]] = {}
    if ancestors is not None:
        for row in _rows(ancestors, "ancestors", [*KEY, "uuid"]):
            _place(nodes, row["run_uuid"], row["generation"], row["location"], row["uuid"])
    selections: dict[Key, int] = {}
    missing: dict[Key, int] = {}
    found: list[tuple[Key, Key, dict[str, Any]]] = []
    for row in rows:
        child: Key = (row["run_uuid"], row["generation"], row["location"])
        if ancestors is None:
            _place(nodes, *child, row["uuid"])
        if row["parent_generation"] is None:
            missing[child] = missing.get(child, 0) + 1
            continue
        parent: Key = (row["run_uuid"], row["parent_generation"], row["parent_location"])
        selections[parent] = selections.get(parent, 0) + 1
        if ancestors is None:
            _place(nodes, *parent, row["parent_uuid"])
        if child in nodes and parent in nodes:
            facts = {name: row[name] for name in _EDGE if row.get(name) is not None}
            if row.get("genetic_operators") is not None:
                facts["operators"] = " + ".join(map(str, row["genetic_operators"]))
            found.append((parent, child, facts))
    if individuals is not None:
        _add_facts(nodes, individuals, threshold)

    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    children: dict[Key, set[Key]] = {}
    for parent, child, _ in found:
        children.setdefault(parent, set()).add(child)
    for key in sorted(nodes, key=lambda key: (key[0], key[1], key[2])):
        counts = {
            "selections": selections.get(key, 0),
            "children": len(children.get(key, ())),
            "parents_missing": missing.get(key, 0),
        }
        graph.add_node(node_name(key), **nodes[key], **counts)
    for parent, child, facts in found:
        graph.add_edge(node_name(parent), node_name(child), **facts)
    return graph


def write_graphml(graph: nx.MultiDiGraph[str], path: str | os.PathLike[str]) -> None:
    """Write a graph as GraphML, which Gephi, Cytoscape, igraph and yEd open.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        What `to_networkx` returned.
    path : str or Path
        The file to write.

    Returns
    -------
    None
        The attributes of nodes and edges are those of the graph.

    Raises
    ------
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import networkx, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.graphml"
    >>> write_graphml(networkx.MultiDiGraph([("a/0/0", "a/1/0")]), path)
    >>> networkx.read_graphml(path).number_of_edges()
    1
    """
    import networkx as nx

    nx.write_graphml_xml(graph, os.fspath(path), named_key_ids=True)


def node_name(key: Key) -> str:
    """Name a node.

    Examples
    --------
    >>> node_name(("a", 3, 0))
    'a/3/0'
    """
    return "/".join(map(str, key))


def _place(nodes: dict[Key, dict[str, Any]], run: str, generation: int, location: int, uuid: str | None) -> None:
    facts = {"run_uuid": run, "generation": generation, "location": location}
    nodes.setdefault((run, generation, location), facts | ({"uuid": uuid} if uuid is not None else {}))


def _rows(frame: Any, name: str, needed: list[str], also: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Collect the needed columns and those of `also` that are there."""
    given = wrap(frame, name)
    present = given.collect_schema().names()
    check_columns(needed, present, name, "Give what the analysis returned, whole.")
    chosen = given.select([*needed, *(n for n in (*also, "genetic_operators") if n in present and n not in needed)])
    rows: pa.Table = chosen.collect("pyarrow").to_native() if isinstance(chosen, nw.LazyFrame) else chosen.to_arrow()
    for at, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type):  # pandas, where a column has nulls
            whole = pc.if_else(pc.is_nan(rows[at]), pa.scalar(None, field.type), rows[at]).cast(pa.int64())
            rows = rows.set_column(at, field.name, whole)
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def _add_facts(nodes: dict[Key, dict[str, Any]], individuals: Any, threshold: float) -> None:
    keys = {name: [key[at] for key in nodes] for at, name in enumerate(KEY)}
    wanted = take(give_rows(keys, [INDIVIDUALS[name] for name in KEY], individuals, "wanted"), INDIVIDUALS, KEY)
    read = take(individuals, INDIVIDUALS, [*KEY, *_FACTS, "errors"]).join(wanted, on=list(KEY), how="semi")
    for row in read.collect("pyarrow").to_native().to_pylist():
        facts = nodes[row["run_uuid"], row["generation"], row["location"]]
        facts |= {name: row[name] for name in _FACTS if row[name] is not None}
        if row["errors"]:
            solved = sum(error is not None and error <= threshold for error in row["errors"])
            facts["solved"] = solved / len(row["errors"])
