"""The picture of who is elite on which case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from matplotlib.ticker import MaxNLocator

from gpdata.analyses import LEXICASE_STATS
from gpdata.analyses.frames import check_choice
from gpdata.errors import InvalidInput, near
from gpdata.plots.axes import finish, new_axes, read_table, say_empty
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

Shown = Literal["elite", "zero"]

_SAID = {"elite": "elite on the case", "zero": "of error zero on the case"}


@sourced
def lexicase_stats(
    stats: Any, *, ax: Axes | None = None, of: Shown = "elite", run: str | None = None, source: Source | None = None
) -> Axes:
    """Draw which share of the population is elite on each training case, generation by generation.

    Parameters
    ----------
    stats : frame
        What `gpdata.lexicase_stats` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    of : {"elite", "zero"}
        The individuals that have the least error on the case, or those whose error is zero.
    run : str, optional
        The `run_uuid` of the run to draw; needed where `stats` has several.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A column for each generation and a row for each case, the darker the more individuals; white where a
        generation is missing or no error is a number.

    Raises
    ------
    InvalidInput
        `of` is not valid, or `stats` has several runs and `run` is none of them.
    UnknownColumn
        `stats` lacks a column of `gpdata.analyses.LEXICASE_STATS`.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"run_uuid": "a", "generation": 0, "case": 0, "individuals": 4, "least_error": 0.0}
    >>> ax = lexicase_stats(pl.DataFrame([row | {"elite": 2, "zero": 2}]))
    >>> ax.figure.axes[1].get_ylabel()
    'individuals elite on the case (share)'
    """
    check_choice("of", of, get_args(Shown))
    table = read_table(stats, LEXICASE_STATS, "lexicase_stats")
    runs = sorted(table["run_uuid"].unique().to_pylist())
    if run is None and len(runs) > 1:
        raise InvalidInput(f"the lexicase_stats has {len(runs)} runs: name one, such as run={runs[0]!r}.")
    if run is not None and run not in runs:
        raise InvalidInput(f"run={run!r} is not in the lexicase_stats; {near(run, runs)}")
    ax = new_axes(6.5, 4) if ax is None else ax
    ax.set_xlabel("generation")
    ax.set_ylabel("training case")
    chosen = np.asarray([name == (run or runs[0]) for name in table["run_uuid"].to_pylist()], dtype=np.bool_)
    generation, case, individuals, shown = (
        table[name].to_numpy()[chosen] for name in ("generation", "case", "individuals", of)
    )
    if not individuals.any():
        say_empty(ax, "no errors")
        return finish(ax, "y")
    first = generation.min()
    shares = np.full((case.max() + 1, generation.max() - first + 1), np.nan)
    known = individuals > 0
    shares[case[known], generation[known] - first] = shown[known] / individuals[known]
    edges = np.arange(first, generation.max() + 2) - 0.5, np.arange(case.max() + 2) - 0.5
    mesh = ax.pcolormesh(*edges, shares, cmap="viridis_r", vmin=0, vmax=1, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label=f"individuals {_SAID[of]} (share)")
    ax.invert_yaxis()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    finish(ax, "y")
    ax.grid(visible=False)
    return ax
