"""`gpdata success`: how often runs succeed, and whether groups differ in that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
from rich.console import Group
from rich.text import Text

from gpdata.cli.options import usual_groups
from gpdata.cli.output import PICTURES, STATUS, TABLES, Answer, chosen_form, output_options, write
from gpdata.cli.select import Asked, complete_key, selection_options
from gpdata.cli.shown import Shown, cell, column, table

if TYPE_CHECKING:
    from gpdata.lab import Lab

FORMS = (*TABLES, *PICTURES)


@click.command(epilog=STATUS)
@selection_options
@click.option("--by", multiple=True, metavar="COLUMN", shell_complete=complete_key,
              help="A column of runs, such as a config key, to group runs by; repeat for more.  "
              "[default: problem, parent-selection]")  # fmt: skip
@click.option("--threshold", type=float, metavar="ERROR",
              help="A run succeeds whose least error is at most that.  [default: as its GP system said]")  # fmt: skip
@click.option("--unfinished", type=click.Choice(["drop", "failure"]), default="drop", show_default=True,
              help="What a run is that neither ended nor succeeded.")  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95,
              show_default=True, help="Of Wilson's interval.")  # fmt: skip
@click.option("--compare", metavar="COLUMN", shell_complete=complete_key,
              help="Test instead which values of this column succeed more often: chi-squared tests with Yates' and "
              "Holm's corrections, within groups that agree in all else of --by.")  # fmt: skip
@output_options(FORMS)
def success(
    asked: Asked,
    by: tuple[str, ...],
    threshold: float | None,
    unfinished: Any,
    confidence: float,
    compare: str | None,
    form: str | None,
    output: str | None,
) -> None:
    """Say how often runs succeed, group by group, and how sure that is.

    A row for each group: its runs, those that ended, those that succeeded and that generalise (no error on any unseen
    test case), the rate with Wilson's interval, and the generations at which successes ended. The picture shows rates
    and intervals.

    \b
    $ gpdata success example-lake --by parent-selection
                                                 general-             95%
    parent-selection  runs  finished  successes     ising  rate  interval
    lexicase             6         6          4         2   67%   30%–90%
    tournament           6         6          0         0    0%    0%–39%
    $ gpdata success example-lake --by parent-selection -o success.pdf
    $ gpdata success example-lake --compare parent-selection

    Next: gpdata curves shows how errors fell, gpdata report writes all of it as a page.
    """  # noqa: D301 (click wants a real \b)
    form = chosen_form(form, output, FORMS)
    lab = asked.lab()
    groups = [*(by or usual_groups(lab))]
    if compare and compare not in groups:
        groups.append(compare)
    found = _table(lab, groups, threshold, unfinished, confidence)
    if compare:
        answer = _compared(found, compare, [name for name in groups if name != compare], unfinished, threshold)
    else:
        answer = _counted(lab, found, groups, confidence)
    write(_said(answer, asked), form, output)


def _table(lab: Lab, by: Sequence[str], threshold: float | None, unfinished: Any, confidence: float) -> Any:
    from gpdata.analyses import last_generation, success_table

    last = last_generation(lab.generations)
    return success_table(last, lab.runs, by=by, threshold=threshold, unfinished=unfinished, confidence=confidence)


def _counted(lab: Lab, found: Any, by: Sequence[str], confidence: float) -> Answer:
    from gpdata.convert import to_arrow

    rows = to_arrow(found)

    def shown(width: int | None) -> Any:
        listed = rows.to_pylist()
        columns = [column(listed, name, cut=False) for name in (*by, "runs", "finished", "successes")]
        columns.append(column(listed, "generalising", "general-\nising"))
        columns.append(Shown("rate", [_percent(row["rate"]) for row in listed], number=True))
        ends = [_between(row["rate_low"], row["rate_high"]) for row in listed]
        columns.append(Shown(f"{100 * confidence:g}%\ninterval", ends, number=True))
        spans = [_generations(row) for row in listed]
        columns.append(Shown("generations\nof successes", spans, number=True))
        return table(columns, width, [f"{lab.path}, version {lab.version}"])

    def picture() -> Any:
        from gpdata import plots

        return plots.success(rows, confidence=confidence, source=lab)

    return Answer(rows, shown, picture)


def _compared(found: Any, treatment: str, within: Sequence[str], unfinished: str, threshold: float | None) -> Answer:
    from gpdata.stats import compare_success

    counted = "finished" if unfinished == "drop" and threshold is None else "runs"
    compared = compare_success(found, treatment=treatment, within=within, runs=counted)
    rows = pa.Table.from_pandas(compared, preserve_index=False).replace_schema_metadata()
    said = [] if len(rows) else [f"no group has two values of {treatment}: there is nothing to compare"]
    if len(rows) and not compared["significant"].any():
        said.append("no difference is significant; --format csv has the p-values")
    about, _, lines = str(compared).partition("\n")
    return Answer(rows, lambda width: Group(Text(about), Text(lines, no_wrap=True, overflow="ignore")), said=said)


def _said(answer: Answer, asked: Asked) -> Answer:
    if not len(answer.rows):
        return answer if answer.said else replace(answer, said=[asked.nothing()])
    if "rate" in answer.rows.column_names and not any(answer.rows["successes"].to_pylist()):
        return replace(answer, said=["no run succeeded; --threshold ERROR calls one a success that came so near"])
    return answer


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _between(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{_percent(low)}–{_percent(high)}"


def _generations(row: dict[str, Any]) -> str:
    """Write the median, the least and the greatest."""
    median, least, greatest = (row[f"generations_{name}"] for name in ("median", "min", "max"))
    return "–" if median is None else f"{cell(median)} ({least}–{greatest})"
