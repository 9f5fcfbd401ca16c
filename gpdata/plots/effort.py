"""The picture of Koza's computational effort."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from gpdata.analyses import COMPUTATIONAL_EFFORT
from gpdata.plots.axes import GREY, LINES, Row, colours, finish, grouped, label, read, say_empty
from gpdata.plots.groups import group_axes, group_legend
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source


@sourced
def computational_effort(effort: Any, *, ax: Axes | None = None, z: float = 0.99, source: Source | None = None) -> Axes:
    """Draw I(M,i,z) by generation, with a dot at its least value, the computational effort E.

    Parameters
    ----------
    effort : frame
        What `gpdata.computational_effort` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    z : float
        The probability that it was made with: only said, in the label.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One line per group over a logarithmic axis, from the first generation by which a run is solved; the legend says
        E and the generation where it is, or why there is none.

    Raises
    ------
    UnknownColumn
        `effort` lacks a column of `gpdata.analyses.COMPUTATIONAL_EFFORT`.

    Examples
    --------
    >>> import polars as pl
    >>> point = {"problem": "odd", "generation": 1, "runs": 2, "solved": 1, "probability": 0.5, "population_size": 500}
    >>> point |= {"runs_needed": 7.0, "individuals": 7000.0, "effort": 7000.0, "is_least": True}
    >>> ax = computational_effort(pl.DataFrame([point]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd: E = 7,000 at generation 1'
    """
    by, rows = read(effort, COMPUTATIONAL_EFFORT, "computational_effort")
    groups = grouped(rows, by)
    labels = [f"{label(key)}{_least(points)}" for key, points in groups.items()]
    ax = group_axes(ax, labels, beside=True)
    ax.set_xlabel("generation i")
    ax.set_ylabel(f"individuals to solve it with {100 * z:g} %: I(M, i, z)")
    ax.set_title("dot: the least, computational effort E", loc="left", fontsize="small", color=GREY)
    if not rows:
        say_empty(ax)
        return finish(ax, "y")
    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        line = LINES[index % len(LINES)]
        values = [math.nan if point["individuals"] is None else point["individuals"] for point in points]
        ax.plot([point["generation"] for point in points], values, line, color=colour, linewidth=1.5)
        least = [point for point in points if point["is_least"]]
        ax.plot([p["generation"] for p in least], [p["individuals"] for p in least], "o", color=colour, markersize=7)
        ax.plot([], [], line, color=colour, marker="o" if least else None, label=labels[index])
    last = max(1, *(row["generation"] for row in rows))
    ax.set_xlim(-0.02 * last, 1.02 * last)
    if any(row["individuals"] is not None for row in rows):
        ax.set_yscale("log")
    else:
        say_empty(ax, "no run is solved" if all(row["solved"] == 0 for row in rows) else "no effort")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    group_legend(ax, by, labels, beside=True)
    return finish(ax, "y")


def _least(points: list[Row]) -> str:
    for point in points:
        if point["is_least"]:
            return f": E = {point['effort']:,.0f} at generation {point['generation']}"
    if any(point["solved"] for point in points):
        return ": population sizes differ"
    return f": none of {points[-1]['runs']} solved"
