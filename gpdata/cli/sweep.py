"""`gpdata sweep`: a command for each cell of a grid of parameters."""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gpdata.cli.options import FOUND_PROBLEMS, lake_option
from gpdata.config import settings
from gpdata.errors import InvalidInput


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--grid", "-g", "grids", multiple=True, metavar="NAME=V,V,...", help="A parameter and its values.")
@click.option("--grid-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A grid as JSON.")
@click.option("--repeats", "-n", type=click.IntRange(1), default=1, show_default=True, help="Runs of each combination.")
@click.option("--name", help="The sweep's name: called again under it, it goes on.  [default: the program's]")
@lake_option
@click.option("--to", metavar="URL", help="Record to a server instead.  [default: $GPDATA_SERVER]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="What all seeds derive from.")
@click.option("--workers", "-j", type=click.IntRange(1), help="Runs at once.  [default: one per processor]")
@click.option("--retries", type=click.IntRange(0), default=2, show_default=True, help="Times that a cell may fail.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End attempts after that.")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True, help="Who runs.")
@click.option("--dry-run", is_flag=True, help="Print the commands, and run none.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, a line for each cell.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def sweep(
    ctx: click.Context,
    grids: tuple[str, ...],
    grid_file: Path | None,
    repeats: int,
    name: str | None,
    lake: str,
    to: str | None,
    seed: int,
    workers: int | None,
    retries: int,
    timeout: float | None,
    engine: str,
    dry_run: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run a command for each cell of a grid, each run recorded exactly once.

    In the COMMAND, {name} stands for a parameter, {seed} for the run's seed, {run_uuid} for its uuid, {record_host}
    for the address of Clojush's :record-host; gpdata.Recorder without an address records the cell by itself. A run
    counts when the command ends with status 0; killed or failed, nothing of it is in the lake. The same sweep called
    again runs what is left.

    \b
    gpdata sweep --grid size=100,200 --grid selection=lexicase,tournament --repeats 10 \\
        -- python evolve.py --size {size} --selection {selection} --seed {seed}

    Values are read as JSON where they are JSON (100, 0.5, true), else as text. The exit status is 0 where every cell
    has its run, 1 where some have not, 2 where the arguments cannot be used.
    """  # noqa: D301
    from gpdata.sweeps.cells import cells_of, seed_of
    from gpdata.sweeps.start import sweep as run_sweep
    from gpdata.sweeps.words import PLACES, filled, words_of

    grid = _grid(grids, grid_file)
    if dry_run:
        cells = cells_of(grid, repeats)
        words = words_of(command, {name for cell in cells for name in cell.params})
        shown = {place: f"{{{place}}}" for place in PLACES}
        for cell in cells:
            values = {**shown, **cell.params, "seed": seed_of(cell, seed), "repeat": cell.repeat}
            click.echo(" ".join(_quoted(word) for word in filled(words, values)))
        return
    if lake and to:
        raise InvalidInput(f"a lake ({lake}) and a server ({to}) were named; name one")
    place = to or lake or settings().server or settings().lake
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the table below says the same
        found = run_sweep(
            list(command),
            grid,
            repeats=repeats,
            engine=engine,
            lake=place,
            name=name,
            seed=seed,
            workers=workers,
            retries=retries,
            timeout=timeout,
            progress=None if sys.stderr.isatty() else True,
        )
    rows: list[dict[str, Any]] = [
        {str(key): None if value != value else value for key, value in row.items()} for row in found.to_dict("records")
    ]
    failed = [row for row in rows if row["outcome"] != "done"]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        click.echo(_summary(rows, failed, place))
    if failed:
        ctx.exit(FOUND_PROBLEMS)


def _grid(grids: Sequence[str], file: Path | None) -> Any:
    if file is not None:
        if grids:
            raise InvalidInput("--grid and --grid-file were given; leave one out")
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidInput(
                f"{file} is no JSON ({error}); valid is an object of lists, or a list of objects, such as "
                '{"size": [100, 200]}'
            ) from None
    found: dict[str, list[object]] = {}
    for text in grids:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise InvalidInput(f"--grid is {text!r}; valid is NAME=VALUE,VALUE,..., such as --grid size=100,200")
        if name in found:
            raise InvalidInput(f"--grid names {name!r} twice; give all its values at once: --grid {name}=a,b")
        found[name] = [_value(value) for value in values.split(",")]
    return found


def _value(text: str) -> object:
    """Read a value of the command line.

    Examples
    --------
    >>> _value("100"), _value("0.5"), _value("true"), _value("lexicase")
    (100, 0.5, True, 'lexicase')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def _quoted(word: str) -> str:
    return word if word.startswith("{") else shlex.quote(word)


def _summary(rows: list[dict[str, Any]], failed: list[dict[str, Any]], place: str) -> str:
    text = f"{len(rows) - len(failed)} of {len(rows)} cells have their run in {place}"
    repeated = sum(row["attempts"] > 1 for row in rows)
    if repeated:
        text += f"; {repeated} of them took more than one attempt"
    for row in failed:
        given = ", ".join(f"{name}={value}" for name, value in row["params"].items()) or "no parameters"
        text += f"\n{row['outcome']}: {given}, repeat {row['repeat']}, {row['attempts']} attempts: {row['error']}"
    if failed:
        text += "\nrun the same sweep again to try these anew"
    return text
