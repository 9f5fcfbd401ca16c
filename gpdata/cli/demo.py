"""`gpdata demo`: all of gpdata in one command, with evolution of its own or with recorder streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gpdata.analyses import last_generation, success_table
from gpdata.cli.options import chosen_engine, engine_option, need_deap, usual_groups
from gpdata.config import settings
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput
from gpdata.lab import open as open_lab
from gpdata.lake import Account, Lake

_SHOWN = ("runs", "finished", "successes", "generalising", "rate", "generations_median")
Step = Callable[[int, int], None]


@click.command()
@click.option("--lake", metavar="DIR", default="demo-lake", show_default=True, help="The lake to record into.")
@click.option("--report", metavar="FILE", default="demo-report.html", show_default=True, help="The page to write.")
@click.option("--captures", metavar="DIR", help="Import the recorder streams of this folder instead of evolving.")
@engine_option
@click.option("--quick", is_flag=True, help="Evolve little, to see that it works.")
def demo(lake: str, report: str, captures: str | None, engine: str, quick: bool) -> None:
    """Evolve with DEAP, record it live, and write a report.

    Tournament and lexicase selection are compared on a small problem of program synthesis. The runs are
    seeded: evolved again into the same lake, they are recognised, and nothing is stored twice.
    """
    folder = Path(report).absolute().parent
    if not folder.is_dir():
        raise InvalidInput(f"the report {report} has no place: {folder} is no folder. Make it, or name another.")
    if captures is not None and quick:
        raise InvalidInput("--captures and --quick were given; --quick is about evolving: leave one out")
    account = _evolve(lake, quick) if captures is None else _import(lake, captures)
    click.echo(_said(account, lake), err=True)
    lab = open_lab(lake, engine=chosen_engine(engine))
    by = usual_groups(lab)
    from gpdata.report import write_report

    page = write_report(lab, report, by=by, title="The demo of gpdata")
    click.echo(f"lake:   {lab.path}\nreport: {page.absolute()}\n")
    click.echo(_text(success_table(last_generation(lab.generations), lab.runs, by=by), [*by, *_SHOWN]))


def _evolve(lake: str, quick: bool) -> Account:
    need_deap(", or name a folder of recorder streams with --captures")
    from gpdata.demo.runs import run_demo

    with _progress("evolve", "runs") as step:
        return run_demo(lake, seeds=range(1, 3) if quick else range(1, 11), quick=quick, progress=step)


def _import(lake: str, captures: str) -> Account:
    from gpdata.importers import find_streams, import_paths

    chosen = settings()
    streams = find_streams([captures])
    with _progress("import", "streams") as step:
        return import_paths(
            streams,
            Lake.create(lake),
            owner=chosen.owner,
            max_line_bytes=chosen.max_line_bytes,
            batch_bytes=chosen.batch_bytes,
            progress=lambda at: step(at.sources_done, at.sources),
        )


@contextmanager
def _progress(doing: str, what: str) -> Iterator[Step]:
    """Show on standard error how far it is: a bar on a terminal, a line a step elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        said = 0

        def say(done: int, total: int) -> None:
            nonlocal said
            if done > said:
                click.echo(f"{doing}: {done} of {total} {what}", err=True)
                said = done

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"))
    with Progress(*columns, TextColumn(what), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _said(account: Account, lake: str) -> str:
    text = f"stored: {account.runs} runs, {account.generations} generations, {account.individuals} individuals"
    if account.duplicates:
        text += f"; {account.duplicates} generations were in the lake already and are not stored twice"
    if account.quarantined:
        text += f"; {account.quarantined} lines are in the quarantine (gpdata quarantine list --lake {lake})"
    return text


def _text(table: Any, names: Sequence[str]) -> str:
    """Write columns of a table in aligned text, each as wide as it needs."""
    rows = to_arrow(table).to_pylist()
    cells = [list(names), *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
