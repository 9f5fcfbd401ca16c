"""The picture of how many ancestors there are in each generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from gpdata.analyses import ANCESTRY_COUNTS
from gpdata.plots.axes import LINES, colours, finish, new_axes, read, say_empty
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_SAID = {
    "offspring": "their offspring",
    "ancestors": "ancestors in this generation",
    "ancestor_offspring": "offspring that are ancestors",
}


@sourced
def ancestry_counts(counts: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw by generation the number of ancestors, of their offspring, and of the offspring that are ancestors.

    Parameters
    ----------
    counts : frame
        What `gpdata.ancestry_counts` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        Three lines, which break where a generation is missing.

    Raises
    ------
    UnknownColumn
        `counts` lacks a column of `gpdata.analyses.ANCESTRY_COUNTS`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"generation": 0, "ancestors": 2, "offspring": 5, "ancestor_offspring": 1}
    >>> ax = ancestry_counts(pl.DataFrame([row]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['their offspring', 'ancestors in this generation', 'offspring that are ancestors']
    """
    _, rows = read(counts, ANCESTRY_COUNTS, "ancestry_counts")
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("individuals, by distinct uuid")
    if not rows:
        say_empty(ax, "no ancestors")
        return finish(ax, "y")
    known = {row["generation"]: row for row in rows}
    generations = range(min(known), max(known) + 1)
    marker = "." if len(rows) < 60 else None
    for colour, line, (name, said) in zip(colours(len(_SAID)), LINES, _SAID.items(), strict=False):
        values = [known[at][name] if at in known else float("nan") for at in generations]
        ax.plot(generations, values, line, color=colour, marker=marker, linewidth=1.5, label=said)
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return finish(ax, "y")
