"""What the pictures share: rows of a frame, groups and their names, new axes, colours, an error axis."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import seaborn

from gpdata.analyses.frames import check_columns, wrap
from gpdata.schema.arrow import ARROW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.schema import Column

Row = dict[str, Any]

GREY = "0.45"
LINES = ("-", "--", "-.", ":")


def read(frame: Any, result: Sequence[Column], name: str) -> tuple[list[str], list[Row]]:
    """Read the rows of a result frame and say which of its columns are those it was grouped by.

    Parameters
    ----------
    frame : frame
        What an analysis returned.
    result : sequence of Column
        The columns that the analysis declares; every other column is one of `by`.
    name : str
        The analysis, for the message.

    Returns
    -------
    by : list of str
        The columns of `by`.
    rows : list of dict
        The rows, in order.

    Raises
    ------
    UnknownColumn
        A declared column is missing.
    """
    wrapped = wrap(frame, name)
    present = wrapped.collect_schema().names()
    declared = [column.name for column in result]
    _check_result(present, declared, name)
    return [column for column in present if column not in declared], rows_of(wrapped)


def read_table(frame: Any, result: Sequence[Column], name: str) -> pa.Table:
    """Read the declared columns of a result frame of many rows; otherwise as `read`."""
    wrapped = wrap(frame, name)
    declared = [column.name for column in result]
    _check_result(wrapped.collect_schema().names(), declared, name)
    return _collect(wrapped.select(declared)).cast(pa.schema([(column.name, ARROW[column.type]) for column in result]))


def _check_result(present: list[str], declared: list[str], name: str) -> None:
    check_columns(declared, present, f"the {name}", f"Give what gpdata.{name} returned.")


def rows_of(frame: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> list[Row]:
    """Collect a small frame as rows, every null as None."""
    rows: list[Row] = _collect(frame).to_pylist()
    return rows


def _collect(frame: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> pa.Table:
    return frame.collect("pyarrow").to_native() if isinstance(frame, nw.LazyFrame) else frame.to_arrow()


def grouped(rows: Iterable[Row], by: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Group rows by the columns of `by`, in the order of their first rows."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return groups


def label(key: Sequence[Any], width: int = 32, most_lines: int = 2) -> str:
    """Name a group by its values, null being "(not set)"; a name too long for a line has one value on each.

    Examples
    --------
    >>> label(("odd", None))
    'odd · (not set)'
    >>> print(label(("software.replace_space_with_newline", "lexicase")))
    software.
    replace_space_with_newline
    lexicase
    >>> label(())
    'all runs'
    """
    values = list(map(value_name, key)) or ["all runs"]
    if len(" · ".join(values)) <= width:
        return " · ".join(values)
    return "\n".join(_fold(value, width, most_lines) for value in values)


def value_name(value: Any) -> str:
    """Write a value of a column of `by`: null is "(not set)", the empty text "(empty)"."""
    return "(not set)" if value is None else str(value) or "(empty)"


def _fold(text: str, width: int, most_lines: int) -> str:
    """Break a long text after its blanks, dots, slashes and colons, and cut what is too long even so."""
    lines = [""]
    for word in re.split(r"(?<=[\s./:])", text):
        if lines[-1] and len(lines[-1] + word) > width:
            lines.append("")
        lines[-1] += word
    kept = [line.strip()[:width] for line in lines[:most_lines]]
    return "\n".join(kept) + (" …" if len("".join(kept)) < len("".join(line.strip() for line in lines)) else "")


def name_height(text: str) -> float:
    """Return the height in inches that a group's name needs."""
    return 0.1 + 0.17 * (1 + text.count("\n"))


def rows_height(names: Sequence[str]) -> float:
    """Return the height in inches of rows with these names, all as high as the longest needs."""
    return max(len(names), 3) * max([0.45, *map(name_height, names)])


def new_axes(width: float, height: float) -> Axes:
    """Make a figure with one Axes, for who gave none."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def colours(count: int) -> list[Any]:
    """Return that many colours which the colour-blind can tell apart; they repeat after ten."""
    return list(seaborn.color_palette("colorblind", count))


def finish(ax: Axes, grid: str) -> Axes:
    """Give the picture its plain frame and a light grid along one axis, behind the data."""
    ax.grid(axis=grid, color="0.9", linewidth=0.8)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    seaborn.despine(ax=ax)
    return ax


def say_empty(ax: Axes, what: str = "no runs") -> None:
    """Say in the middle of labelled but empty axes that there is nothing to draw."""
    ax.text(0.5, 0.5, what, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize="large")
    ax.set_xticks([])
    ax.set_yticks([])


def scale_errors(set_scale: Callable[..., None], values: Iterable[float]) -> None:
    """Make an axis of errors logarithmic if they span two magnitudes, linear near zero if some are zero.

    Parameters
    ----------
    set_scale : callable
        `ax.set_xscale` or `ax.set_yscale`.
    values : iterable of float
        What is drawn on that axis.
    """
    drawn = [value for value in values if math.isfinite(value)]
    positive = [value for value in drawn if value > 0]
    if not positive or min(drawn) < 0 or max(positive) < 100 * min(positive):
        return
    if min(drawn) > 0:
        set_scale("log")
    else:
        set_scale("symlog", linthresh=10 ** math.floor(math.log10(min(positive))))
