"""What differs between runs: their parameters side by side, what they share, and a choice of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_columns, give_rows, wrap
from gpdata.errors import InvalidInput, near
from gpdata.schema import RUNS, Column, Type

RUNS_TABLE = (RUNS["run_uuid"],)
"""The result columns of `runs_table`; the columns of runs that differ follow, as they are in runs."""

SHARED_PARAMETERS = (
    Column("parameter", Type.STRING, "a column of runs, such as a config key", "runs"),
    Column("value", Type.STRING, "what it is in every run", "runs", "it is null in every run"),
)
"""The result columns of `shared_parameters`."""

_NESTED = ("config", "flags", "extra")
"""Columns of runs that hold several things: the config keys are columns of their own."""
_ADDRESS = re.compile(r"(\$\w+?__\d+)?@[0-9a-f]{1,8}\b")
"""What a JVM adds to the name of a function, another one in each process."""


def runs_table(lab: Any) -> Any:
    """Return the runs with the columns in which they differ, config keys among them.

    Parameters
    ----------
    lab : Lab or frame
        A lab, or runs of it: `lab.runs`, or what `select_runs` returned.

    Returns
    -------
    frame
        One row per run, in the order of the input: `run_uuid`, then the columns of runs that have two different
        values or more, null being one, in their order and with their types. Columns that hold several things
        (`config`, `flags`, `extra`) are left out, their keys being columns of their own, and so are config keys that
        say what a column says (`run-uuid`, and `config.label` where it is the label). What all runs share is folded
        away, and told by `shared_parameters`.

    Raises
    ------
    InvalidInput
        `lab` is neither a lab nor a frame.
    UnknownColumn
        `run_uuid` is missing.

    Notes
    -----
    The address that a JVM gives to a function (`odd$fn__79@4a93`), another one in each process, is no difference.

    The runs are collected, few rows as they are, to see which columns differ.

    Examples
    --------
    >>> import polars as pl
    >>> runs = pl.DataFrame(
    ...     {"run_uuid": ["a", "b"], "problem": ["odd", "odd"], "parent-selection": ["lexicase", "tournament"]}
    ... )
    >>> runs_table(runs).columns
    ['run_uuid', 'parent-selection']
    """
    runs = _runs_of(lab)
    differing = [name for name, values in _values(runs).items() if len(set(values)) > 1]
    return _native(_select(wrap(runs, RUNS.name), ["run_uuid", *differing]), "runs_table")


def shared_parameters(lab: Any) -> Any:
    """Return the columns of runs that are the same in all of them, config keys among them, with their value.

    Parameters
    ----------
    lab : Lab or frame
        As `runs_table` takes it.

    Returns
    -------
    frame
        One row per column that `runs_table` folds away, in the order of runs, with the columns of
        `SHARED_PARAMETERS`:

        - `parameter`: the column.
        - `value`: its value in every run, as text; null where it is null in every run.

        No row where there are no runs: they share nothing.

    Raises
    ------
    InvalidInput
        `lab` is neither a lab nor a frame.
    UnknownColumn
        `run_uuid` is missing.

    Notes
    -----
    As for `runs_table`: the runs are collected.

    Examples
    --------
    >>> import polars as pl
    >>> runs = pl.DataFrame(
    ...     {"run_uuid": ["a", "b"], "problem": ["odd", "odd"], "parent-selection": ["lexicase", "tournament"]}
    ... )
    >>> shared_parameters(runs).rows()
    [('problem', 'odd')]
    """
    runs = _runs_of(lab)
    shared = {name: values[0] for name, values in _values(runs).items() if len(set(values)) == 1}
    columns = {
        "parameter": pa.array(list(shared), pa.string()),
        "value": pa.array([None if value is None else str(value) for value in shared.values()], pa.string()),
    }
    return give_rows(columns, SHARED_PARAMETERS, runs, "shared_parameters")


def select_runs(
    runs: IntoFrameT,
    *,
    where: Mapping[str, Any] | None = None,
    label: str | Iterable[str] | None = None,
    owner: str | Iterable[str] | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    text: str | None = None,
) -> IntoFrameT:
    """Choose runs by their config, label, owner and date, or by a text.

    Parameters
    ----------
    runs : frame
        `lab.runs`.
    where : mapping, optional
        For each column of runs, config keys among them, the value that it must have, or a list of values of which it
        must have one. None asks for runs that lack the key or have null. Numbers and booleans mean their JSON text,
        which is how runs hold them: `{"population-size": 1000, "use-ALPS": False}`.
    label, owner : str or iterable of str, optional
        The label or the owner, or several of them.
    since, until : str, date or datetime, optional
        Runs that started at or after `since`, and before `until`; a text is ISO 8601, such as "2026-11-20", and a
        time without a zone is UTC. A run whose start was not recorded is left out.
    text : str, optional
        Runs that hold this text in a column of text, such as `run_uuid`, `label` or a config key, whatever the case.

    Returns
    -------
    frame
        One row per run that fits all that was given, with the columns of runs as they are, lazy where the input was.

    Raises
    ------
    InvalidInput
        `runs` is not a frame, no run at all has a value that was asked for, or a date is none.
    UnknownColumn
        A column is missing.

    Notes
    -----
    The different values of the columns that are named are collected, so that a misspelt one is told the near ones.

    Examples
    --------
    >>> import polars as pl
    >>> runs = pl.DataFrame(
    ...     {"run_uuid": ["a", "b"], "label": ["pilot", None], "parent-selection": ["lexicase", "tournament"]}
    ... )
    >>> select_runs(runs, where={"parent-selection": "lexicase"})["run_uuid"].to_list()
    ['a']
    >>> select_runs(runs, text="PIL")["run_uuid"].to_list()
    ['a']
    >>> select_runs(runs, where={"parent-selection": "lexicas"})
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: no run has parent-selection='lexicas': did you mean 'lexicase'?
    """
    given = wrap(runs, RUNS.name)
    named = dict(where or {}) | {n: v for n, v in (("label", label), ("owner", owner)) if v is not None}
    dates = {"since": since, "until": until}
    needed = [*named, *(["started_at"] if any(value is not None for value in dates.values()) else [])]
    advice = "Name columns of lab.runs; keys of the config are among them."
    check_columns(needed, given.collect_schema().names(), RUNS.name, advice)
    chosen: Any = given
    for name, wanted in named.items():
        chosen = chosen.filter(_fits(given, name, wanted))
    for name, moment in dates.items():
        if moment is not None:
            start, at = nw.col("started_at"), nw.lit(_moment(name, moment))
            chosen = chosen.filter(start >= at if name == "since" else start < at)
    if text:
        chosen = chosen.filter(_holds(given, text))
    native: IntoFrameT = _native(chosen, "select_runs")
    return native


def _fits(given: Any, name: str, wanted: Any) -> nw.Expr:
    """Say when a column has one of the wanted values, each of which some run has."""
    values = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
    known = {None if _is_null(value) else value for value in _column(given, name)}
    texts = {str(value): value for value in known if value is not None}
    found: list[Any] = []
    for value in values:
        if value is None:
            found += [texts["null"]] if "null" in texts else []  # how runs hold a JSON null
            continue
        fitting = [value] if value in known else [texts[text] for text in _texts(value) if text in texts]
        if not fitting:
            raise InvalidInput(f"no run has {name}={value!r}: {near(str(value), texts)}")
        found += fitting
    column = nw.col(f"`{name}`" if given.implementation.is_spark_like() else name)
    fits = column.is_in(found) if found else None
    lacking = column.is_null() if None in values else None
    both = [expression for expression in (fits, lacking) if expression is not None]
    if not both:
        return column.is_null() & ~column.is_null()
    return both[0] if len(both) == 1 else both[0] | both[1]


def _holds(given: Any, text: str) -> nw.Expr:
    """Say when a column of text holds a text, whatever the case."""
    texts = [name for name, dtype in given.collect_schema().items() if dtype == nw.String and name not in _NESTED]
    columns = [nw.col(f"`{name}`" if given.implementation.is_spark_like() else name) for name in texts]
    together = nw.concat_str(columns, separator="\n", ignore_nulls=True)
    return together.str.to_lowercase().str.contains(text.lower(), literal=True)


def _texts(value: Any) -> list[str]:
    """Write a value as runs may hold it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [value if isinstance(value, str) else json.dumps(value, default=str, separators=(",", ":"))]
    whole = [str(int(value)), f"{int(value)}.0"] if float(value).is_integer() else []
    return list(dict.fromkeys([json.dumps(value), *whole]))


def _moment(name: str, given: str | date) -> datetime:
    try:
        value = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InvalidInput(f"{name}={given!r} is no date: give one as '2026-11-20' or '2026-11-20T18:30'.") from error
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _column(given: Any, name: str) -> list[Any]:
    values: list[Any] = _collect(_select(given, [name]))[name].to_pylist()
    return values


def _select(given: Any, names: list[str]) -> Any:
    """Take columns: Spark would look for `config.label` inside of `config`, if it were not quoted."""
    if not given.implementation.is_spark_like():
        return given.select(names)
    return nw.from_native(given.to_native().select(*(f"`{name}`" for name in names)))


def _runs_of(lab: Any) -> Any:
    """Return the runs of a lab; a frame is taken for them (one of Connect has any attribute that it is asked for)."""
    is_frame = isinstance(nw.from_native(lab, pass_through=True), nw.DataFrame | nw.LazyFrame)
    return lab if is_frame else getattr(lab, "runs", lab)


def _values(runs: Any) -> dict[str, list[Any]]:
    """Return the values of each column of runs, in their order, addresses of functions taken off."""
    given = wrap(runs, RUNS.name)
    present = given.collect_schema().names()
    check_columns(["run_uuid"], present, RUNS.name, "Give a lab, or lab.runs.")
    table = _collect(_select(given, [name for name in present if name not in _NESTED]))
    values = {name: [_plain(value) for value in table[name].to_pylist()] for name in table.column_names}
    return {name: column for name, column in values.items() if name != "run_uuid" and not _is_said(name, values)}


def _is_said(name: str, values: dict[str, list[Any]]) -> bool:
    """Say whether a config key repeats a column of runs."""
    column = name.removeprefix("config.").replace("-", "_")
    return column != name and column in RUNS.names and values.get(column) == values[name]


def _collect(frame: Any) -> pa.Table:
    return frame.collect("pyarrow").to_native() if isinstance(frame, nw.LazyFrame) else frame.to_arrow()


def _native(frame: Any, name: str) -> Any:
    native = frame.to_native()
    # Not the input's alias, or the two could not be joined.
    return native.set_alias(name) if frame.implementation.is_duckdb() else native


def _plain(value: Any) -> Any:
    return None if _is_null(value) else _ADDRESS.sub("", value) if isinstance(value, str) else value


def _is_null(value: Any) -> bool:
    return value is None or bool(value != value)
