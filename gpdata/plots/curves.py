"""The picture of error curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from matplotlib.ticker import MaxNLocator

from gpdata.analyses import ERROR_CURVES
from gpdata.analyses.curves import Stopped
from gpdata.analyses.frames import check_choice
from gpdata.plots.axes import (
    GREY,
    LINES,
    Row,
    colours,
    finish,
    grouped,
    label,
    name_height,
    new_axes,
    read,
    say_empty,
    scale_errors,
)
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_SAID = {
    "drop": "each run counts until it ends",
    "carry": "ended runs keep their last error",
    "zero": "solved runs count as 0 after their end",
}
_MOST_INSIDE = 4
"""Up to so many groups the legend stands inside the axes, above that beside them."""


@sourced
def error_curves(
    curve: Any, *, ax: Axes | None = None, stopped: Stopped = "drop", source: Source | None = None
) -> Axes:
    """Draw the median of the best error over runs by generation, with the band between the quartiles.

    Parameters
    ----------
    curve : frame
        What `gpdata.error_curves` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    stopped : {"drop", "carry", "zero"}
        What `curve` was made with: the picture says it, for the frame does not.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One line and band per group, with the number of runs, least and greatest, in the legend. Lines break
        where a generation is missing. The error axis is logarithmic where errors span two magnitudes or more,
        and linear next to zero where some are zero.

    Raises
    ------
    InvalidInput
        `stopped` is not valid.
    UnknownColumn
        `curve` lacks a column of `gpdata.analyses.ERROR_CURVES`.

    Examples
    --------
    >>> import polars as pl
    >>> point = {"problem": "odd", "generation": 0, "runs": 3, "best_median": 4.0}
    >>> ax = error_curves(pl.DataFrame([point | {"best_q1": 3.0, "best_q3": 5.0, "best_mean": 4.1}]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd (n = 3)'
    """
    check_choice("stopped", stopped, get_args(Stopped))
    by, rows = read(curve, ERROR_CURVES, "error_curves")
    groups = grouped(rows, by)
    beside = len(groups) > _MOST_INSIDE
    labels = [f"{label(key)} ({_runs(points)})" for key, points in groups.items()]
    ax = new_axes(9 if beside else 6.5, max(4, 0.9 + sum(map(name_height, labels)))) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("least total error in the population")
    ax.set_title(f"median and quartiles over runs; {_SAID[stopped]}", loc="left", fontsize="small", color=GREY)
    if not rows:
        say_empty(ax)
        return finish(ax, "y")

    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        whole = _without_gaps(points)
        generations = [point["generation"] for point in whole]
        low, high = ([point[name] for point in whole] for name in ("best_q1", "best_q3"))
        ax.fill_between(generations, low, high, color=colour, alpha=0.12 if beside else 0.2, linewidth=0)
        ax.plot(
            generations,
            [point["best_median"] for point in whole],
            LINES[index % len(LINES)],
            color=colour,
            linewidth=1.8,
            marker="." if len(points) < 60 else None,
            label=labels[index],
        )
    scale_errors(ax.set_yscale, [row[name] for row in rows for name in ("best_q1", "best_q3") if row[name] is not None])
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {"loc": "best"}
    ax.legend(title=label(by), frameon=False, fontsize="small", **place)
    return finish(ax, "y")


def _without_gaps(points: list[Row]) -> list[Row]:
    """Put a point without values where a generation is missing or its median null: there the line breaks."""
    known = {point["generation"]: point for point in points if point["best_median"] is not None}
    nothing = dict.fromkeys(("best_median", "best_q1", "best_q3"), math.nan)
    first, last = points[0]["generation"], points[-1]["generation"]
    return [known.get(generation, nothing | {"generation": generation}) for generation in range(first, last + 1)]


def _runs(points: list[Row]) -> str:
    least, greatest = (choose(point["runs"] for point in points) for choose in (min, max))
    return f"n = {greatest}" if least == greatest else f"n = {least} to {greatest}"
