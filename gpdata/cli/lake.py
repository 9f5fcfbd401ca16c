"""`gpdata info`, `gpdata compact` and `gpdata verify`: the upkeep of a lake."""

from __future__ import annotations

import json
import os
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from gpdata.cli.options import FOUND_PROBLEMS, chosen_lake, human_bytes, lake_argument
from gpdata.lab import open as open_lab
from gpdata.lake import Lake, take_snapshot
from gpdata.lake.child import when_parent_ends
from gpdata.lake.compaction import compact as compact_lake
from gpdata.lake.maintain import compact_if_due
from gpdata.lake.verify import verify as verify_lake
from gpdata.schema import STORED


@click.command()
@lake_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(lake_argument: str | None, lake_option: str | None, as_json: bool) -> None:
    """Say what a lake holds and how large it is."""
    facts = _facts(Lake.open(chosen_lake(lake_argument, lake_option)))
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{facts['path']}, version {facts['version']}")
    table = Table("table", "rows", "files", "size", box=None, pad_edge=False)
    for name, of in facts["tables"].items():
        table.add_row(name, f"{of['rows']:,}", f"{of['files']:,}", human_bytes(of["bytes"]))
    Console().print(table)
    for row in facts["problems"]:
        outcomes = f"{row['success']} success, {row['failure']} failure, {row['continue']} unfinished"
        click.echo(f"{row['runs']} runs of {row['problem'] or 'no named problem'} ({row['system']}): {outcomes}")
    for run, missing in facts["gaps"].items():
        click.echo(f"run {run} lacks {missing} generations that were never received")
    if facts["spool"]:
        click.echo(f"{facts['spool']} files wait in the spool: the next writer, or gpdata compact, takes them in")
    if facts["quarantine"]:
        click.echo(f"{facts['quarantine']} entries in quarantine: gpdata quarantine list --lake {facts['path']}")


def _facts(lake: Lake) -> dict[str, Any]:
    snapshot = take_snapshot(lake)
    lab = open_lab(lake.path, version=snapshot.version)
    problems = lab.sql("""
        SELECT system, problem, count(*) AS runs, count(*) FILTER (outcome = 'success') AS success,
               count(*) FILTER (outcome = 'failure') AS failure,
               count(*) FILTER (outcome = 'continue') AS "continue"
        FROM runs JOIN (SELECT run_uuid, arg_max(outcome, generation) AS outcome FROM generations GROUP BY ALL)
        USING (run_uuid) GROUP BY ALL ORDER BY ALL""")
    gaps = lab.sql("""
        SELECT run_uuid, max(generation) + 1 - count(*) FROM generations GROUP BY ALL
        HAVING max(generation) + 1 > count(*) ORDER BY ALL""")
    return {
        "path": str(lake.path),
        "version": snapshot.version,
        "tables": {
            table.name: {
                "rows": snapshot.rows(table.name),
                "files": len(snapshot.files[table.name]),
                "bytes": sum(file.size for file in snapshot.files[table.name]),
            }
            for table in STORED
        },
        "problems": [dict(zip(problems.columns, row, strict=True)) for row in problems.fetchall()],
        "gaps": dict(gaps.fetchall()),
        "spool": len(lake.spool().pending()),
        "quarantine": sum(1 for _ in lake.quarantine.entries()),
    }


@click.command()
@lake_argument
@click.option("--keep-days", type=click.FloatRange(min=0), default=7.0, show_default=True,
              help="How long replaced files stay for sessions that have them open.")  # fmt: skip
@click.option("--auto", is_flag=True, help="Only where enough has gathered, and with less effort a row.")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input does.")
def compact(
    lake_argument: str | None, lake_option: str | None, keep_days: float, auto: bool, with_parent: bool
) -> None:
    """Rewrite a lake's small files into few, sorted and well packed ones.

    Recording, uploads and readers go on meanwhile. With --auto, what gpdata transform --follow does by itself:
    it yields to other programs, and leaves files alone that are well packed already.
    """
    lake = Lake.open(chosen_lake(lake_argument, lake_option))
    keep = keep_days * 24 * 3600
    if with_parent:
        when_parent_ends(lambda: os._exit(1))
    if auto:
        os.nice(10)
        done = compact_if_due(lake, keep=keep)
    else:
        with Console(stderr=True).status("compacting") as status:
            done = compact_lake(
                lake,
                keep=keep,
                progress=lambda name, rows, total: status.update(f"compacting {name}: {rows:,} of {total:,} rows"),
            )
    for table in done:
        click.echo(
            f"{table.table}: {table.files_before} files, {human_bytes(table.bytes_before)} -> "
            f"{table.files_after} files, {human_bytes(table.bytes_after)}"
        )


@click.command()
@lake_argument
@click.pass_context
def verify(ctx: click.Context, lake_argument: str | None, lake_option: str | None) -> None:
    """Check every file and every invariant of a lake; exit status 1 where something is wrong."""
    lake = Lake.open(chosen_lake(lake_argument, lake_option))
    errors = 0
    with Console(stderr=True).status("verifying") as status:
        for finding in verify_lake(lake, progress=lambda file: status.update(f"reading {file}")):
            errors += finding.kind == "error"
            click.echo(f"{finding.kind}: {finding.where}: {finding.what}")
    if errors:
        click.echo(f"{lake.path}: {errors} errors. Restore the files named above from a backup, or report this.")
        ctx.exit(FOUND_PROBLEMS)
    click.echo(f"{lake.path}: every file is readable and every invariant holds")
