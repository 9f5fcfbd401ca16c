"""The views of chosen runs: for each, the lines of code that make it; running them gives its numbers and picture."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pyarrow as pa

from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput, near
from gpdata.widgets.code import NARWHALS, call, choosing, program, run_lines
from gpdata.widgets.state import State

if TYPE_CHECKING:
    from gpdata.lab import Lab

MOST_GROUPS = 24
"""Of more groups no picture can be read."""
MOST_ROWS = 200
"""So many rows of a result go to the browser; the code makes all of them."""
SIZES = ("genome_size", "program_size", "percent_parens")


@dataclass(frozen=True)
class View:
    """A view.

    Attributes
    ----------
    title : str
        Its name.
    says : str
        What is seen, in a sentence or two.
    lines : callable
        From the state and the columns to group by: the code that leaves its result as `table`.
    picture : callable
        From the state and the result: the code that draws it.
    grouped : bool
        Whether it compares groups of runs.
    """

    title: str
    says: str
    lines: Callable[[State, Sequence[str]], list[str]]
    picture: Callable[[State, pa.Table], str]
    grouped: bool = True


def _curves(function: str) -> Callable[[State, Sequence[str]], list[str]]:
    return lambda state, by: [f"table = {call(f'gp.{function}', 'lab.generations', 'runs', by=list(by))}"]


def _success(state: State, by: Sequence[str]) -> list[str]:
    made = call("gp.success_table", "last", "runs", by=list(by))
    return ["last = gp.last_generation(lab.generations)", f"table = {made}"]


def _errors(state: State, by: Sequence[str]) -> list[str]:
    made = call("gp.error_curves", "lab.generations", "runs", by=list(by), stopped=state.stopped)
    return [f"table = {made}"]


def _diversity(state: State, by: Sequence[str]) -> list[str]:
    if not any(state.choice):
        return ["table = gp.diversity(lab.generations)"]
    return [
        NARWHALS,
        "chosen = nw.from_native(runs).select(\"run_uuid\")",
        "rows = nw.from_native(lab.generations).join(chosen, on=\"run_uuid\", how=\"semi\")",
        "table = gp.diversity(rows.to_native())",
    ]  # fmt: skip


def _size(state: State, table: pa.Table) -> str:
    known = [name for name in SIZES if table[name].null_count < len(table)]
    size = state.size or next(iter(known), SIZES[0])
    return f"ax = {call('gp.plots.size_curves', 'table', 'source=lab', of=size)}"


VIEWS = {
    "success": View(
        "Success",
        "How many runs of each group succeeded. A success is a run whose final outcome its GP system called one; the "
        "rate is over finished runs, with Wilson's interval.",
        _success,
        lambda state, table: "ax = gp.plots.success(table, source=lab)",
    ),
    "errors": View(
        "Error curves",
        "The least total error in each generation: the line is the median over the runs of a group, the band reaches "
        "from the first to the third quartile.",
        _errors,
        lambda state, table: f"ax = {call('gp.plots.error_curves', 'table', 'source=lab', stopped=state.stopped)}",
    ),
    "solved": View(
        "Solved by generation",
        "The share of runs that is solved by each generation, with its interval. Unfinished runs are left out.",
        _curves("cumulative_success"),
        lambda state, table: "ax = gp.plots.cumulative_success(table, source=lab)",
    ),
    "diversity": View(
        "Diversity",
        "How many different genomes, programs and errors a population has, by its size: median and quartiles over all "
        "chosen runs. To see one group, choose its runs.",
        _diversity,
        lambda state, table: "ax = gp.plots.diversity(table, source=lab)",
        grouped=False,
    ),
    "sizes": View(
        "Sizes",
        "How genomes and programs grow: the median over the runs of a group of the population's mean, and the band "
        "between the quartiles.",
        _curves("size_curves"),
        _size,
    ),
}
"""The views of chosen runs, in the order of the tabs; the ancestry of one run stands in `gpdata.widgets.lineage`."""


@dataclass(frozen=True)
class Answer:
    """What a view shows.

    Attributes
    ----------
    code : str
        What makes it, from the import on.
    result : native frame
        What the code leaves as `table`.
    columns : list of str
        The columns of the result.
    rows : list of list of str
        Its first rows, as text.
    total : int
        How many rows it has.
    picture : str
        A data URI; empty where there is none.
    """

    code: str
    result: Any
    columns: list[str]
    rows: list[list[str]]
    total: int
    picture: str


def usual_groups(columns: Sequence[str]) -> list[str]:
    """Return what runs are grouped by where nothing was chosen."""
    return [name for name in ("problem", "parent-selection") if name in columns]


def answer(lab: Lab, state: State, by: Sequence[str]) -> Answer:
    """Make a view: run its code on a lab that is open.

    Parameters
    ----------
    lab : Lab
        The lab.
    state : State
        The choices; `state.view` names the view.
    by : sequence of str
        The columns to group by.

    Returns
    -------
    Answer
        The result, its first rows as text, and its picture.

    Raises
    ------
    InvalidInput
        There is no such view, or there are more groups than a picture can show.
    GpdataError
        What the analysis refuses.
    """
    if state.view not in VIEWS:
        raise InvalidInput(f"the view {state.view!r} was asked for; {near(state.view, VIEWS)}")
    view = VIEWS[state.view]
    if view.grouped:
        _check_groups(lab, state, by)
    lines = [*choosing(state), *view.lines(state, by)]
    names = run_lines(lines, lab)
    table = to_arrow(names["table"])
    drawing = view.picture(state, table)
    code = program(lab, *lines, drawing)
    shown = table.slice(0, MOST_ROWS).to_pylist()
    rows = [[cell(value) for value in row.values()] for row in shown]
    return Answer(code, names["table"], table.column_names, rows, len(table), draw(drawing, names))


def _check_groups(lab: Lab, state: State, by: Sequence[str]) -> None:
    if not by:
        return
    runs = nw.from_native(run_lines(choosing(state), lab)["runs"])
    present = runs.collect_schema().names()
    if not set(by) <= set(present):
        return  # the analysis says it, and names the near ones
    quoted = [f"`{name}`" if runs.implementation.is_spark_like() else name for name in by]
    columns = (nw.col(name).alias(f"by_{number}") for number, name in enumerate(quoted))
    groups = len(to_arrow(runs.lazy().select(*columns).unique().to_native()))
    if groups > MOST_GROUPS:
        raise InvalidInput(
            f"the runs fall into {groups:,} groups by {' and '.join(by)}; a picture can show {MOST_GROUPS}. Group by "
            "fewer columns, or choose fewer runs."
        )


def draw(line: str, names: dict[str, Any]) -> str:
    """Run a line that draws, and return its picture as SVG without a background, for light and dark pages."""
    import matplotlib.pyplot as plt

    image = io.BytesIO()
    with _own_figures(), plt.style.context("default"), plt.rc_context({"svg.fonttype": "path", "font.size": 11}):
        exec(compile(line, "<the explorer>", "exec"), names)
        names["ax"].get_figure(root=True).savefig(image, format="svg", transparent=True)
    return "data:image/svg+xml;base64," + base64.b64encode(image.getvalue()).decode("ascii")


@contextmanager
def _own_figures() -> Iterator[None]:
    """Close the figures that are made inside: a notebook would show them under its cell."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def cell(value: Any) -> str:
    """Write a value for a table; null is a dash.

    Examples
    --------
    >>> cell(None), cell(0.123456), cell(12), cell("odd")
    ('–', '0.1235', '12', 'odd')
    """
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
