"""What every analysis does with its frames: check them, take columns, group by runs, give back.

Inside an analysis a frame is always a narwhals LazyFrame, of DuckDB, Spark or Polars. pandas and Arrow
frames, for which narwhals has no quantile by group and no look into lists, are read by DuckDB where they
stand, and the result is handed back as what was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.formulas import quoted
from gpdata.errors import InvalidInput, UnknownColumn, near
from gpdata.schema import INDIVIDUALS, RUNS, Column, Table, Type
from gpdata.schema.arrow import ARROW
from gpdata.schema.relations import PARENT_COUNT, other_form

DTYPES: dict[Type, Any] = {
    Type.STRING: nw.String,
    Type.INT: nw.Int32,
    Type.DOUBLE: nw.Float64,
    Type.BOOL: nw.Boolean,
    Type.DOUBLES: nw.List(nw.Float64),
    Type.STRINGS: nw.List(nw.String),
}
"""The narwhals projection of the schema, for the types that analyses read and return."""

_SPARK = {type_: type_.value.replace("bool", "boolean").replace("list", "array") for type_ in DTYPES}
"""The same in Spark's words."""


def check_choice(name: str, given: str, valid: Sequence[str]) -> None:
    """Raise `InvalidInput` where an option is none of the valid ones.

    Examples
    --------
    >>> check_choice("stopped", "dropp", ["drop", "carry", "zero"])
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: stopped='dropp': did you mean 'drop'? Give one of 'drop', 'carry', 'zero'.
    """
    if given not in valid:
        raise InvalidInput(f"{name}={given!r}: {near(str(given), valid)} Give one of {', '.join(map(repr, valid))}.")


def check_columns(names: Iterable[str], present: Sequence[str], where: str, advice: str) -> None:
    """Raise `UnknownColumn` for the first of `names` that is not present.

    Parameters
    ----------
    names : iterable of str
        The columns that are needed.
    present : sequence of str
        The columns that there are.
    where : str
        What to call the frame in the message.
    advice : str
        What to do next.

    Examples
    --------
    >>> check_columns(["problm"], ["problem", "label"], "runs", "Name a column of runs.")
    Traceback (most recent call last):
    gpdata.errors.UnknownColumn: runs has no column 'problm': did you mean 'problem'? Name a column of runs.
    """
    for name in names:
        if name not in present:
            raise UnknownColumn(f"{where} has no column {name!r}: {near(name, present)} {advice}")


def wrap(frame: Any, name: str) -> Any:
    """Wrap a native frame as narwhals' LazyFrame or DataFrame, or raise `InvalidInput` where it is none."""
    try:
        return nw.from_native(frame)
    except TypeError as error:
        raise InvalidInput(
            f"{name} is a {type(frame).__name__}, which is no frame: valid are DuckDB relations, Arrow "
            "tables and DataFrames of Spark, Polars and pandas. Give one of a lab."
        ) from error


def take(frame: Any, table: Table, names: Sequence[str], **renamed: str) -> nw.LazyFrame[Any]:
    """Take columns of a frame of the canonical schema, with the types that the schema declares.

    Parameters
    ----------
    frame : frame
        A native frame, lazy or eager.
    table : Table
        The table of the schema whose rows the frame holds; its name stands in the messages.
    names : sequence of str
        Columns of that table.
    **renamed : str
        Further columns, as `new_name="name in the frame"`, with the types that they have.

    Returns
    -------
    narwhals.LazyFrame
        The columns `names` and `renamed`, nothing computed yet.

    Raises
    ------
    InvalidInput
        `frame` is not a frame.
    UnknownColumn
        It lacks one of the columns.
    """
    given = wrap(frame, table.name)
    present = names_of(given)
    check_columns(names, present, table.name, f"Give a frame with the columns of lab.{table.name}.")
    check_columns(
        renamed.values(),
        present,
        table.name,
        f"Name columns of lab.{table.name}; keys of the config are among them.",
    )
    if given.implementation.is_spark_like():
        schema = given.collect_schema()
        types = {name: _SPARK[table[name].type] for name in names if schema[name] != DTYPES[table[name].type]}
        return _selected(given, {name: name for name in names} | renamed, types)
    columns = [nw.col(name) for name in names] + [nw.col(name).alias(new) for new, name in renamed.items()]
    if isinstance(given, nw.LazyFrame):
        lazy = given.select(*columns)
        # Of the chosen columns: DuckDB is asked for the time zone where one of all holds times, in a query of its own.
        schema = lazy.collect_schema()
        names = [name for name in names if schema[name] != DTYPES[table[name].type]]
    elif given.implementation.is_polars():
        lazy = given.select(*columns).lazy()
    else:
        # Selected again: Arrow would keep the index of a pandas frame that was filtered.
        lazy = nw.from_native(given.select(*columns).to_arrow().select([*names, *renamed])).lazy("duckdb")
    return lazy.with_columns(*(nw.col(name).cast(DTYPES[table[name].type]) for name in names)) if names else lazy


def names_of(frame: Any) -> list[str]:
    """Return the names of a frame's columns; their types are not worked out where the engine can tell without."""
    if frame.implementation.is_duckdb():
        return list(frame.to_native().columns)
    names: list[str] = frame.collect_schema().names()
    return names


def _selected(frame: nw.LazyFrame[Any], columns: Mapping[str, str], types: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """Select columns of a Spark frame under new names, some of them as other types: one call to the JVM for each."""
    native: Any = frame.to_native()
    values = ((new, quoted(name), types.get(new)) for new, name in columns.items())
    texts = (f"{f'CAST({value} AS {type_})' if type_ else value} AS {quoted(new)}" for new, value, type_ in values)
    result: nw.LazyFrame[Any] = nw.from_native(native.selectExpr(*texts))
    return result


def on_spark(text: str, **frames: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Answer a query in Spark's SQL, where narwhals lacks the words or takes many calls to say the same.

    Parameters
    ----------
    text : str
        The query; it calls a frame by its name in braces.
    **frames : narwhals.LazyFrame
        Frames of one session.
    """
    native: dict[str, Any] = {name: frame.to_native() for name, frame in frames.items()}
    session = next(iter(native.values())).sparkSession
    result: nw.LazyFrame[Any] = nw.from_native(session.sql(text, **native))
    return result


def on_duckdb(text: str, **frames: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Answer a query in DuckDB's SQL, where what narwhals writes makes DuckDB work more than it need.

    Parameters
    ----------
    text : str
        The query; it calls a frame by its name in braces. A frame is computed wherever it is named.
    **frames : narwhals.LazyFrame
        Frames of one connection, at most three.

    Notes
    -----
    For queries that compute much: DuckDB makes a view for it and takes it away again, and then looks anew at the
    columns of every relation that is asked. What a relation's own methods can say they say sooner.
    """
    native: list[Any] = [frame.to_native() for frame in frames.values()]
    # DuckDB finds the others by the names of these variables.
    gpdata_1, gpdata_2, gpdata_3, *_ = *native, None, None  # noqa: F841
    names = {name: f"gpdata_{number}" for number, name in enumerate(frames, 1)}
    result: nw.LazyFrame[Any] = nw.from_native(gpdata_1.query("gpdata_1", text.format(**names)))
    return result


def only_runs(frame: Any, table: Table, runs: Sequence[str]) -> Any:
    """Keep the rows of some runs of a native frame, before anything is computed: engines skip the other files."""
    given = wrap(frame, table.name)
    check_columns(["run_uuid"], names_of(given), table.name, f"Give lab.{table.name}.")
    if runs and given.implementation.is_spark_like():
        return frame.where(frame["run_uuid"].isin(list(runs)))
    # Arrow knows no type for an empty list.
    return (given.filter(nw.col("run_uuid").is_in(runs)) if runs else given.head(0)).to_native()


def with_parent_count(individuals: Any) -> Any:
    """Return the same individuals with `parent_count`, the length of parent_uuids, where that is known more cheaply.

    It is on DuckDB and Spark, which would write out every uuid only to count them, for the frame of a lab; else None.
    """
    if wrap(individuals, INDIVIDUALS.name).implementation.is_duckdb():
        return other_form(individuals, PARENT_COUNT)
    made = vars(individuals).get(PARENT_COUNT) if hasattr(individuals, "__dict__") else None
    return None if made is None else made()


def run_names(name: str, given: object) -> list[str]:
    """Read an option that names a run or several, each once, or raise `InvalidInput`.

    Examples
    --------
    >>> run_names("run", "a"), run_names("runs", ["b", "a", "b"])
    (['a'], ['b', 'a'])
    """
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    for value in names:
        if not isinstance(value, str):
            raise InvalidInput(f"{name}={given!r}: valid is the run_uuid of a run, or a list of them. See lab.runs.")
    return list(dict.fromkeys(names))


def grouped_runs(
    runs: Any, by: str | Sequence[str], result: Sequence[Column]
) -> tuple[nw.LazyFrame[Any], dict[str, str]]:
    """Take the group of every run.

    Parameters
    ----------
    runs : frame
        One row per run.
    by : str or sequence of str
        Columns of `runs`; none of them: all runs are one group. A null is a value like any other.
    result : sequence of Column
        The columns that the analysis adds to `by`, none of which may be called like one of `by`.

    Returns
    -------
    grouped : narwhals.LazyFrame
        `run_uuid` and the columns to group by, under names that meet no other column.
    keys : dict
        Those names, each with the column of `runs` that it stands for.

    Raises
    ------
    InvalidInput
        `runs` is not a frame, or a column of `by` is called like a result column.
    UnknownColumn
        `runs` lacks `run_uuid` or a column of `by`.
    """
    names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    taken = [column.name for column in result]
    for name in names:
        if name in taken:
            raise InvalidInput(
                f"by={name!r}: the result has a column of that name; its own columns are "
                f"{', '.join(map(repr, taken))}. Rename {name!r} in {RUNS.name} first."
            )
    keys = {f"by_{index}": name for index, name in enumerate(names)}
    grouped = take(runs, RUNS, ["run_uuid"], **keys)
    return (grouped, keys) if keys else (grouped.with_columns(by_0=nw.lit(0)), keys)


def group_keys(keys: dict[str, str]) -> list[str]:
    """Return the columns of `grouped_runs` to group by: one constant where `by` names none."""
    return list(keys) or ["by_0"]


def check_same_engine(**frames: Any) -> None:
    """Raise `InvalidInput` where frames of several engines were given."""
    engines = {name: wrap(frame, name).implementation for name, frame in frames.items()}
    if len(set(engines.values())) > 1:
        given = ", ".join(f"{name} is of {engine.name.lower()}" for name, engine in engines.items())
        raise InvalidInput(f"{given}: an analysis joins frames of one engine. Give all of them from one lab.")


def give_back(
    frame: nw.LazyFrame[Any], keys: dict[str, str], result: Sequence[Column], given: IntoFrameT
) -> IntoFrameT:
    """Select the result, the columns of `by` and then the declared ones with their types, as a native frame.

    Parameters
    ----------
    frame : narwhals.LazyFrame
        Has the keys and every column of `result`.
    keys : dict
        From `grouped_runs`.
    result : sequence of Column
        The declared result columns.
    given : frame
        The native frame that the analysis was given first: the result is of its kind.

    Returns
    -------
    frame
        Lazy where `given` was lazy.
    """
    if frame.implementation.is_spark_like():
        columns = {name: key for key, name in keys.items()} | {column.name: column.name for column in result}
        spark: Any = _selected(frame, columns, {column.name: _SPARK[column.type] for column in result}).to_native()
        answer: IntoFrameT = spark
        return answer
    selected = frame.select(
        *(nw.col(key).alias(name) for key, name in keys.items()),
        *(nw.col(column.name).cast(DTYPES[column.type]) for column in result),
    )
    like: Any = nw.from_native(given)
    native: Any = (selected if isinstance(like, nw.LazyFrame) else selected.collect(like.implementation)).to_native()
    if like.implementation.is_duckdb():
        native = native.set_alias("answer")  # not the input's, or the two could not be joined
    result_frame: IntoFrameT = native
    return result_frame


def give_rows(columns: Mapping[str, Any], result: Sequence[Column], given: IntoFrameT, name: str) -> IntoFrameT:
    """Hand back columns that were computed here as a native frame of the engine of `given`.

    Parameters
    ----------
    columns : mapping
        An array for each column of `result`.
    result : sequence of Column
        The declared result columns.
    given : frame
        The native frame that the analysis was given: the result is of its kind and, on DuckDB and Spark, of
        its connection or session, so that the two can be joined.
    name : str
        The analysis: the alias of a DuckDB relation.
    """
    schema = pa.schema([(column.name, ARROW[column.type]) for column in result])
    rows = pa.table([columns[column] for column in schema.names], names=schema.names).cast(schema)
    like: Any = nw.from_native(given)
    native: Any = given
    back: Any
    if isinstance(like, nw.DataFrame):
        back = nw.from_arrow(rows, backend=like.implementation).to_native()
    elif like.implementation.is_duckdb():
        gpdata_result = rows  # noqa: F841  found by its name; `query` runs on the relation's connection
        back = native.limit(0).query(name, "SELECT * FROM gpdata_result").set_alias(name)
    elif like.implementation.is_spark_like():
        # Connect cannot tell the types of no rows: they are said.
        ddl = ", ".join(f"{column.name} {_SPARK[column.type]}" for column in result)
        back = native.sparkSession.createDataFrame(rows, ddl)
    else:
        back = nw.from_native(rows).lazy(like.implementation).to_native()
    result_frame: IntoFrameT = back
    return result_frame
