"""The picture of how runs ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gpdata.analyses.last import ends_of_runs
from gpdata.plots.axes import (
    colours,
    finish,
    grouped,
    label,
    new_axes,
    rows_height,
    rows_of,
    say_empty,
    scale_errors,
)
from gpdata.plots.sourced import columns, sourced_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_NEEDED = ["run_uuid", "generation", "outcome", "total_error_min"]
_MARKERS = {"success": ("o", "success"), "failure": ("X", "failure"), "continue": ("s", "unfinished")}
_BOX: dict[str, Any] = {
    "showfliers": False,
    "manage_ticks": False,
    "boxprops": {"color": "0.6"},
    "whiskerprops": {"color": "0.6"},
    "capprops": {"color": "0.6"},
    "medianprops": {"color": "0.2", "linewidth": 2},
}


def _kept(given: Mapping[str, Any]) -> dict[str, pa.Table]:
    by = given["by"]
    keys = [by] if isinstance(by, str) else list(by)
    runs = columns(given["runs"], "runs", ["run_uuid", *keys])
    return {"last": columns(given["last"], "generations", _NEEDED), "runs": runs}


@sourced_by(_kept)
def last_generation(
    last: Any, runs: Any, *, by: str | Sequence[str], ax: Axes | None = None, source: Source | None = None
) -> Axes:
    """Draw the least total error in each run's last generation, run by run, with a box per group.

    Parameters
    ----------
    last : frame
        What `gpdata.last_generation` returned, of any engine.
    runs : frame
        `lab.runs`: the runs that are asked about.
    by : str or sequence of str
        Columns of `runs`, as in `gpdata.success_table`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        One row per group: a mark per run, by outcome, over a box of the quartiles and median whose whiskers
        reach to the extremes, and the number of runs drawn. A run whose last generation has no finite error
        is not drawn.

    Raises
    ------
    InvalidInput
        A frame is none, or the frames are of different engines.
    UnknownColumn
        A column is missing.

    Examples
    --------
    >>> import polars as pl
    >>> last = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "b"],
    ...         "generation": [9, 30],
    ...         "outcome": ["success", "failure"],
    ...         "total_error_min": [0.0, 3.0],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> ax = last_generation(last, runs, by="problem")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['odd']
    """
    ends, keys = ends_of_runs(last, runs, by, _NEEDED)
    rows = rows_of(ends)
    groups = grouped(rows, list(keys))
    labels = [label(key) for key in groups]
    ax = new_axes(8, 1.5 + rows_height(labels)) if ax is None else ax
    ax.set_xlabel("least total error in the run's last generation\n(box: quartiles and median, whiskers: extremes)")
    ax.set_ylabel(label(list(keys.values())))
    if not rows:
        say_empty(ax)
        return finish(ax, "x")

    drawn = {key: [row for row in group if _is_number(row["total_error_min"])] for key, group in groups.items()}
    for y, ends_of_group in enumerate(drawn.values()):
        errors = [row["total_error_min"] for row in ends_of_group]
        ax.boxplot(errors, positions=[y], orientation="horizontal", widths=0.6, whis=(0, 100), **_BOX)
        ax.annotate(f"n = {len(errors)}", (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize="small")
    for colour, (outcome, (marker, name)) in zip(colours(len(_MARKERS)), _MARKERS.items(), strict=True):
        places = [
            (row["total_error_min"], y + _spread(index))
            for y, ends_of_group in enumerate(drawn.values())
            for index, row in enumerate(ends_of_group)
            if row["outcome"] == outcome
        ]
        if places:
            xs, ys = zip(*places, strict=True)
            ax.plot(xs, ys, marker, color=colour, label=name, markeredgecolor="white", markeredgewidth=0.5)
    scale_errors(ax.set_xscale, [row["total_error_min"] for group in drawn.values() for row in group])
    ax.set_yticks(range(len(groups)), labels)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize="small")
    return finish(ax, "x")


def _is_number(error: float | None) -> bool:
    return error is not None and math.isfinite(error)


def _spread(index: int) -> float:
    """Spread marks over a row evenly, the same way every time: fractions of multiples of the golden ratio."""
    return (index * 0.6180339887 % 1 - 0.5) * 0.5
