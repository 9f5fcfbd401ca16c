"""`gpdata report`: the standard report of a lake as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from gpdata.cli.options import chosen_engine, chosen_lake, engine_option, lake_argument, usual_groups
from gpdata.lab import open as open_lab


@click.command()
@lake_argument
@click.option("--output", "-o", default="report.html", show_default=True, help="The page to write.")
@click.option("--by", multiple=True, metavar="COLUMN",
              help="A column of runs, such as a config key, to group runs by; repeat for more.  "
              "[default: problem, parent-selection]")  # fmt: skip
@engine_option
@click.option("--title", help="The page's title.")
def report(
    lake_argument: str | None,
    lake_option: str | None,
    output: str,
    by: tuple[str, ...],
    engine: str,
    title: str | None,
) -> None:
    """Write the standard report of a lake: success, error curves, last generations, and the code of each."""
    from gpdata.report import write_report

    lab = open_lab(chosen_lake(lake_argument, lake_option), engine=chosen_engine(engine))
    options = {"title": title} if title else {}
    groups = by or usual_groups(lab)
    click.echo(write_report(lab, Path(output), by=groups, **options))
