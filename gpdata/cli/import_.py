"""`gpdata import`: recorder streams into a lake."""

from __future__ import annotations

import json
import time

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gpdata.cli.options import QUARANTINED, chosen_lake, lake_option
from gpdata.config import settings
from gpdata.importers import Progress as Step
from gpdata.importers import find_streams, import_paths
from gpdata.lake import Account, Lake

_EVERY = 5.0


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@lake_option
@click.option("--owner", help="Who the runs belong to.  [default: $GPDATA_OWNER, else nobody]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, as the last line.")
@click.pass_context
def import_(ctx: click.Context, paths: tuple[str, ...], lake: str, owner: str | None, as_json: bool) -> None:
    """Take recorder streams into a lake, exactly once.

    PATH is a stream of one JSON line per generation, plain, zstd or gzip; a directory of such; or - for
    standard input. The lake is made where there is none. Interrupted or not, the same command can be run
    again: what is stored already counts as duplicates.

    Lines that cannot become rows wait, with their bytes, in the quarantine (see gpdata quarantine list); the
    exit status is 3 then. Otherwise it is 0, or 2 when the arguments cannot be used.
    """
    chosen = settings()
    sources = find_streams(paths)
    target = Lake.create(chosen_lake(lake))
    with _Show() as show:
        account = import_paths(
            sources,
            target,
            owner=owner or chosen.owner,
            max_line_bytes=chosen.max_line_bytes,
            batch_bytes=chosen.batch_bytes,
            progress=show.step,
        )
    click.echo(json.dumps(msgspec.to_builtins(account)) if as_json else _summary(account, target))
    if account.quarantined:
        ctx.exit(QUARANTINED)


def _summary(account: Account, lake: Lake) -> str:
    text = (
        f"{account.lines} lines: {account.accepted} stored, {account.duplicates} stored before, "
        f"{account.quarantined} in quarantine\n"
        f"new in {lake.path}: {account.runs} runs, {account.generations} generations, "
        f"{account.individuals} individuals"
    )
    if account.quarantined:
        text += f"\nwhy lines are in quarantine: gpdata quarantine list --lake {lake.path}"
    return text


class _Show:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._bar.add_task("import", total=None) if self._bar else None
        self._next = time.monotonic() + _EVERY

    def __enter__(self) -> _Show:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, step: Step) -> None:
        """Show how far the import is."""
        stored = f"{step.account.generations + step.account.duplicates} generations"
        if self._bar and self._task is not None:
            title = f"{min(step.sources_done + 1, step.sources)}/{step.sources} {stored}"
            self._bar.update(self._task, completed=step.bytes_done, total=step.bytes or None, description=title)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            share = f", {100 * step.bytes_done // step.bytes} %" if step.bytes else ""
            click.echo(f"import: {step.sources_done} of {step.sources} sources{share}, {stored}", err=True)
