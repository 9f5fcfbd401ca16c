"""The pictures of selection: how often individuals were parents, and how many were nearly all parents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from gpdata.analyses import HYPERSELECTION, SELECTION_COUNTS
from gpdata.plots.axes import GREY, LINES, colours, finish, new_axes, read_table, say_empty
from gpdata.plots.lines import draw, generation_axis, over_runs
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_MOST_BARS = 40


@sourced
def selection_counts(counts: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw how many individuals were taken as a parent how many times.

    Parameters
    ----------
    counts : frame
        What `gpdata.selection_counts` returned, of any engine, or part of it: a generation, a run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A bar for each number of selections, or for several next to each other where there are many; the number of
        individuals is on a logarithmic scale. The individuals of a run's last generation, from which nobody was
        selected, and parents that were not recorded are left out, and the title says how many are drawn.

    Raises
    ------
    UnknownColumn
        `counts` lacks a column of `gpdata.analyses.SELECTION_COUNTS`.

    Examples
    --------
    >>> import polars as pl
    >>> key = {"run_uuid": "a", "generation": 0, "location": [0, 1, 2], "uuid": ["p", "q", "r"]}
    >>> ax = selection_counts(pl.DataFrame(key | {"selections": [3, 0, 0], "children": [2, 0, 0]}))
    >>> ax.get_title(loc="left")
    '3 individuals, 2 never selected'
    """
    table = read_table(counts, SELECTION_COUNTS, "selection_counts")
    table = table.filter(table["generation"].is_valid())
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("selections as a parent")
    ax.set_ylabel("individuals")
    groups = table.group_by(["run_uuid", "generation"]).aggregate([("selections", "sum")])
    groups = groups.filter(np.asarray(groups["selections_sum"].to_numpy()) > 0).select(["run_uuid", "generation"])
    selections = table.join(groups, ["run_uuid", "generation"], join_type="left semi")["selections"].to_numpy()
    if not len(selections):
        say_empty(ax, "no selections")
        return finish(ax, "y")
    width = -(-(int(selections.max()) + 1) // _MOST_BARS)
    bars = np.bincount(selections // width)
    ax.bar(np.arange(len(bars)) * width + (width - 1) / 2, bars, width=0.9 * width, color=colours(1)[0])
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.7)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    said = f"{len(selections):,} individuals, {np.count_nonzero(selections == 0):,} never selected"
    said += f"; each bar {width} counts" if width > 1 else ""
    ax.set_title(said, loc="left", fontsize="small", color=GREY)
    return finish(ax, "y")


@sourced
def hyperselection(counts: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw by generation how many individuals got at least some percent of the selections.

    Parameters
    ----------
    counts : frame
        What `gpdata.hyperselection` returned, of any engine, for one run or several.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each percent, the median over the runs, with the band between the quartiles. Lines break where a
        generation is missing.

    Raises
    ------
    UnknownColumn
        `counts` lacks a column of `gpdata.analyses.HYPERSELECTION`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"run_uuid": "a", "generation": 0, "percent": 5.0, "individuals": 3, "selections": 100}
    >>> [text.get_text() for text in hyperselection(pl.DataFrame([row])).get_legend().get_texts()]
    ['5 % or more']
    """
    table = read_table(counts, HYPERSELECTION, "hyperselection")
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("individuals with that share of selections")
    percent, generation = table["percent"].to_numpy(), table["generation"].to_numpy()
    percents = np.unique(percent)
    if not len(percents):
        say_empty(ax)
        return finish(ax, "y")
    individuals = table["individuals"].to_numpy().astype(np.float64)
    for index, (value, colour) in enumerate(zip(percents, colours(len(percents)), strict=True)):
        curve = over_runs(generation[percent == value], individuals[percent == value])
        assert curve is not None  # counts are never null
        draw(ax, curve, colour=colour, line=LINES[index % len(LINES)], label=f"{value:g} % or more")
    runs = len(table["run_uuid"].unique())
    said = "one run" if runs == 1 else f"median and quartiles over {runs} runs"
    ax.set_title(said, loc="right", fontsize="small", color=GREY)
    ax.set_ylim(bottom=0)
    generation_axis(ax)
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return finish(ax, "y")
