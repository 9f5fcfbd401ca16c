"""The picture of age against total error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpdata.analyses import AGE_ERROR
from gpdata.plots.axes import colours, finish, new_axes, read_table, say_empty, scale_errors
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_MANY = 2000
"""From so many marks on they are pixels in a vector picture, which stays small so."""


@sourced
def age_error(ages: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw the age of individuals against their total error, those of genesis marked.

    Parameters
    ----------
    ages : frame
        What `gpdata.age_error` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A mark for each individual, of another shape and colour if it was made by genesis, with their numbers in
        the legend. The error axis is logarithmic where errors span two magnitudes or more, and linear next to zero
        where some are zero. An individual whose error is infinite is not drawn, and counted apart.

    Raises
    ------
    UnknownColumn
        `ages` lacks a column of `gpdata.analyses.AGE_ERROR`.

    Examples
    --------
    >>> import polars as pl
    >>> key = {"run_uuid": "a", "generation": 3, "location": [0, 1]}
    >>> ages = pl.DataFrame(key | {"age": [2.0, 0.0], "total_error": [1.0, 9.0], "is_genesis": [False, True]})
    >>> [text.get_text() for text in age_error(ages).get_legend().get_texts()]
    ['individuals (n = 1)', 'made by genesis (n = 1)']
    """
    table = read_table(ages, AGE_ERROR, "age_error")
    age, error = (table[name].to_numpy() for name in ("age", "total_error"))
    genesis = table["is_genesis"].to_numpy()
    ax = new_axes(6.5, 4.5) if ax is None else ax
    ax.set_xlabel("age (generations)")
    ax.set_ylabel("total error")
    drawn = np.isfinite(error) & np.isfinite(age)
    if not drawn.any():
        say_empty(ax, "no individuals with an age and an error")
        return finish(ax, "y")
    plain, marked = colours(2)
    # Many marks on one place add up to a dark one.
    alpha = float(np.clip(40 / np.sqrt(drawn.sum()), 0.05, 0.8))
    for chosen, colour, marker, name, size in (
        (drawn & ~genesis, plain, "o", "individuals", 4.0),
        (drawn & genesis, marked, "x", "made by genesis", 5.0),
    ):
        if chosen.any():
            (marks,) = ax.plot(age[chosen], error[chosen], marker, color=colour, markersize=size, alpha=alpha)
            marks.set_rasterized(bool(drawn.sum() > _MANY))
            if marker == "o":
                marks.set_markeredgewidth(0)
            ax.plot([], [], marker, color=colour, label=f"{name} (n = {chosen.sum():,})")
    if not drawn.all():
        ax.plot([], [], " ", label=f"infinite, not drawn (n = {(~drawn).sum():,})")
    scale_errors(ax.set_yscale, error[drawn])
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return finish(ax, "y")
