"""The picture of a diagnosis: how rows lie over a Spark frame's partitions."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from gpdata.analyses.frames import check_columns, wrap
from gpdata.plots.axes import GREY, colours, finish, new_axes, rows_of, say_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ("partition", "rows", "bytes")
_LABELLED = 24
"""Up to so many partitions, each bar has its number below."""


def partitions(table: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the rows of each partition, the largest first, the median as a line, and the bytes as points.

    Parameters
    ----------
    table : frame
        `Diagnosis.partitions` of what `gpdata.diagnose` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Bars of rows; the bytes have an axis of their own on the right.

    Raises
    ------
    UnknownColumn
        The table lacks one of `partition`, `rows` and `bytes`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> ax = partitions(pa.table({"partition": [0, 1, 2], "rows": [10, 90, 10], "bytes": [1000, 9000, 1000]}))
    >>> ax.get_title(loc="left")
    '3 partitions; the largest has 9.0 times the rows of the median one'
    """
    wrapped = wrap(table, "partitions")
    advice = "Give the partitions of what gpdata.diagnose returned."
    check_columns(_COLUMNS, wrapped.collect_schema().names(), "the table of partitions", advice)
    rows = sorted(rows_of(wrapped.select(*_COLUMNS)), key=lambda row: -row["rows"])
    ax = new_axes(7, 4) if ax is None else ax
    ax.set_xlabel("partition, the largest first")
    ax.set_ylabel("rows")
    if not rows:
        say_empty(ax, "no rows")
        return finish(ax, "y")
    middle = median(row["rows"] for row in rows)
    largest = rows[0]["rows"] / middle
    number = f"{len(rows):,} partition{'s' if len(rows) > 1 else ''}"
    title = f"{number}; the largest has {largest:.1f} times the rows of the median one"
    ax.set_title(title, loc="left", fontsize="small", color=GREY)
    bars, points = colours(2)
    places = range(len(rows))
    ax.bar(places, [row["rows"] for row in rows], width=0.85, color=bars, label="rows")
    ax.axhline(middle, color=GREY, linewidth=1, linestyle="--", label=f"median: {middle:,.0f} rows")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    labelled = len(rows) <= _LABELLED
    ax.set_xticks([*places] if labelled else [], [str(row["partition"]) for row in rows] if labelled else [])
    beside = ax.twinx()
    sizes = [row["bytes"] / 1e6 for row in rows]
    beside.plot(places, sizes, linestyle="none", marker=".", color=points, label="megabytes")
    beside.set_ylabel("megabytes of values")
    beside.set_ylim(bottom=0)
    beside.spines[["top", "left"]].set_visible(False)
    finish(ax, "y")
    handles, labels = (left + right for left, right in zip(_legend(ax), _legend(beside), strict=True))
    ax.legend(handles, labels, frameon=False, fontsize="small", loc="upper right")
    return ax


def _legend(ax: Axes) -> tuple[list[Any], list[Any]]:
    handles, labels = ax.get_legend_handles_labels()
    return list(handles), list(labels)
