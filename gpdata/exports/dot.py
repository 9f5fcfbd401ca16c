"""A genealogy as DOT, for Graphviz."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

_SMALLEST = 0.25
_GREEN = 1 / 3
"""The hue of an individual that solves every case; red is 0."""
_UNKNOWN = "0.000 0.000 0.800"


def write_dot(graph: nx.MultiDiGraph[str], path: str | os.PathLike[str]) -> None:
    """Write a graph as DOT, which `dot -Tpdf` draws: a row of boxes for each generation, the oldest above.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        What `to_networkx` returned; with its `individuals`, the boxes have colours.
    path : str or Path
        The file to write.

    Returns
    -------
    None
        A box is as wide as the individual has `selections`, as high as it has `children` in the graph (both by
        their square root, the smallest a quarter of an inch), and its hue goes with the share of training cases
        that it solves from red, none, over yellow to green, all; grey where that is not known. It is dashed where
        a parent was not recorded. An edge is as thick as many genes went, where that is known, and names the
        distance of the genomes; several edges between the same two are one each.

    Raises
    ------
    OSError
        The file cannot be written.

    Notes
    -----
    Source of the coding: McPhee, N. F., Casale, M. M., Finzel, M., Helmuth, T., Spector, L. (2016), "Visualizing
    genetic programming ancestries", GECCO 2016 Companion.

    Examples
    --------
    >>> import networkx, tempfile, pathlib
    >>> graph = networkx.MultiDiGraph()
    >>> graph.add_node("a/0/0", run_uuid="a", generation=0, uuid="p", selections=4, children=1, solved=1.0)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.dot"
    >>> write_dot(graph, path)
    >>> print(path.read_text().splitlines()[4])
      "a/0/0" [width=0.500, height=0.250, fillcolor="0.333 0.700 0.950", tooltip="p, generation 0, 4 selections"];
    """
    lines = [
        "digraph ancestry {",
        "  rankdir=TB;",
        '  node [shape=box, style=filled, fixedsize=true, label=""];',
        '  edge [color="#00000080", arrowsize=0.5];',
    ]
    rows: dict[tuple[Any, Any], list[str]] = {}
    for name, facts in graph.nodes(data=True):
        lines.append(f"  {quote(name)} [{_attributes(_node(facts))}];")
        rows.setdefault((facts.get("run_uuid"), facts.get("generation")), []).append(name)
    for row in rows.values():
        lines.append(f"  {{ rank=same; {'; '.join(map(quote, row))}; }}")
    for parent, child, facts in graph.edges(data=True):
        shown = f" [{_attributes(_edge(facts))}]" if facts else ""
        lines.append(f"  {quote(parent)} -> {quote(child)}{shown};")
    Path(path).write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


def quote(text: object) -> str:
    r"""Write a text as DOT does, in quotes.

    Examples
    --------
    >>> print(quote('say "a\\b"'))
    "say \"a\\b\""
    """
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _node(facts: dict[str, Any]) -> dict[str, str]:
    selections, children, solved = facts.get("selections", 0), facts.get("children", 0), facts.get("solved")
    said = [facts.get("uuid", "no uuid"), f"generation {facts.get('generation')}", f"{selections} selections"]
    if "total_error" in facts:
        said.append(f"total error {facts['total_error']:g}")
    colour = _UNKNOWN if solved is None else f"{solved * _GREEN:.3f} 0.700 0.950"
    shown = {
        "width": f"{_SMALLEST * math.sqrt(max(selections, 1)):.3f}",
        "height": f"{_SMALLEST * math.sqrt(max(children, 1)):.3f}",
        "fillcolor": quote(colour),
        "tooltip": quote(", ".join(map(str, said))),
    }
    return shown | ({"style": quote("filled,dashed")} if facts.get("parents_missing") else {})


def _edge(facts: dict[str, Any]) -> dict[str, str]:
    shown = {}
    if "genes" in facts:
        shown["penwidth"] = f"{0.3 + math.sqrt(facts['genes']) / 2:.2f}"
    if "distance" in facts:
        shown["label"] = quote(facts["distance"])
    if "operators" in facts:
        shown["tooltip"] = quote(facts["operators"])
    return shown


def _attributes(shown: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in shown.items())
