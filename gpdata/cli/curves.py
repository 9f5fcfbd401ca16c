"""`gpdata curves`: how the best error falls, generation by generation."""

from __future__ import annotations

from typing import Any

import click

from gpdata.cli.options import usual_groups
from gpdata.cli.output import PICTURES, STATUS, TABLES, Answer, chosen_form, output_options, write
from gpdata.cli.select import Asked, complete_key, selection_options
from gpdata.cli.shown import Row, column, table

FORMS = (*TABLES, *PICTURES)
_MOST = 12
"""So many generations of a group are shown to people."""


@click.command(epilog=STATUS)
@selection_options
@click.option("--by", multiple=True, metavar="COLUMN", shell_complete=complete_key,
              help="A column of runs, such as a config key, to group runs by; repeat for more.  "
              "[default: problem, parent-selection]")  # fmt: skip
@click.option("--stopped", type=click.Choice(["drop", "carry", "zero"]), default="drop", show_default=True,
              help="What a run is after its end: not counted, its last error, or zero where it had "
              "succeeded.")  # fmt: skip
@output_options(FORMS)
def curves(asked: Asked, by: tuple[str, ...], stopped: Any, form: str | None, output: str | None) -> None:
    """Say how the best error falls, generation by generation.

    A row for each group and generation: the runs that count there, and the median, quartiles and mean over them of
    the least error in the population. The table for people has some of the generations, every other format all. The
    picture shows median and quartiles.

    \b
    $ gpdata curves example-lake --by parent-selection
    parent-selection  generation  runs  best_median  best_q1  best_q3  best_mean
    lexicase                   0     6           62    49.75       63      57.17
    lexicase                   3     6         40.5    38.25    42.75         40
    $ gpdata curves example-lake --by parent-selection --stopped carry -o curves.pdf

    Next: gpdata ancestry shows whom the winner of a run descends from.
    """  # noqa: D301 (click wants a real \b)
    from gpdata.analyses import ERROR_CURVES, error_curves
    from gpdata.convert import to_arrow

    form = chosen_form(form, output, FORMS)
    lab = asked.lab()
    groups = [*(by or usual_groups(lab))]
    rows = to_arrow(error_curves(lab.generations, lab.runs, by=groups, stopped=stopped))

    def shown(width: int | None) -> Any:
        listed = rows.to_pylist()
        some = _some(listed, groups)
        below = [f"{lab.path}, version {lab.version}"]
        if len(some) < len(listed):
            below.insert(0, f"{len(some)} of {len(listed)} rows; --format csv has all")
        return table(
            [column(some, name, cut=False) for name in (*groups, *(each.name for each in ERROR_CURVES))], width, below
        )

    def picture() -> Any:
        from gpdata import plots

        return plots.error_curves(rows, stopped=stopped, source=lab)

    write(Answer(rows, shown, picture, said=[] if len(rows) else [asked.nothing()]), form, output)


def _some(rows: list[dict[str, Any]], by: list[str]) -> list[Row]:
    """Take the first and the last generation of each group, and others evenly between."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    kept: list[Row] = []
    for points in groups.values():
        step = max((len(points) - 1) / (_MOST - 1), 1)
        places = {round(at * step) for at in range(_MOST)}
        kept += [point for at, point in enumerate(points) if at in places or at == len(points) - 1]
    return kept
