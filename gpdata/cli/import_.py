"""`gpdata import`: whatever a lab has, into a lake."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gpdata.cli.options import QUARANTINED, chosen_lake, lake_option
from gpdata.config import settings
from gpdata.errors import InvalidInput
from gpdata.importers import FORMATS, Imported, check_arguments, find_files, import_archives, lacks, said_lacks
from gpdata.importers import Progress as Step
from gpdata.lake import Lake

_EVERY = 5.0
_SAID = 10
"""Refused files and lines that are named on the screen; `--json` names more."""


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@lake_option
@click.option("--owner", help="Who the runs belong to.  [default: $GPDATA_OWNER, else nobody]")
@click.option("--pattern", metavar="PATTERN",
              help="What file names say, such as '{problem}-{config.parent-selection}-s{config.random-seed}.log'."
              )  # fmt: skip
@click.option("--set", "given", multiple=True, metavar="FIELD=VALUE",
              help="What is known of all runs, such as problem=odd or config.parent-selection=lexicase.")  # fmt: skip
@click.option("--format", "formats", multiple=True, type=click.Choice(list(FORMATS)),
              help="Take files of this format only; may be given again.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that read files.")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True,
              help="Who reads the files: this machine, or the executors of Spark.")  # fmt: skip
@click.option("--preset", default="local", show_default=True, metavar="NAME", help="With spark: as in gpdata.spark().")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, as the last line.")
@click.pass_context
def import_(
    ctx: click.Context,
    paths: tuple[str, ...],
    lake: str,
    owner: str | None,
    pattern: str | None,
    given: tuple[str, ...],
    formats: tuple[str, ...],
    workers: int,
    engine: str,
    preset: str,
    as_json: bool,
) -> None:
    """Take recorder streams, old logs and archives of them into a lake, exactly once.

    PATH is a recorder stream, a log of Clojush (CSV, EDN, JSON, or what it printed), a phylogeny in the ALife
    standard; a tar or zip archive, or a directory of such; or - for standard input. What a file is, and whether it is
    compressed (gz, zst, xz, bz2), is told by its content. What a format does not hold is null.

    The lake is made where there is none. Interrupted or not, the same command can be run again: it goes on where it
    was, and what is stored already counts as duplicates.

    What cannot become rows waits, with its bytes, in the quarantine (see gpdata quarantine list); the exit status is
    3 then, and also where a file could not be read. Otherwise it is 0, or 2 when the arguments cannot be used.
    """
    chosen = settings()
    if engine == "spark" and workers > 1:
        raise InvalidInput("--workers was given with --engine spark, whose executors read; leave one of them out")
    fields = dict(_field(text) for text in given)
    check_arguments(pattern=pattern, given=fields)
    find_files(paths)  # nothing is made where a path is wrong
    target = Lake.create(chosen_lake(lake))
    with _Show() as show:
        done = import_archives(
            paths,
            target,
            owner=owner or chosen.owner,
            pattern=pattern,
            given=fields,
            formats=formats,
            workers=workers,
            loader=_on_spark(preset) if engine == "spark" else None,
            max_line_bytes=chosen.max_line_bytes,
            batch_bytes=chosen.batch_bytes,
            progress=show.step,
        )
    click.echo(json.dumps(_facts(done)) if as_json else _summary(done, target))
    if done.account.quarantined or done.refused:
        ctx.exit(QUARANTINED)


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidInput(f"--set {text!r} was given; valid is FIELD=VALUE, such as problem=odd")
    return name, value


def _on_spark(preset: str) -> Any:
    from gpdata.sessions import spark
    from gpdata.sessions.importing import SparkLoader

    # What goes wrong is said once, by this command, and not again by the bridge between Python and Java.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    return SparkLoader(spark(preset))


def _facts(done: Imported) -> dict[str, Any]:
    """Return the summary as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(done.account)
    found["formats"] = done.formats
    for name in ("refused", "skipped"):
        found[name] = [{"file": passed.origin, "reason": passed.reason} for passed in getattr(done, name)]
    found["set_aside"] = msgspec.to_builtins(done.set_aside)
    return found


def _summary(done: Imported, lake: Lake) -> str:
    account = done.account
    counts = msgspec.structs.asdict(account)
    text = [
        "{lines} lines: {accepted} stored, {duplicates} stored before, {quarantined} in quarantine".format(**counts),
        f"new in {lake.path}: " + "{runs} runs, {generations} generations, {individuals} individuals".format(**counts),
    ]
    if done.resumed:
        text.append("an import of the same was broken off; what it had stored counts as stored before")
    for name, count in sorted(done.formats.items()):
        if name != "recorder":
            text.append(f"{FORMATS[name].title} ({count} files) does not say, so it is null: {said_lacks(name)}")
            if "outcome" in lacks(name)["generations"]:
                text.append("  nor how a run ended: its outcome is continue; judge successes with a threshold")
    if done.skipped:
        text.append(f"{len(done.skipped)} files were passed by:")
        text += _first(Counter(passed.reason for passed in done.skipped).most_common(), "{1} files: {0}")
    if done.set_aside:
        text.append("set aside, with their bytes, in the quarantine:")
        text += _first([(s.origin, s.line, s.code, s.detail) for s in done.set_aside], "{0}, line {1}: {2}: {3}")
    if done.refused:
        text.append(f"{len(done.refused)} files could not be read, or not to their end:")
        text += _first([(passed.origin, passed.reason) for passed in done.refused], "{0}: {1}")
    if account.quarantined:
        text.append(f"why lines are in quarantine: gpdata quarantine list --lake {lake.path}")
    return "\n".join(text)


def _first(entries: list[Any], form: str) -> list[str]:
    shown = [f"  {form.format(*entry)}" for entry in entries[:_SAID]]
    return shown + ([f"  ... and {len(entries) - _SAID} more (--json names them)"] if len(entries) > _SAID else [])


class _Show:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._bar.add_task("import", total=None) if self._bar else None
        self._began = time.monotonic()
        self._next = self._began + _EVERY
        self._first: int | None = None

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
        if self._first is None:
            self._first = step.bytes_done
        if self._bar and self._task is not None:
            title = f"{min(step.sources_done + 1, step.sources)}/{step.sources} {stored}"
            self._bar.update(self._task, completed=step.bytes_done, total=step.bytes or None, description=title)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            share = f", {100 * step.bytes_done // step.bytes} %{self._left(step)}" if step.bytes else ""
            click.echo(f"import: {step.sources_done} of {step.sources} sources{share}, {stored}", err=True)

    def _left(self, step: Step) -> str:
        """Say how long the rest takes at the speed so far, what an earlier import had read left out."""
        read = step.bytes_done - (self._first or 0)
        if read <= 0:
            return ""
        seconds = (step.bytes - step.bytes_done) * (time.monotonic() - self._began) / read
        return f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} min left"
