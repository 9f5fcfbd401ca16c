"""The pictures of running times: shares of targets reached, and expected running times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpdata.analyses import ECDF, ERT
from gpdata.plots.axes import (
    GREY,
    LINES,
    Row,
    colours,
    finish,
    grouped,
    label,
    new_axes,
    read,
    rows_height,
    say_empty,
    scale_errors,
)
from gpdata.plots.groups import group_axes, group_legend
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source


@sourced
def ecdf(shares: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw the share of pairs of run and target that is reached within each number of evaluations.

    Parameters
    ----------
    shares : frame
        What `gpdata.ecdf` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One step line per group to the evaluations of its longest run, with the number of pairs in the legend. The axis
        of evaluations is logarithmic where they span two magnitudes or more.

    Raises
    ------
    UnknownColumn
        `shares` lacks a column of `gpdata.analyses.ECDF`.

    Examples
    --------
    >>> import polars as pl
    >>> rows = [("odd", 100.0, 4, 1, 0.25), ("odd", 300.0, 4, 3, 0.75)]
    >>> ax = ecdf(pl.DataFrame(rows, schema=["problem", "evaluations", "pairs", "reached", "share"], orient="row"))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd (3 of 4)'
    """
    by, rows = read(shares, ECDF, "ecdf")
    groups = grouped(rows, by)
    labels = [f"{label(key)} ({points[-1]['reached']:,} of {points[-1]['pairs']:,})" for key, points in groups.items()]
    ax = group_axes(ax, labels)
    ax.set_xlabel("evaluations of a run")
    ax.set_ylabel("share of (run, target) pairs reached")
    ax.set_ylim(-0.02, 1.02)
    if not rows:
        say_empty(ax)
        return finish(ax, "y")
    scale_errors(ax.set_xscale, [row["evaluations"] for row in rows])
    first = min(row["evaluations"] for row in rows)
    start = first / 1.5 if ax.get_xscale() == "log" else 0.0
    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        evaluations = [start, *(point["evaluations"] for point in points)]
        shown = [0.0, *(point["share"] for point in points)]
        line = LINES[index % len(LINES)]
        ax.plot(evaluations, shown, line, color=colour, linewidth=1.8, drawstyle="steps-post")
        ax.plot([], [], line, color=colour, linewidth=1.8, label=labels[index])
    group_legend(ax, by, labels)
    return finish(ax, "y")


@sourced
def ert(times: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw the expected running time to each target.

    Parameters
    ----------
    times : frame
        What `gpdata.ert` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        With targets, a line per group, easy targets on the left, with a dot at each and the number of runs in the
        legend; it ends where no run reached the target. Without (success is the sender's word), a row per group with a
        dot at its running time, and the numbers of successes and runs. An axis that spans two magnitudes or more is
        logarithmic.

    Raises
    ------
    UnknownColumn
        `times` lacks a column of `gpdata.analyses.ERT`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"problem": "odd", "target": 8.0, "runs": 2, "successes": 2, "evaluations": 300.0, "ert": 150.0}
    >>> ax = ert(pl.DataFrame([row]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd (n = 2)'
    """
    by, rows = read(times, ERT, "ert")
    if rows and all(row["target"] is None for row in rows):
        return _by_outcome(by, rows, ax)
    groups = grouped(rows, by)
    labels = [f"{label(key)} (n = {points[0]['runs']})" for key, points in groups.items()]
    ax = group_axes(ax, labels)
    ax.set_xlabel("target: total error to be reached")
    ax.set_ylabel("expected running time (evaluations)")
    drawn = [row for row in rows if row["ert"] is not None]
    if not drawn:
        say_empty(ax, "no run reached a target" if rows else "no runs")
        return finish(ax, "y")
    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        known = [(point["target"], point["ert"]) for point in points if point["ert"] is not None]
        targets, times = ([pair[at] for pair in known] for at in (0, 1))
        line = LINES[index % len(LINES)]
        ax.plot(targets, times, line, marker=".", color=colour, linewidth=1.5, label=labels[index])
    _scale(ax.set_yscale, ax.set_ylim, [row["ert"] for row in drawn])
    targets = [row["target"] for row in rows]
    scale_errors(ax.set_xscale, targets)
    low, high = min(targets), max(targets)
    if ax.get_xscale() == "log":
        ax.set_xlim(high * 1.3, low / 1.3)
    elif ax.get_xscale() == "symlog":
        ax.set_xlim(high * 1.3, -0.2 * min(target for target in targets if target > 0))
    else:
        ax.invert_xaxis()
    group_legend(ax, by, labels)
    return finish(ax, "y")


def _by_outcome(by: list[str], rows: list[Row], ax: Axes | None) -> Axes:
    labels = [label([row[name] for name in by]) for row in rows]
    ax = new_axes(8, 1.3 + rows_height(labels)) if ax is None else ax
    ax.set_xlabel("expected running time to success (evaluations)")
    ax.set_ylabel(label(by))
    drawn = [row["ert"] for row in rows if row["ert"] is not None]
    _scale(ax.set_xscale, ax.set_xlim, drawn or [1.0])
    (colour,) = colours(1)
    for y, row in enumerate(rows):
        counts = f"{row['successes']} / {row['runs']}"
        ax.annotate(counts, (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize="small")
        if row["ert"] is None:
            ax.annotate("no run succeeded", (0.01, y), xycoords=ax.get_yaxis_transform(), va="center", color=GREY)
        else:
            ax.plot(row["ert"], y, "o", color=colour, markersize=7)
    above = {"xycoords": "axes fraction", "xytext": (0, 4), "textcoords": "offset points", "va": "bottom"}
    ax.annotate("successes /\nruns", (1.02, 1), **above, fontsize="small", color=GREY)  # type: ignore[arg-type]
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    return finish(ax, "x")


def _scale(set_scale: Callable[..., None], set_limits: Callable[..., Any], values: list[float]) -> None:
    """Scale an axis of running times: from zero, or logarithmic where they span two magnitudes."""
    if max(values) < 100 * min(values):
        set_limits(0, 1.05 * max(values))
    else:
        set_scale("log")
