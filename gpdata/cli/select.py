"""Which runs a command is about: options that choose them, and what a shell completes for these."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpdata.cli.options import chosen_engine, chosen_lake, engine_option, lake_argument
from gpdata.errors import GpdataError, InvalidInput

if TYPE_CHECKING:
    from gpdata.lab import Lab

_OPTIONS = ("where", "owner", "label", "problem", "since", "until", "run")
_SHORTEST = 8

ENDS = ("outcome", "generation", "best_so_far")
"""What `gpdata runs` says of each run's last generation."""


@dataclass(frozen=True)
class Asked:
    """The runs that a command was asked about: a lake, and a choice of its runs.

    Parameters
    ----------
    lake : str
        The lake's directory.
    engine : str or None
        The name of what answers; None for the default.
    where : mapping of str to list
        Column of runs to the values of which a run must have one; None: it lacks the key.
    since, until : str or None
        Limits of the start.
    run : sequence of str
        Beginnings of uuids.
    """

    lake: str
    engine: str | None
    where: dict[str, list[str | None]]
    since: str | None
    until: str | None
    run: tuple[str, ...]

    def lab(self) -> Lab:
        """Open the chosen runs; columns of runs are the config keys that these have.

        Raises
        ------
        InvalidInput, UnknownColumn, UnknownRun
            A value, a key or a run that is not in the lake.
        """
        from gpdata.analyses import select_runs
        from gpdata.convert import to_arrow
        from gpdata.lab import open as open_lab
        from gpdata.run import find_run

        engine = chosen_engine(self.engine)
        if not (self.where or self.since or self.until or self.run):
            return open_lab(self.lake, engine=engine)
        whole = open_lab(self.lake, engine="duckdb")
        known = to_arrow(whole.runs.select("run_uuid"))["run_uuid"].to_pylist()
        wanted = {find_run(prefix, known, f"the lake {self.lake}") for prefix in self.run} or set(known)
        if self.where or self.since or self.until:
            fitting = select_runs(whole.runs, where=self.where, since=self.since, until=self.until)
            wanted &= set(to_arrow(fitting.select("run_uuid"))["run_uuid"].to_pylist())
        return open_lab(self.lake, runs=sorted(wanted), version=whole.version, engine=engine)

    def nothing(self) -> str:
        """Say why there are no rows."""
        if not (self.where or self.since or self.until or self.run):
            return f"the lake {self.lake} has no runs yet; gpdata import or gpdata.Recorder brings some in"
        return f"no run fits all that was asked for; 'gpdata runs {self.lake}' lists those that there are"


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Return the shortest beginnings, eight letters at least, that tell runs apart.

    Examples
    --------
    >>> list(short_names(["0123456789a", "0123456789b", "abc"]).values())
    ['0123456789a', '0123456789b', 'abc']
    """
    length = _SHORTEST
    while len({run[:length] for run in runs}) < len(set(runs)):
        length += 1
    return {run: run[:length] for run in runs}


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take a lake, an engine and a choice of runs, and give it one `Asked` in their place."""
    return engine_option(run_options(command))


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take a lake and a choice of runs; DuckDB answers, where no engine is given."""

    @functools.wraps(command)
    def with_selection(
        *, lake_argument: str | None, lake_option: str | None, engine: str | None = "duckdb", **given: Any
    ) -> Any:
        where, owner, label, problem, since, until, run = (given.pop(name) for name in _OPTIONS)
        wanted = parse_where(where)
        for name, values in (("owner", owner), ("label", label), ("problem", problem)):
            if values:
                wanted.setdefault(name, []).extend(values)
        asked = Asked(chosen_lake(lake_argument, lake_option), engine, wanted, since, until, run)
        return command(asked, **given)

    for option in reversed(_choices()):
        option(with_selection)
    return lake_argument(with_selection)


def parse_where(given: Sequence[str]) -> dict[str, list[str | None]]:
    """Read KEY=VALUE pairs; values of the same key are alternatives, and null asks for runs without.

    Examples
    --------
    >>> parse_where(["seed=1", "seed=2", "label=null"])
    {'seed': ['1', '2'], 'label': [None]}
    """
    wanted: dict[str, list[str | None]] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--where {pair!r}: give KEY=VALUE, such as --where parent-selection=lexicase")
        wanted.setdefault(key, []).append(None if value == "null" else value)
    return wanted


def complete_sort(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete a column of what `gpdata runs` lists."""
    return [name for name in [*_runs(ctx), *ENDS] if name.startswith(incomplete)]


def complete_key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete a column of runs."""
    return [name for name in _runs(ctx) if name.startswith(incomplete)]


def complete_where(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete KEY=, then the values that runs have."""
    key, equals, value = incomplete.partition("=")
    runs = _runs(ctx)
    if not equals:
        return [f"{name}=" for name in runs if name.startswith(key)]
    return [f"{key}={each}" for each in _different(runs.get(key, [])) if each.startswith(value)]


def complete_value(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete a value of the column that the option is called after."""
    return [value for value in _different(_runs(ctx).get(str(param.name), [])) if value.startswith(incomplete)]


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the uuid of a run."""
    return [run for run in _runs(ctx).get("run_uuid", []) if run.startswith(incomplete)]


def _runs(ctx: click.Context) -> dict[str, list[Any]]:
    """Return the columns of runs of the lake on the line so far; a lake that cannot be read completes nothing."""
    from gpdata.lake import Lake, take_snapshot
    from gpdata.lake.runs import runs_table

    given = ctx.params
    # Where an option still lacks its value, click leaves the words before it unread.
    argument = given.get("lake_argument") or next((word for word in ctx.args if Path(word).is_dir()), None)
    try:
        lake = chosen_lake(argument, given.get("lake_option"))
        columns: dict[str, list[Any]] = runs_table(take_snapshot(Lake.open(lake))).to_pydict()
    except (GpdataError, OSError):  # a message in the middle of somebody's line would help nobody
        return {}
    return columns


def _different(values: Sequence[Any]) -> list[str]:
    return sorted({str(value) for value in values if value is not None})


def _choices() -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    many: dict[str, Any] = {"multiple": True}
    return [
        click.option("--where", metavar="KEY=VALUE", shell_complete=complete_where, **many,
                     help="Only runs whose column KEY, such as a config key, is VALUE; null: that have none.  Repeat "
                     "for more: of one key either value fits, of several keys all must."),
        click.option("--owner", metavar="NAME", shell_complete=complete_value, **many, help="Only runs of this owner."),
        click.option("--label", metavar="TEXT", shell_complete=complete_value, **many, help="Only runs so labelled."),
        click.option("--problem", metavar="NAME", shell_complete=complete_value, **many, help="Only this problem."),
        click.option("--since", metavar="DATE", help="Only runs that started then or later: 2026-11-20 or "
                     "2026-11-20T18:30, UTC."),
        click.option("--until", metavar="DATE", help="Only runs that started before."),
        click.option("--run", metavar="UUID", shell_complete=complete_run, **many,
                     help="Only this run; the beginning of its uuid will do."),
    ]  # fmt: skip
