"""The picture of size curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from gpdata.analyses import SIZE_CURVES
from gpdata.analyses.frames import check_choice
from gpdata.plots.axes import (
    GREY,
    LINES,
    colours,
    finish,
    grouped,
    label,
    name_height,
    new_axes,
    read,
    say_empty,
)
from gpdata.plots.lines import draw, generation_axis, without_gaps
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

Size = Literal["genome_size", "program_size", "percent_parens"]

_SAID = {
    "genome_size": "mean genome size (genes)",
    "program_size": "mean program size (points)",
    "percent_parens": "mean share of parentheses",
}
_MOST_INSIDE = 4
"""Up to so many groups the legend stands inside the axes, above that beside them."""


@sourced
def size_curves(curve: Any, *, ax: Axes | None = None, of: Size = "genome_size", source: Source | None = None) -> Axes:
    """Draw how large genomes or programs are by generation, the median over runs with the band between the quartiles.

    Parameters
    ----------
    curve : frame
        What `gpdata.size_curves` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    of : {"genome_size", "program_size", "percent_parens"}
        Which size.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One line and band per group, with the greatest number of runs in the legend. Lines break where a generation
        is missing. A group of which the size is not known has no line.

    Raises
    ------
    InvalidInput
        `of` is not valid.
    UnknownColumn
        `curve` lacks a column of `gpdata.analyses.SIZE_CURVES`.

    Examples
    --------
    >>> import polars as pl
    >>> names = [f"{of}{at}" for of in ("genome_size", "program_size", "percent_parens") for at in ("", "_q1", "_q3")]
    >>> point = {"problem": "odd", "generation": 0, "runs": 3}
    >>> ax = size_curves(pl.DataFrame([point | dict.fromkeys(names, 20.0)]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'odd (n = 3)'
    """
    check_choice("of", of, get_args(Size))
    by, rows = read(curve, SIZE_CURVES, "size_curves")
    rows = [row for row in rows if row[of] is not None]
    groups = grouped(rows, by)
    beside = len(groups) > _MOST_INSIDE
    labels = [f"{label(key)} (n = {max(point['runs'] for point in points)})" for key, points in groups.items()]
    ax = new_axes(9 if beside else 6.5, max(4, 0.9 + sum(map(name_height, labels)))) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel(_SAID[of])
    ax.set_title("median and quartiles over runs", loc="left", fontsize="small", color=GREY)
    if not rows:
        say_empty(ax, "no sizes")
        return finish(ax, "y")
    for index, (points, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        line = without_gaps(*([point[name] for point in points] for name in ("generation", of, f"{of}_q1", f"{of}_q3")))
        assert line is not None  # rows without the size were left out
        style = LINES[index % len(LINES)]
        draw(ax, line, colour=colour, line=style, label=labels[index], alpha=0.12 if beside else 0.2)
    ax.set_ylim(bottom=0)
    generation_axis(ax)
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {"loc": "best"}
    ax.legend(title=label(by), frameon=False, fontsize="small", **place)
    return finish(ax, "y")
