"""The picture of a success table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpdata.analyses import SUCCESS_TABLE
from gpdata.plots.axes import GREY, colours, finish, label, new_axes, read, rows_height, say_empty
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source


@sourced
def success(table: Any, *, ax: Axes | None = None, confidence: float = 0.95, source: Source | None = None) -> Axes:
    """Draw the success rate of each group with its Wilson interval, and the counts behind it.

    Parameters
    ----------
    table : frame
        What `gpdata.success_table` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    confidence : float
        The confidence that the table was made with: only said, in the label.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One row per group, in the table's order from above: a dot at the rate, a bar for the interval, an
        open diamond at the share of generalising runs where test errors are known, and the counts. A group of
        which no run is counted has its counts only.

    Raises
    ------
    UnknownColumn
        `table` lacks a column of `gpdata.analyses.SUCCESS_TABLE`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"problem": "odd", "runs": 10, "finished": 10, "successes": 4, "generalising": 3, "rate": 0.4}
    >>> row |= {"rate_low": 0.17, "rate_high": 0.69}
    >>> row |= {"generations_min": 9, "generations_median": 30.0, "generations_max": 71}
    >>> ax = success(pl.DataFrame([row]))
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['odd']
    """
    by, rows = read(table, SUCCESS_TABLE, "success_table")
    labels = [label([row[name] for name in by]) for row in rows]
    ax = new_axes(8, 1.3 + rows_height(labels)) if ax is None else ax
    ax.set_xlabel(f"success rate (share of runs), bar: {100 * confidence:g} % Wilson interval")
    ax.set_ylabel(label(by))
    if not rows:
        say_empty(ax)
        return finish(ax, "x")

    solid, second = colours(2)
    for y, row in enumerate(rows):
        counts = f"{row['successes']} / {row['finished']} / {row['runs']}"
        ax.annotate(counts, (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize="small")
        if row["rate"] is None:
            ax.text(0, y, "no run counted", va="center", fontsize="small", color=GREY)
            continue
        ax.plot([row["rate_low"], row["rate_high"]], [y, y], color=solid, linewidth=2.5, solid_capstyle="butt")
        ax.plot(row["rate"], y, "o", color=solid, markersize=7)
        if row["generalising"] is not None:
            share = row["rate"] * row["generalising"] / row["successes"] if row["successes"] else 0.0
            ax.plot(share, y, "D", color=second, markerfacecolor="none", markeredgewidth=1.5, markersize=9)
    ax.annotate(
        "successes /\nfinished / runs",
        (1.02, 1),
        xycoords="axes fraction",
        xytext=(0, 4),
        textcoords="offset points",
        va="bottom",
        fontsize="small",
        color=GREY,
    )
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    if any(row["generalising"] is not None for row in rows):
        ax.plot([], [], "o", color=solid, label="success")
        ax.plot([], [], "D", color=second, markerfacecolor="none", label="and zero error on unseen tests")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize="small")
    return finish(ax, "x")
