"""`gpdata doctor`: why Spark does not start, or a lake cannot be read."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console

from gpdata.cli.options import FOUND_PROBLEMS, lake_option
from gpdata.errors import InvalidInput
from gpdata.sessions import doctor as examine
from gpdata.sessions.presets import PRESETS


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), help="What would be started.  [default: as gpdata.spark()]")
@click.option("--set", "overrides", metavar="NAME=VALUE", multiple=True, help="A setting of Spark on top.")
@click.option("--start", is_flag=True, help="Start a session, let an executor compute, and compare versions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@lake_option
@click.pass_context
def doctor(
    ctx: click.Context, preset: str | None, overrides: tuple[str, ...], start: bool, as_json: bool, lake: str
) -> None:
    r"""Say what keeps Spark from starting, or a lake from being read, and what to do.

    Checks Java, versions, ports, memory, the cluster and its permissions, and the lake. Nothing is changed. The exit
    status is 1 where something failed.

    \b
    gpdata doctor --lake my-lake
    gpdata doctor --preset standalone --set spark.master=spark://host:7077 --start
    """
    given = dict(map(_setting, overrides))
    found = examine(preset, lake=lake or None, start=start or None, **given)
    if as_json:
        click.echo(json.dumps({"ok": found.ok, "findings": [asdict(finding) for finding in found]}))
    else:
        Console().print(found, highlight=False)
    if not found.ok:
        ctx.exit(FOUND_PROBLEMS)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("spark."):
        raise InvalidInput(f"--set was given {text!r}; valid is a setting of Spark, such as spark.driver.memory=8g")
    return name.replace(".", "__"), value
