"""The pictures of diversity and of homology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpdata.analyses import DIVERSITY, HOMOLOGY
from gpdata.plots.axes import GREY, LINES, colours, finish, new_axes, read_table, say_empty
from gpdata.plots.lines import draw, generation_axis, over_runs, without_gaps
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_SAID = {
    "genomes": "genomes",
    "programs": "programs",
    "behaviors": "behavior vectors",
    "error_vectors": "error vectors",
    "total_errors": "total errors",
}


@sourced
def diversity(shares: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw by generation how many different genomes, programs, behaviors and errors populations have, by their size.

    Parameters
    ----------
    shares : frame
        What `gpdata.diversity` returned, of any engine, for one run or several. Keep the runs that belong together.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each of what was recorded, the median over the runs, with the band between the quartiles. Lines
        break where a generation is missing.

    Raises
    ------
    UnknownColumn
        `shares` lacks a column of `gpdata.analyses.DIVERSITY`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"run_uuid": "a", "generation": 0, "population_size": 4, "error_vectors": 0.75, "total_errors": 0.5}
    >>> ax = diversity(pl.DataFrame([row | {"genomes": 1.0, "programs": None, "behaviors": None}]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['genomes', 'error vectors', 'total errors']
    """
    table = read_table(shares, DIVERSITY, "diversity")
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("different ones / population size")
    runs = len(table["run_uuid"].unique())
    said = "one run" if runs == 1 else f"median and quartiles over {runs} runs"
    ax.set_title(said, loc="right", fontsize="small", color=GREY)
    generation = table["generation"].to_numpy()
    drawn = False
    for name, colour, line in zip(_SAID, colours(len(_SAID)), (*LINES, "-"), strict=True):
        curve = over_runs(generation, np.asarray(table[name].to_numpy(), dtype=np.float64))
        if curve is not None:
            draw(ax, curve, colour=colour, line=line, label=_SAID[name], alpha=0.15)
            drawn = True
    if not drawn:
        ax.set_title("", loc="right")
        say_empty(ax)
        return finish(ax, "y")
    ax.set_ylim(0, 1.03)
    generation_axis(ax)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return finish(ax, "y")


@sourced
def homology(distances: Any, *, ax: Axes | None = None, source: Source | None = None) -> Axes:
    """Draw by generation how far genomes of a population are apart.

    Parameters
    ----------
    distances : frame
        What `gpdata.homology` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        Of one run the median over the sampled pairs, with the band between their quartiles. Of several the median
        over the runs of their mean distances, and the quartiles over the runs: the title says which.

    Raises
    ------
    UnknownColumn
        `distances` lacks a column of `gpdata.analyses.HOMOLOGY`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"run_uuid": "a", "generation": 0, "pairs": 9, "distance_mean": 0.5, "distance_sd": 0.1}
    >>> ax = homology(pl.DataFrame([row | {"distance_q1": 0.4, "distance_median": 0.5, "distance_q3": 0.6}]))
    >>> ax.get_title(loc="left")
    'one run: median and quartiles over pairs'
    """
    table = read_table(distances, HOMOLOGY, "homology")
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("edit distance / longer genome")
    runs = len(table["run_uuid"].unique())
    if runs == 1:
        names = ("generation", "distance_median", "distance_q1", "distance_q3")
        curve = without_gaps(*(table[name].to_pylist() for name in names))
        said = "one run: median and quartiles over pairs"
    else:
        curve = over_runs(table["generation"].to_numpy(), table["distance_mean"].to_numpy())
        said = f"mean distance: median and quartiles over {runs} runs"
    if curve is None:
        say_empty(ax)
        return finish(ax, "y")
    draw(ax, curve, colour=colours(1)[0], line="-", label="distance")
    ax.set_title(said, loc="left", fontsize="small", color=GREY)
    ax.set_ylim(0, 1.03)
    generation_axis(ax)
    return finish(ax, "y")
