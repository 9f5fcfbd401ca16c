"""The sections of the report: one function each, from a lab and the columns to group by.

A section is a picture, a table and the code that makes them. To add one, write its function and name it in
`SECTIONS`.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import matplotlib
import matplotlib.pyplot as plt

from gpdata import plots
from gpdata.analyses import ERROR_CURVES, SUCCESS_TABLE, error_curves, last_generation, success_table
from gpdata.analyses.last import ends_of_runs
from gpdata.plots.axes import Row, grouped, label, read, rows_of, value_name
from gpdata.schema import GENERATIONS, Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_RUNS = 200
"""So many runs are listed by name; a page with thousands would be slow to open."""


class Lab(Protocol):
    """What the report reads: the frames of `gpdata.open`, and where they come from."""

    path: Path
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


SECTIONS: tuple[Callable[[Lab, list[str]], Section], ...] = (success, curves, ends)
"""The sections of the page, in order."""


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
