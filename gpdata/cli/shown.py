"""Tables for people: rounded numbers, null as a dash, and no column that the terminal has no room for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_LONGEST = 40
_GAP = 2
_FOLDED = 12
"""To this width texts are folded, before columns are left out."""
_MOST_NAMED = 6


@dataclass(frozen=True)
class Shown:
    """A column for people.

    Parameters
    ----------
    heading : str
        What stands above it.
    cells : sequence of str
        Its values.
    number : bool
        Whether they are numbers, which stand on the right.
    """

    heading: str
    cells: Sequence[str]
    number: bool = False

    @property
    def width(self) -> int:
        """Return how wide it is."""
        return max(map(cell_len, [*self.heading.split("\n"), *self.cells]))


def column(rows: Sequence[Row], name: str, heading: str | None = None, *, cut: bool = True) -> Shown:
    """Show a column of rows, under its name where nothing else is said; `cut` what is very long.

    Examples
    --------
    >>> column([{"rate": 1 / 3}, {"rate": None}], "rate")
    Shown(heading='rate', cells=['0.3333', '–'], number=True)
    """
    values = [row[name] for row in rows]
    if name == "problem":
        values = without_common_names(values)
    known = [value for value in values if value is not None]
    numbers = bool(known) and all(isinstance(value, int | float) or _is_number(value) for value in known)
    return Shown(heading or printable(name), [cell(value, cut=cut) for value in values], numbers)


def without_common_names(names: Sequence[str | None]) -> list[str | None]:
    """Leave out the namespaces of names that differ in what follows.

    Examples
    --------
    >>> without_common_names(["clojush.problems.demos.odd", "clojush.problems.software.sum", None])
    ['odd', 'sum', None]
    >>> without_common_names(["a.odd", "b.odd"])
    ['a.odd', 'b.odd']
    """
    short = {name: name.rpartition(".")[2] or name for name in names if name is not None}
    return [name and short[name] for name in names] if len(set(short.values())) == len(short) else list(names)


def cell(value: Any, *, cut: bool = True) -> str:
    r"""Write a value for people, in one line.

    Examples
    --------
    >>> cell(None), cell(2 / 3), cell(1234), cell(True), cell("a\nb"), cell(["x", "y"])
    ('–', '0.6667', '1234', 'true', 'a b', 'x, y')
    """
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.4g}" if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case list():
            value = ", ".join(map(cell, value)) or "none"
    text = printable(str(value))
    return text if len(text) <= _LONGEST or not cut else f"{text[: _LONGEST - 1]}…"


def printable(text: str) -> str:
    """Take out what would move a terminal's cursor or colour it: names come from whoever recorded."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def table(columns: Sequence[Shown], width: int | None, below: Sequence[str] = (), *, fold: bool = True) -> Group:
    """Lay columns side by side, and lines of text below them.

    Parameters
    ----------
    columns : sequence of Shown
        The columns, the most important first. Those at the end that have no room are left out, and named below.
    width : int or None
        The columns of the terminal; None where there is none, and all have room.
    below : sequence of str
        The lines.
    fold : bool
        Whether texts may be folded before columns are left out.

    Returns
    -------
    rich.console.Group
        What rich prints.
    """
    kept = list(columns)
    left: list[str] = []
    while width is not None and len(kept) > 1 and _least(kept, fold) > width:
        left.insert(0, kept.pop().heading.replace("\n", " "))
    widths = _widths(kept, width)
    laid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for each, wide in zip(kept, widths, strict=True):
        heading = each.heading if each.number else _folded(each.heading, wide)
        laid.add_column(Text(heading), justify="right" if each.number else "left", no_wrap=True, min_width=wide)
    for cells in zip(*(each.cells for each in kept), strict=True):
        folded = (_folded(text, wide) for text, wide in zip(cells, widths, strict=True))
        laid.add_row(*(Text(text, style="dim" if text == "–" else "") for text in folded))
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    lines = [f"no room for {', '.join(left[:_MOST_NAMED])}{more}; --format csv has all"] if left else []
    return Group(laid, *(Text(printable(line), style="dim") for line in [*lines, *below]))


def _least(columns: Sequence[Shown], fold: bool) -> int:
    """Return how much room columns need, gaps included."""
    return sum(min(each.width, _FOLDED if fold and not each.number else each.width) + _GAP for each in columns) - _GAP


def _widths(columns: Sequence[Shown], width: int | None) -> list[int]:
    """Share the room among the texts, numbers being whole."""
    widths = [each.width for each in columns]
    if width is None:
        return widths
    texts = sorted((at for at, each in enumerate(columns) if not each.number), key=widths.__getitem__)
    room = width - _GAP * (len(columns) - 1) - sum(each.width for each in columns if each.number)
    for place, at in enumerate(texts):
        widths[at] = min(widths[at], max(room // (len(texts) - place), 1))
        room -= widths[at]
    return widths


def _folded(text: str, width: int) -> str:
    """Break a text into lines, after its blanks, dots, slashes and dashes where it can be."""
    lines = [""]
    for part in re.split(r"(?<=[\s./:_-])", text):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
        while cell_len(lines[-1]) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.strip() for line in lines if line.strip()) or text


def _is_number(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
