"""The sections of the report: one function each, from a lab and the columns to group by.

A section is a picture, a table and the code that makes them. To add one, write its function and name it in
`SECTIONS`.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.compute as pc

from gpdata import plots
from gpdata.analyses import (
    AGE_ERROR,
    ANCESTRY,
    ANCESTRY_COUNTS,
    ERROR_CURVES,
    SUCCESS_TABLE,
    age_error,
    ancestry,
    ancestry_counts,
    error_curves,
    last_generation,
    success_table,
    winner,
)
from gpdata.analyses.last import ends_of_runs
from gpdata.plots.axes import Row, grouped, label, read, read_table, rows_of, value_name
from gpdata.schema import GENERATIONS, Column, Type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_RUNS = 200
"""So many runs are listed by name; a page with thousands would be slow to open."""


class Lab(Protocol):
    """What the report reads: the frames of `gpdata.open`, and where they come from."""

    path: Any
    version: int
    runs: Any
    generations: Any
    individuals: Any


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    title: str
    text: str
    picture: str
    """A data URI."""
    alt: str
    caption: str
    header: Sequence[Column | str]
    rows: Sequence[Sequence[str]]
    code: str


def success(lab: Lab, by: list[str]) -> Section:
    """How often the runs of each group succeed."""
    table = success_table(last_generation(lab.generations), lab.runs, by=by)
    _, rows = read(table, SUCCESS_TABLE, "success_table")
    rates = ["no run counted" if row["rate"] is None else f"{row['rate']:.0%}" for row in rows]
    shares = [f"{label([row[name] for name in by])} {rate}" for row, rate in zip(rows, rates, strict=True)]
    return Section(
        title="Success",
        text="A success is a run whose final outcome its GP system called one. The rate is over finished "
        "runs: one that was killed, or is still going on, is not counted. Generalising runs have error zero "
        "on every unseen test case too. Generations are those at which successes ended, counted from 0.",
        picture=_picture(plots.success(table)),
        alt=f"Success rate by {_listed(by)}: {'; '.join(shares)}. The table below has every number.",
        caption=f"Success by {_listed(by)}",
        header=[*by, *SUCCESS_TABLE],
        rows=_cells(rows, by, [column.name for column in SUCCESS_TABLE]),
        code=_code(
            lab,
            "last = gp.last_generation(lab.generations)",
            f"table = gp.success_table(last, lab.runs, by={_literal(by)})",
            "gp.plots.success(table)",
        ),
    )


def curves(lab: Lab, by: list[str]) -> Section:
    """How the best error of each group falls."""
    curve = error_curves(lab.generations, lab.runs, by=by, stopped="carry")
    _, rows = read(curve, ERROR_CURVES, "error_curves")
    ends = [points[-1] for points in grouped(rows, by).values()]
    return Section(
        title="Error by generation",
        text="The least total error in a generation's population, over the runs of each group: the line is "
        "the median, the band reaches from the first to the third quartile. A run that has ended keeps its "
        "last error, so that no run leaves the sample.",
        picture=_picture(plots.error_curves(curve, stopped="carry")),
        alt=f"Median and quartiles of the best error by generation, a line for each {_listed(by)}. "
        "The table below says where each line ends.",
        caption="Where each line ends",
        header=[*by, *ERROR_CURVES],
        rows=_cells(ends, by, [column.name for column in ERROR_CURVES]),
        code=_code(
            lab,
            f'curve = gp.error_curves(lab.generations, lab.runs, by={_literal(by)}, stopped="carry")',
            'gp.plots.error_curves(curve, stopped="carry")',
        ),
    )


def ends(lab: Lab, by: list[str]) -> Section:
    """How each run ended."""
    last = last_generation(lab.generations)
    shown = ["run_uuid", "generation", "outcome", "total_error_min"]
    frame, keys = ends_of_runs(last, lab.runs, by, shown)
    rows = rows_of(frame)
    caption = "Every run" if len(rows) <= _MOST_RUNS else f"The first {_MOST_RUNS} of {len(rows)} runs"
    return Section(
        title="Last generations",
        text="Each run's last recorded generation: the least total error in its population, and the outcome. "
        "The outcome continue means that the run was killed or is still going on.",
        picture=_picture(plots.last_generation(last, lab.runs, by=by)),
        alt=f"Least total error in the last generation of each run, a row for each {_listed(by)}, marked by "
        "outcome. The table below lists runs.",
        caption=caption,
        header=[*by, *(GENERATIONS[name] for name in shown)],
        rows=_cells(rows[:_MOST_RUNS], keys, shown),
        code=_code(
            lab,
            "last = gp.last_generation(lab.generations)",
            f"gp.plots.last_generation(last, lab.runs, by={_literal(by)})",
        ),
    )


def ancestors(lab: Lab, by: list[str]) -> Section:
    """Whom the winner of the best run descends from."""
    run, said = _best_run(lab)
    won = winner(lab.individuals, lab.generations, run=run)
    graph = ancestry(lab.individuals, of=won)
    nodes = read_table(graph, ANCESTRY, "ancestry")
    _, rows = read(ancestry_counts(lab.individuals, of=won), ANCESTRY_COUNTS, "ancestry_counts")
    text = (
        f"The winner of {said}: the individual of least total error in the run's last generation, below, and "
        "all its ancestors, each generation in a row. Whom an edge leads down to was made from whom it comes."
    )
    if not nodes.num_rows:
        text += " No individual of that generation has a total error: there is no winner."
    elif nodes.num_rows == 1:
        text += " No parent of the winner is recorded."
    return Section(
        title="Ancestry of a winner",
        text=text,
        picture=_picture(plots.ancestry(graph, lab.individuals)),
        alt=f"The winner of {said} and its ancestors as a graph of {nodes.num_rows:,} individuals. The table below "
        "counts them by generation.",
        caption="Ancestors by generation, the winner among them",
        header=ANCESTRY_COUNTS,
        rows=_cells(rows, [], [column.name for column in ANCESTRY_COUNTS]),
        code=_code(
            lab,
            f"winner = gp.winner(lab.individuals, lab.generations, run={_literal(run)})",
            "graph = gp.ancestry(lab.individuals, of=winner)",
            "counts = gp.ancestry_counts(lab.individuals, of=winner)",
            "gp.plots.ancestry(graph, lab.individuals)",
        ),
    )


_AGES = (
    Column("individuals", Type.INT, "individuals with an age and a total error", "age_error", unit="individuals"),
    *(
        Column(f"{name}_{stat}", Type.DOUBLE, f"{stat} of {name.replace('_', ' ')}", "age_error", unit=unit)
        for name, unit in (("age", "generations"), ("total_error", "error"))
        for stat in ("min", "median", "max")
    ),
)


def ages(lab: Lab, by: list[str]) -> Section:
    """How the age of individuals goes with their error, in the best run."""
    run, said = _best_run(lab)
    frame = age_error(lab.individuals, runs=run)
    table = read_table(frame, AGE_ERROR, "age_error")
    rows = []
    for origin, genesis in (("by genesis", True), ("in another way", False)):
        made = table.filter(pc.equal(table["is_genesis"], genesis))
        if made.num_rows:
            values = (made[name].to_numpy() for name in ("age", "total_error"))
            stats = [float(stat(column)) for column in values for stat in (np.min, np.median, np.max)]
            rows.append([origin, f"{made.num_rows:,}", *map(_cell, stats)])
    return Section(
        title="Age against error",
        text=f"Every individual of {said}: for how many generations its material has been there, as its GP system "
        "counts age, against its total error. Individuals made by genesis are new material and marked."
        + ("" if rows else " None has both an age and a total error."),
        picture=_picture(plots.age_error(frame)),
        alt=f"Age against total error of {table.num_rows:,} individuals of {said}. The table below sums them up.",
        caption="Age and total error of the individuals",
        header=["made", *_AGES],
        rows=rows,
        code=_code(
            lab,
            f"ages = gp.age_error(lab.individuals, runs={_literal(run)})",
            "gp.plots.age_error(ages)",
        ),
    )


SECTIONS: tuple[Callable[[Lab, list[str]], Section], ...] = (success, curves, ends, ancestors, ages)
"""The sections of the page, in order."""


def _best_run(lab: Lab) -> tuple[str, str]:
    """Choose the run to show more of: a successful one if any, of these the one of least error, and say its name."""
    shown = ["run_uuid", "generation", "outcome", "total_error_min"]
    frame, keys = ends_of_runs(lab.generations, lab.runs, "problem", shown)

    def rank(row: Row) -> tuple[bool, float, str]:
        error = row["total_error_min"]
        return row["outcome"] != "success", math.inf if error is None or math.isnan(error) else error, row["run_uuid"]

    best = min(rows_of(frame), key=rank)
    return best["run_uuid"], f"run {best['run_uuid']} ({label([best[key] for key in keys], width=200)})"


def _picture(axes: Axes) -> str:
    """Turn the figure of an Axes into a data URI, the same bytes for the same picture, and close it."""
    svg = io.BytesIO()
    figure = cast("Figure", axes.get_figure(root=True))
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "gpdata"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    plt.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode("ascii")


def _code(lab: Lab, *lines: str) -> str:
    """Write a section's code so that it can be pasted as it stands."""
    opened = f"lab = gp.open({_literal(str(lab.path))}, version={lab.version})"
    return "\n".join(["import gpdata as gp", "", opened, *lines])


def _literal(value: str | list[str]) -> str:
    """Write text or a list of texts as Python source: JSON's notation is Python's too."""
    return json.dumps(value, ensure_ascii=False)


def _listed(by: list[str]) -> str:
    return " and ".join(by) or "nothing, all runs together"


def _cells(rows: Iterable[Row], by: Iterable[str], names: Sequence[str]) -> list[list[str]]:
    return [[*(value_name(row[key]) for key in by), *(_cell(row[name]) for name in names)] for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
