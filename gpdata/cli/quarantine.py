"""`gpdata quarantine`: what could not become rows, and what to do about it."""

from __future__ import annotations

import json
import sys

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gpdata.cli.options import QUARANTINED, chosen_lake, human_bytes, lake_option
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from gpdata.lake.replay import replay as replay_entries
from gpdata.spool import Entry

_SHOWN = 2_000


@click.group()
def quarantine() -> None:
    """List, show, replay and drop the bytes that could not become rows."""


@quarantine.command("list")
@lake_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an entry.")
def list_(lake: str, as_json: bool) -> None:
    """List the entries with their reasons."""
    entries = list(Lake.open(chosen_lake(lake)).quarantine.entries())
    if as_json:
        for entry in entries:
            click.echo(msgspec.json.encode(entry))
        return
    if not entries:
        click.echo("the quarantine is empty")
        return
    table = Table("id", "code", "size", "from", "run", "generation", box=None, pad_edge=False)
    for entry in entries:
        origin = f"{entry.origin or entry.source or ''}" + (f":{entry.line}" if entry.line else "")
        generation = "" if entry.generation is None else str(entry.generation)
        table.add_row(entry.id, entry.code, human_bytes(entry.size), origin, entry.run_uuid or "", generation)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@quarantine.command()
@lake_option
@click.argument("entry")
@click.option("--raw", is_flag=True, help="Write the bytes as they came in, and nothing else.")
def show(lake: str, entry: str, raw: bool) -> None:
    """Show an ENTRY: its reason, and its bytes."""
    kept = Lake.open(chosen_lake(lake)).quarantine
    found = kept.entry(entry)
    data = kept.raw(found)
    if raw:
        sys.stdout.buffer.write(data)
        return
    click.echo(json.dumps(msgspec.to_builtins(found), indent=1))
    if len(data) > 2 * _SHOWN:
        left = f"\n... {len(data) - 2 * _SHOWN:,} bytes; --raw writes them all ...\n"
        click.echo(data[:_SHOWN].decode(errors="replace") + left + data[-_SHOWN:].decode(errors="replace"))
    else:
        click.echo(data.decode(errors="replace"))


@quarantine.command()
@lake_option
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
@click.option("--all", "everything", is_flag=True, help="Every entry.")
@click.pass_context
def replay(ctx: click.Context, lake: str, entries: tuple[str, ...], everything: bool) -> None:
    """Try lines again, after an upgrade for instance; an entry goes once its line is stored.

    The exit status is 3 where some stay.
    """
    target = Lake.open(chosen_lake(lake))
    chosen = _chosen(target, entries, everything)
    stored = replay_entries(target, chosen)
    click.echo(f"{stored} of {len(chosen)} entries are stored now; the others stay in quarantine")
    if stored < len(chosen):
        ctx.exit(QUARANTINED)


@quarantine.command()
@lake_option
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
@click.option("--all", "everything", is_flag=True, help="Every entry.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(lake: str, entries: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Remove entries and their bytes for good."""
    target = Lake.open(chosen_lake(lake))
    chosen = _chosen(target, entries, everything)
    if not yes:
        click.confirm(f"Remove {len(chosen)} entries and their bytes for good?", abort=True)
    for entry in chosen:
        target.quarantine.drop(entry)
    click.echo(f"{len(chosen)} entries removed")


def _chosen(lake: Lake, entries: tuple[str, ...], everything: bool) -> list[Entry]:
    if everything == bool(entries):
        raise InvalidInput("name the entries, or give --all; 'gpdata quarantine list' shows what there is")
    if everything:
        return list(lake.quarantine.entries())
    return [lake.quarantine.entry(id_) for id_ in entries]
