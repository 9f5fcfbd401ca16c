"""The picture of how many runs are solved by each generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from gpdata.analyses import CUMULATIVE_SUCCESS
from gpdata.plots.axes import GREY, LINES, colours, finish, grouped, label, read, say_empty
from gpdata.plots.groups import group_axes, group_legend, is_beside
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source


@sourced
def cumulative_success(
    curve: Any, *, ax: Axes | None = None, confidence: float = 0.95, source: Source | None = None
) -> Axes:
    """Draw the share of runs that is solved by each generation, with the band of Wilson's interval.

    Parameters
    ----------
    curve : frame
        What `gpdata.cumulative_success` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    confidence : float
        The confidence that the curve was made with: only said, in the title.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One step line and band per group, to the group's last generation, with runs solved and counted in the legend.

    Raises
    ------
    UnknownColumn
        `curve` lacks a column of `gpdata.analyses.CUMULATIVE_SUCCESS`.

    Examples
    --------
    >>> import polars as pl
    >>> point = {"problem": "odd", "generation": 0, "runs": 4, "solved": 1, "probability": 0.25}
    >>> ax = cumulative_success(pl.DataFrame([point | {"probability_low": 0.05, "probability_high": 0.7}]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd (1 of 4)'
    """
    by, rows = read(curve, CUMULATIVE_SUCCESS, "cumulative_success")
    groups = grouped(rows, by)
    labels = [f"{label(key)} ({points[-1]['solved']} of {points[-1]['runs']})" for key, points in groups.items()]
    ax = group_axes(ax, labels)
    ax.set_xlabel("generation")
    ax.set_ylabel("share of runs solved by then")
    said = f"band: {100 * confidence:g} % Wilson interval at each generation"
    ax.set_title(said, loc="left", fontsize="small", color=GREY)
    ax.set_ylim(-0.02, 1.02)
    if not rows:
        say_empty(ax)
        return finish(ax, "y")
    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        generations, share, low, high = (
            [point[name] for point in points] + [points[-1][name]]
            for name in ("generation", "probability", "probability_low", "probability_high")
        )
        generations[-1] += 0.5  # the last step has a width too
        opacity = 0.1 if is_beside(labels) else 0.18
        ax.fill_between(generations, low, high, step="post", color=colour, alpha=opacity, linewidth=0)
        line = LINES[index % len(LINES)]
        ax.plot(generations, share, line, color=colour, linewidth=1.8, drawstyle="steps-post")
        ax.plot([], [], line, color=colour, linewidth=1.8, label=labels[index])
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    group_legend(ax, by, labels)
    return finish(ax, "y")
