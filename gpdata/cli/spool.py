"""`gpdata spool status`: what waits, what is wrong, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gpdata.cli.options import FOUND_PROBLEMS, Bytes, chosen_lake, human_bytes, lake_option
from gpdata.lake import Lake
from gpdata.lake.status import State, problems, state
from gpdata.spool import Spool
from gpdata.spool.room import KEEP_FREE, Room


@click.group()
def spool() -> None:
    """Say what waits in a spool, and what is wrong."""


@spool.command()
@lake_option
@click.option("--spool", "directory", type=click.Path(path_type=Path), metavar="DIR",
              help="The spool.  [default: LAKE/spool]")  # fmt: skip
@click.option("--keep-free", type=Bytes(), default=str(KEEP_FREE), show_default="1GiB",
              help="The mark below which the service takes nothing in.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(ctx: click.Context, lake: str, directory: Path | None, keep_free: int, as_json: bool) -> None:
    """Say what waits in a lake's spool, whether it moves on, and what to do where it does not.

    The exit status is 1 where something is wrong.
    """
    target = Lake.open(chosen_lake(lake))
    source = Spool(directory, disk=target.disk) if directory else target.spool()
    found = state(target, source, Room(source.room, keep_free))
    wrong = problems(found)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found) | {"problems": wrong}))
    else:
        Console().print(_table(found))
        for problem in wrong:
            click.echo(f"! {problem}")
    if wrong:
        ctx.exit(FOUND_PROBLEMS)


def _table(found: State) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    rows: dict[str, Any] = {
        "spool": found.spool,
        "waiting": f"{found.pending_files:,} files, {human_bytes(found.pending_bytes)}{_since(found.oldest_seconds)}",
        "in the lake, kept": f"{found.retired_files:,} files, {human_bytes(found.retired_bytes)}",
        "quarantine": f"{found.quarantined:,} entries, {found.quarantined_today:,} of the last 24 hours",
        "free": f"{human_bytes(found.free)}; the service stops below {human_bytes(found.keep_free)}",
        "transform": _process(found.follower, "follows the spool"),
        "writing now": _process(found.writer, "writes to the lake"),
        "compaction": _process(found.compaction, "compacts the lake"),
        "last batch": "none yet" if found.batch == 0 else f"{found.batch:,}{_since(found.batch_seconds)}",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def _process(process: int | None, what: str) -> str:
    return "nothing" if process is None else f"process {process} {what}"


def _since(seconds: float | None) -> str:
    return "" if seconds is None else f", {human_seconds(seconds)} ago"


def human_seconds(seconds: float) -> str:
    """Write a time for people.

    Examples
    --------
    >>> human_seconds(3), human_seconds(200), human_seconds(90_000)
    ('3 s', '3 min', '25 h')
    """
    for least, size, unit in ((172_800, 86_400, "days"), (5_400, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
