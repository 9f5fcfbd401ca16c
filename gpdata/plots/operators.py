"""The picture of what genetic operators do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpdata.analyses import OPERATOR_EFFECTS
from gpdata.plots.axes import GREY, colours, finish, label, new_axes, read, rows_height, say_empty
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source


@sourced
def operator_effects(effects: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw which share of each operator's children is better than the parent, the same, and worse.

    Parameters
    ----------
    effects : frame
        What `gpdata.operator_effects` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A bar for each group and pipeline of operators, in the frame's order from above, with the number of children
        that are compared and the median change of genome size. Who has no child that is compared, such as the
        random individuals of the start, is left out.

    Raises
    ------
    UnknownColumn
        `effects` lacks a column of `gpdata.analyses.OPERATOR_EFFECTS`.

    Examples
    --------
    >>> import polars as pl
    >>> from gpdata.analyses import OPERATOR_EFFECTS
    >>> row = {column.name: 0 for column in OPERATOR_EFFECTS} | {"genetic_operators": ["x", "y"], "compared": 4}
    >>> row |= {"improved": 1, "same": 1, "worse": 2}
    >>> [tick.get_text() for tick in operator_effects(pl.DataFrame([row])).get_yticklabels()]
    ['x + y']
    """
    by, rows = read(effects, OPERATOR_EFFECTS, "operator_effects")
    rows = [row for row in rows if row["compared"]]
    labels = [label([*(row[name] for name in by), _pipeline(row["genetic_operators"])], width=44) for row in rows]
    ax = new_axes(8.5, 1.3 + rows_height(labels)) if ax is None else ax
    ax.set_xlabel("share of the children that are compared")
    ax.set_ylabel(label([*by, "operators"]))
    if not rows:
        say_empty(ax, "no child has a parent to be compared with")
        return finish(ax, "x")
    *_, green, red = colours(4)
    left = [0.0] * len(rows)
    for name, colour, hatch in (("improved", green, ""), ("same", "0.85", ""), ("worse", red, "///")):
        shares = [row[name] / row["compared"] for row in rows]
        ax.barh(range(len(rows)), shares, 0.65, left, color=colour, edgecolor="white", hatch=hatch, label=name)
        left = [start + share for start, share in zip(left, shares, strict=True)]
    for y, row in enumerate(rows):
        change = row["genome_size_change_median"]
        said = f"{row['compared']:,} / {'?' if change is None else f'{change:+g}' if change else '0'}"
        ax.annotate(said, (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.annotate(
        "compared /\ngenome size, median",
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
    ax.set_xlim(0, 1)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize="small")
    return finish(ax, "x")


def _pipeline(operators: list[str] | None) -> str:
    return "(operator not sent)" if operators is None else " + ".join(operators) or "(none)"
