"""`gpdata runs`: which runs there are, in what they differ, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
from rich.console import Group
from rich.text import Text

from gpdata.cli.output import STATUS, TABLES, Answer, chosen_form, output_options, write
from gpdata.cli.select import ENDS, Asked, complete_run, complete_sort, selection_options, short_names
from gpdata.cli.shown import column, table
from gpdata.errors import InvalidInput, UnknownColumn, near

if TYPE_CHECKING:
    from gpdata.lab import Lab


@click.command(epilog=STATUS)
@selection_options
@click.argument("one", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.option("--sort", metavar="COLUMN", multiple=True, shell_complete=complete_sort,
              help="Sort by this column; -COLUMN: the greatest first.  Repeat for more.  "
              "[default: as they started]")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show so many at most.")
@output_options(TABLES)
def runs(
    asked: Asked, one: str | None, sort: tuple[str, ...], limit: int | None, form: str | None, output: str | None
) -> None:
    """Say which runs there are, in what they differ, and how they ended.

    A row for each run: the columns in which the runs differ, config keys among them, and the outcome, the number and
    the least error so far of the last generation that was recorded. With RUN, or --run once, everything that is
    known of that one: the beginning of its uuid will do.

    \b
    $ gpdata runs example-lake --sort best_so_far --limit 2
    run_uuid  outcome  generation  best_so_far  started_at        parent-selection
    d94cc756  success          15            0  2026-01-12 10:00  lexicase
    cc021e6b  success          26            0  2026-01-12 12:00  lexicase
    $ gpdata runs example-lake a7ae
    $ gpdata runs example-lake --where parent-selection=lexicase -o lexicase.csv

    Next: gpdata success counts them, gpdata curves shows how they went, gpdata command RUN how to run one again.
    """  # noqa: D301 (click wants a real \b)
    form = chosen_form(form, output, TABLES)
    if one:
        if asked.run and asked.run != (one,):
            raise InvalidInput(
                f"two runs were named, {one!r} and {asked.run[0]!r}; name one, or only --run, repeatedly"
            )
        asked = replace(asked, run=(one,))
    lab = asked.lab()
    if len(asked.run) == 1 and not sort:
        write(_one(lab, asked), form, output)
        return
    rows = _ordered(listed(lab), sort)
    write(_answer(lab, rows, rows[:limit], asked), form, output)


def listed(lab: Lab) -> pa.Table:
    """Return a row for each run: its uuid, how it ended, and the columns in which the runs differ."""
    from gpdata.analyses import last_generation, runs_table
    from gpdata.convert import to_arrow

    differing = to_arrow(runs_table(lab))
    last = to_arrow(last_generation(lab.generations).select("run_uuid", *ENDS))
    row = {run: at for at, run in enumerate(last["run_uuid"].to_pylist())}
    at = pa.array([row[run] for run in differing["run_uuid"].to_pylist()], pa.int64())
    columns = {"run_uuid": differing["run_uuid"]}
    for name in ENDS:
        # A config may have a key of that name, which keeps it.
        columns[f"last.{name}" if name in differing.column_names else name] = last[name].take(at)
    return pa.table(columns | {name: differing[name] for name in differing.column_names[1:]})


def _ordered(rows: pa.Table, sort: Sequence[str]) -> pa.Table:
    """Sort rows; texts that are all numbers sort as numbers, and nulls come last."""
    for wanted in reversed(sort):
        name = wanted if wanted in rows.column_names else wanted.removeprefix("-")
        if name not in rows.column_names:
            raise UnknownColumn(
                f"the runs have no column {name!r} in which they differ: {near(name, rows.column_names)}"
            )
        values = _comparable(rows[name].to_pylist())
        known = [at for at, value in enumerate(values) if value is not None]
        known.sort(key=lambda at: values[at], reverse=wanted != name)
        rows = rows.take(pa.array([*known, *(at for at, value in enumerate(values) if value is None)], pa.int64()))
    return rows


def _comparable(values: list[Any]) -> list[Any]:
    values = [None if value != value else value for value in values]
    try:
        return [float(value) if isinstance(value, str) else value for value in values]
    except ValueError:
        return values


def _answer(lab: Lab, every: pa.Table, rows: pa.Table, asked: Asked) -> Answer:
    names = short_names(every["run_uuid"].to_pylist())
    below = [f"{_counted(len(rows), len(every))} of {lab.path}, version {lab.version}"]

    def shown(width: int | None) -> Any:
        found = [row | {"run_uuid": names[row["run_uuid"]]} for row in rows.to_pylist()]
        names_ = sorted(rows.column_names, key="config_id".__eq__)  # long, and says least: last
        columns = [column(found, name) for name in names_]
        columns[0] = replace(columns[0], number=False)
        return table(columns, width, below, fold=False)

    return Answer(rows, shown, said=[] if len(every) else [asked.nothing()])


def _counted(shown: int, every: int) -> str:
    runs = f"{every} run{'' if every == 1 else 's'}"
    return runs if shown == every else f"{shown} of {runs}"


def _one(lab: Lab, asked: Asked) -> Answer:
    """Answer with all that is known of the one run: its row of runs."""
    from gpdata.convert import to_arrow

    rows = to_arrow(lab.runs)
    if not len(rows):
        return Answer(rows, lambda width: Text("no run"), said=[asked.nothing()])
    run = lab.run(rows["run_uuid"][0].as_py())
    more = Text("--format json has every key, whole", style="dim")
    return Answer(rows, lambda width: Group(run, more))
