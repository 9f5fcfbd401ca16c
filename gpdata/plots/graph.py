"""The picture of an ancestry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize, SymLogNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gpdata.analyses import ANCESTRY
from gpdata.analyses.genealogy import Genealogy, Numbers, genealogy
from gpdata.plots.axes import GREY, finish, label, new_axes, read_table, say_empty
from gpdata.plots.layout import side_by_side
from gpdata.plots.sourced import sourced_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_READ = ("total_error", "genetic_operators")
_STYLES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 3)))
"""The line of each of the most frequent operators."""
_OTHER: Any = (0, (1, 5))
_MANY = 2000
"""From so many edges on they are pixels in a vector picture, which stays small so."""
_MOST_NAMED = 20
"""Of more runs the names would not be legible."""
_NO_OPERATOR = "(operator not sent)"


def _kept(given: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Keep the ancestors, and of the individuals the ancestors and those that they name as parents."""
    ancestors = read_table(given["ancestors"], ANCESTRY, "ancestry")
    lines = genealogy(given["individuals"], ancestors["run_uuid"].unique().to_pylist(), *_READ)
    nodes = lines.find(ancestors)
    nodes = nodes[nodes >= 0]
    parents = lines.parent[np.isin(lines.child, nodes)]
    rows = np.union1d(nodes, parents[parents >= 0])
    return {"ancestors": ancestors, "individuals": lines.rows.take(pa.array(rows, pa.int64()))}


@sourced_by(_kept)
def ancestry(ancestors: Any, individuals: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw an ancestry as a graph: a row per generation, the oldest above, and an edge from parent to child.

    Parameters
    ----------
    ancestors : frame
        What `gpdata.ancestry` returned, of any engine.
    individuals : frame
        `lab.individuals`: the errors, operators and parents of the ancestors are read from it, of no other run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A mark per ancestor, coloured by total error (grey where it is no finite number): a square for a root, a
        dot for others, with a ring where lines end in somebody who is no one's parent here, and a cross where a
        parent was not recorded. A row is as wide as its generation has ancestors, and ordered so that few edges
        cross; the ancestors of several runs stand side by side. Edges have the line style of the operators that
        made the child, most frequent first in the legend, which counts edges. A parent taken twice is one line.

    Raises
    ------
    UnknownColumn
        `ancestors` lacks a column of `gpdata.analyses.ANCESTRY`, or `individuals` one that is needed.

    Notes
    -----
    The order within a row is by barycentres: Sugiyama, K., Tagawa, S., Toda, M. (1981), "Methods for visual
    understanding of hierarchical system structures", IEEE Transactions on Systems, Man, and Cybernetics 11:109-125.

    Examples
    --------
    >>> import gpdata, polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [0, 0, 1],
    ...         "location": [0, 1, 0],
    ...         "uuid": ["p", "q", "r"],
    ...         "parent_uuids": [None, None, ["p", "q"]],
    ...         "genetic_operators": [["random"], ["random"], ["alternation"]],
    ...         "total_error": [5.0, 7.0, 2.0],
    ...     }
    ... )
    >>> ax = ancestry(gpdata.ancestry(individuals, of=individuals[2:]), individuals)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['alternation (2 edges)', 'root', 'no child here']
    """
    table = read_table(ancestors, ANCESTRY, "ancestry")
    runs = table["run_uuid"].unique().to_pylist()
    lines = genealogy(individuals, runs, *_READ)
    nodes = lines.find(table)
    nodes, roots = nodes[nodes >= 0], table["is_root"].to_numpy()[nodes >= 0]
    generations = lines.generation[nodes]
    rows = len(np.unique(generations))
    ax = new_axes(8, float(np.clip(1.6 + 0.22 * rows, 3.5, 11))) if ax is None else ax
    ax.set_ylabel("generation")
    if not len(nodes):
        ax.set_xlabel("ancestors")
        say_empty(ax, "no ancestors")
        return finish(ax, "y")

    number = np.full(len(lines.run), -1)
    number[nodes] = np.arange(len(nodes))
    edges = np.flatnonzero((lines.parent >= 0) & (number[lines.child] >= 0))
    edges = edges[number[lines.parent[edges]] >= 0]
    pairs, first = np.unique(number[lines.parent[edges]] * len(nodes) + number[lines.child[edges]], return_index=True)
    parent, child = np.divmod(pairs, len(nodes))
    x, centres = side_by_side(lines.run[nodes], generations, parent, child)

    legend = _draw_edges(ax, x, generations, parent, child, _operators(lines, lines.child[edges[first]]))
    legend += _draw_nodes(ax, lines, nodes, x, roots, child_of=parent)
    ax.set_ylim(generations.max() + 0.7, generations.min() - 0.7)
    ax.set_xlim(x.min() - 1.5, x.max() + 1.5)
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.set_xticks([])
    if 1 < len(runs) <= _MOST_NAMED:
        names = [lines.runs[run].as_py()[:8] for run in centres]
        ax.set_xticks(list(centres.values()), names, rotation=45, ha="right", fontsize="small")
    several = f" of {len(runs)} runs" if len(runs) > 1 else ""
    ax.set_xlabel(f"{len(nodes):,} individuals{several}, those of a generation side by side")
    ax.legend(handles=legend, frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    finish(ax, "y")
    ax.spines["bottom"].set_visible(False)
    return ax


def _operators(lines: Genealogy, children: Numbers) -> list[str]:
    """Name the operators that made each child."""
    made = lines.rows["genetic_operators"].take(pa.array(children)).to_pylist()
    return [" + ".join(map(str, names)) if names else _NO_OPERATOR for names in made]


def _draw_edges(
    ax: Axes, x: Any, generations: Numbers, parent: Numbers, child: Numbers, operators: list[str]
) -> list[Line2D]:
    counts = Counter(operators)
    common = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: len(_STYLES)]]
    styles = dict(zip(common, _STYLES, strict=False))
    places = np.stack([np.stack([x[ends], generations[ends]], axis=1) for ends in (parent, child)], axis=1)
    drawn = np.array([name if name in styles else "" for name in operators])
    weight = float(np.clip(10 / math.sqrt(len(operators) + 1), 0.1, 1))
    handles = []
    for name in [*common, ""]:
        these = drawn == name
        if not these.any():
            continue
        style = styles.get(name, _OTHER)
        ax.add_collection(
            LineCollection(
                list(places[these]),
                linestyles=[style],
                linewidths=0.4 + 0.7 * weight,
                colors="0.35",
                alpha=0.1 + 0.7 * weight,
                rasterized=len(operators) > _MANY,
                zorder=1,
            )
        )
        said = label([name]) if name else f"{len(counts) - len(common)} other operators"
        edges = f"{these.sum():,} edge{'s' if these.sum() > 1 else ''}"
        handles.append(Line2D([], [], color="0.35", linestyle=style, label=f"{said} ({edges})"))
    return handles


def _draw_nodes(ax: Axes, lines: Genealogy, nodes: Numbers, x: Any, roots: Any, child_of: Numbers) -> list[Line2D]:
    generations = lines.generation[nodes]
    error = lines.rows["total_error"].take(pa.array(nodes)).to_numpy()
    known = np.isfinite(error)
    lost = np.zeros(len(lines.run), dtype=np.bool_)
    lost[lines.child[lines.parent < 0]] = True
    last = np.ones(len(nodes), dtype=np.bool_)
    last[child_of] = False

    size = _mark_size(ax, np.ptp(x) + 3, np.ptp(generations) + 1.4)
    norm = _norm(error[known])
    shown = None
    for chosen, marker in ((~roots, "o"), (roots, "s")):
        these = chosen & ~known
        ax.scatter(x[these], generations[these], size, color="0.7", marker=marker, linewidths=0, zorder=2)
        these = chosen & known
        if these.any():
            shown = ax.scatter(
                x[these],
                generations[these],
                size,
                error[these],
                marker=marker,
                linewidths=0,
                zorder=3,
                rasterized=len(nodes) > _MANY,
                norm=norm,
                cmap="viridis",
            )
    if shown is not None:
        ax.figure.colorbar(shown, ax=ax, label="total error", shrink=0.8, pad=0.02, aspect=30)
    handles = []
    for these, marker, name, colour in ((roots, "s", "root", ""), (last, "o", "no child here", "tab:red"),
                                (lost[nodes], "x", "a parent was not recorded", "tab:red")):  # fmt: skip
        if not these.any():
            continue
        style: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": colour or GREY, "linestyle": ""}
        if colour:
            wide = max(math.sqrt(size) * (1.7 if marker == "o" else 1), 5)
            ax.plot(x[these], generations[these], marker, markersize=wide, zorder=4, **style)
        handles.append(Line2D([], [], marker=marker, label=name, **style))
    return handles


def _mark_size(ax: Axes, width: float, height: float) -> float:
    """Return the area in square points of marks that keep rows apart and hardly hide each other in one."""
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return float(np.clip(min(90 * box.width / width, 40 * box.height / height), 1.5, 8) ** 2)


def _norm(errors: Any) -> Normalize:
    """Scale colours as `scale_errors` scales an axis; one scale for all marks."""
    least, greatest = errors.min(initial=math.inf), errors.max(initial=-math.inf)
    positive = errors[errors > 0].min(initial=math.inf)
    if least < 0 or greatest < 100 * positive:
        return Normalize(least, greatest)
    if least > 0:
        return LogNorm(least, greatest)
    return SymLogNorm(10 ** math.floor(math.log10(positive)), vmin=0, vmax=greatest)
