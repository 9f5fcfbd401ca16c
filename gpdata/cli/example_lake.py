"""`gpdata example-lake`: the small lake that the example notebooks read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gpdata.cli.options import need_deap


@click.command("example-lake")
@click.option("--lake", metavar="DIR", default="example-lake", show_default=True, help="The lake to make.")
def example_lake(lake: str) -> None:
    """Make the small lake that the example notebooks read.

    Eighteen runs are evolved with DEAP, six each by tournament selection, by lexicase selection and by age-fitness
    Pareto optimisation. They are seeded: made again, the lake has the same rows, and the notebooks show the same
    numbers. A lake that an interrupted command left is completed.
    """
    need_deap()
    from gpdata.demo.example import PLANS, make_example_lake

    # Without a terminal only the label is printed.
    with click.progressbar(length=len(PLANS), label=f"evolving {len(PLANS)} runs", file=sys.stderr) as bar:
        account = make_example_lake(lake, progress=lambda done, total: bar.update(1))
    said = f"{account.runs} runs, {account.generations} generations and {account.individuals} individuals are new"
    if account.duplicates:
        said += f"; {account.duplicates} generations were there before"
    click.echo(f"{Path(lake).absolute()}: {said}")
