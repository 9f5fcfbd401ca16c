"""The picture of a value over two parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpdata.analyses.frames import check_columns, wrap
from gpdata.errors import InvalidInput
from gpdata.plots.axes import finish, new_axes, rows_of, say_empty, value_name
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_MOST_CELLS = 400
"""Of more cells the numbers would not be legible."""
_COUNTS = ("runs", "finished")
_LIGHT = 0.6
"""Above this share of the scale a number is written in black."""


@sourced
def heatmap(
    table: Any, *, x: str, y: str, value: str = "rate", ax: Axes | None = None, source: Source | None = None
) -> Axes:
    """Draw a value for each pair of two parameters, such as the success rate over two config keys.

    Parameters
    ----------
    table : frame
        One row per pair of values, of any engine: what `gpdata.success_table(..., by=[x, y])` returned, or any other
        analysis that was given two columns of `by`.
    x, y : str
        The columns of `table` whose values stand on the axes.
    value : str
        The column that is drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A cell for each pair, coloured and with its number; where `table` has `runs`, the number of runs below it,
        as "finished of all" where some did not finish. Rates go from 0 to 1, other values from their least to their
        greatest. A pair of which there is no row, or whose value is null, is hatched. Values that are all numbers are
        ordered as numbers, the least left and below; others by name; a run that lacks the key comes last.

    Raises
    ------
    InvalidInput
        `table` is not a frame, x and y are the same, a pair has several rows, or the values are no numbers.
    UnknownColumn
        `table` lacks a column.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"size": ["100", "20"], "selection": ["lexicase"] * 2, "rate": [0.5, 0.25]})
    >>> ax = heatmap(table, x="size", y="selection")
    >>> [tick.get_text() for tick in ax.get_xticklabels()], [text.get_text() for text in ax.texts]
    (['20', '100'], ['0.25', '0.5'])
    """
    wrapped = wrap(table, "table")
    present = wrapped.collect_schema().names()
    check_columns([x, y, value], present, "table", "Name its columns; those of `by` are among them.")
    if x == y:
        raise InvalidInput(f"x and y are both {x!r}: name two columns.")
    counted = [name for name in ("runs", "finished") if name in present] if value not in _COUNTS else []
    rows = rows_of(wrapped.select(x, y, value, *counted))
    across, up = _order({row[x] for row in rows}), _order({row[y] for row in rows})
    ax = new_axes(2.6 + max(0.75 * len(across), 3), 1.6 + max(0.5 * len(up), 2)) if ax is None else ax
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if not rows:
        say_empty(ax)
        return finish(ax, "both")

    cells = _cells(rows, x, y, value)
    numbers = np.array([[cells.get((a, b), np.nan) for a in across] for b in up], dtype=np.float64)
    shown = numbers[np.isfinite(numbers)]
    least, greatest = (0.0, 1.0) if value == "rate" else (shown.min(initial=np.inf), shown.max(initial=-np.inf))
    ax.set_facecolor("0.97")
    ax.patch.set_hatch("///")
    ax.patch.set_edgecolor("0.8")
    if len(shown):
        mesh = ax.pcolormesh(np.ma.masked_invalid(numbers), vmin=least, vmax=greatest, cmap="viridis", edgecolors="w")
        ax.figure.colorbar(mesh, ax=ax, label="success rate (share of runs)" if value == "rate" else value)
    counts = {(row[x], row[y]): _count(row) for row in rows}
    if numbers.size <= _MOST_CELLS:
        for i, b in enumerate(up):
            for j, a in enumerate(across):
                if np.isfinite(numbers[i, j]):
                    text = f"{numbers[i, j]:.3g}{counts[a, b]}"
                    light = greatest > least and (numbers[i, j] - least) / (greatest - least) > _LIGHT
                    colour = "black" if light else "white"
                    ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", color=colour, fontsize="small")
    names = [value_name(a) for a in across]
    slanted = sum(map(len, names)) > 8 * len(names)
    ax.set_xticks(
        np.arange(len(across)) + 0.5, names, rotation=30 if slanted else 0, ha="right" if slanted else "center"
    )
    ax.set_yticks(np.arange(len(up)) + 0.5, [value_name(b) for b in up])
    ax.set_xlim(0, len(across))
    ax.set_ylim(0, len(up))
    ax.tick_params(length=0)
    return ax


def _count(row: dict[str, Any]) -> str:
    """Say of how many runs a value is: those that finished, where the table tells, of all."""
    runs, finished = row.get("runs"), row.get("finished")
    if runs is None:
        return ""
    return f"\nn = {runs}" if finished in (None, runs) else f"\nn = {finished} of {runs}"


def _cells(rows: list[dict[str, Any]], x: str, y: str, value: str) -> dict[tuple[Any, Any], float]:
    cells: dict[tuple[Any, Any], float] = {}
    for row in rows:
        pair = (row[x], row[y])
        if pair in cells:
            raise InvalidInput(
                f"{x}={pair[0]!r}, {y}={pair[1]!r} has several rows: give a table of one row per pair, such as that "
                "of an analysis with by=[x, y]."
            )
        try:
            cells[pair] = np.nan if row[value] is None else float(row[value])
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"value={value!r} holds {row[value]!r}: name a column of numbers.") from error
    return cells


def _order(values: set[Any]) -> list[Any]:
    """Order values as numbers where all are some, else by name; null comes last."""
    known = [value for value in values if value is not None]
    try:
        ordered = sorted(known, key=float)
    except (TypeError, ValueError):
        ordered = sorted(known, key=str)
    return [*ordered, *([None] if None in values else [])]
