"""What a Spark frame would take in this process, known before it is brought here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from gpdata.errors import InvalidInput
from gpdata.sessions.diagnose_plan import explained
from gpdata.sessions.hours import is_connect
from gpdata.sessions.local_batches import arrow_schema, batches

WIDER = 24
"""How many times larger rows may be here than Spark's statistics have them: those are of the packed files."""
_SAMPLE = 500
_INSTEAD = (
    "aggregate it, select fewer columns or runs, or take gpdata.local(frame), which writes it to your disk and opens "
    "it in DuckDB"
)
_STATISTICS = re.compile(r"Statistics\(sizeInBytes=([\d.E+]+) ([KMGTPE]i)?B")
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_PASSING = ("Project", "Sort", "Filter", "Window", "RepartitionByExpression", "Repartition")
_FEWER = ("Aggregate", "GlobalLimit", "LocalLimit")
_MORE = ("Generate", "Expand", "Join")


def fetch(frame: Any, most: float, needs: int = 1) -> pa.Table:
    """Bring a Spark frame here as an Arrow table, or say why not before memory runs out.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Classic or Connect.
    most : float
        How many bytes of Arrow are allowed.
    needs : int
        How many times the bytes of Arrow are taken in the end, for the message.

    Returns
    -------
    pyarrow.Table
        All rows.

    Raises
    ------
    InvalidInput
        There would be more bytes than allowed, or than the driver takes (spark.driver.maxResultSize).
    """
    if is_connect(frame):
        return frame.toArrow() if small(explained(frame, "cost"), most) else _counted(frame, most, needs)
    plan = frame._jdf.queryExecution().optimizedPlan()  # kept by Spark, and used for the answer
    text = f"{plan.treeString()}\nStatistics(sizeInBytes={plan.stats().sizeInBytes()} B"
    if not small(text, most) and not aggregates(text):
        rows, width = int(frame.count()), _width(frame)
        if rows * width > most:
            raise too_large(f"the frame has {rows:,} rows of about {width:,.0f} bytes", rows * width, most, needs)
    from py4j.protocol import Py4JJavaError

    try:
        table: pa.Table = frame.toArrow()
    except Py4JJavaError as error:
        if "spark.driver.maxResultSize" not in str(error.java_exception):
            raise
        limit = frame.sparkSession.conf.get("spark.driver.maxResultSize", "1g")
        raise InvalidInput(
            f"the frame's rows take more than the driver accepts (spark.driver.maxResultSize={limit}); {_INSTEAD}, or "
            "start the session with a greater one"
        ) from error
    return table


def small(plan: str, most: float) -> bool:
    """Say whether Spark's statistics alone show that a result is small enough.

    Parameters
    ----------
    plan : str
        The optimized plan and its statistics.
    most : float
        How many bytes are allowed.

    Examples
    --------
    >>> small("Project [a#1], Statistics(sizeInBytes=1.5 KiB)", 10**6)
    True
    >>> small("Generate explode(a#1), Statistics(sizeInBytes=1.5 KiB)", 10**6)
    False
    """
    names = {_node(line) for line in plan.splitlines()}
    found = _STATISTICS.search(plan)
    size = float(found[1]) * 1024.0 ** _UNITS.index(found[2] or "") if found else math.inf
    return not names & {*_MORE} and size * WIDER <= most


def aggregates(plan: str) -> bool:
    r"""Say whether a plan ends in an aggregation or a limit: how large it is, only computing it tells.

    Examples
    --------
    >>> aggregates("Sort [a#1 ASC], true\n+- Aggregate [a#1], [a#1]\n   +- Relation [a#1] parquet")
    True
    >>> aggregates("Join LeftSemi\n:- Relation [a#1] parquet\n+- Aggregate [a#1], [a#1]")
    False
    """
    for line in plan.splitlines():
        name = _node(line)
        if name in _FEWER:
            return True
        if name and not name.startswith("==") and name not in _PASSING:
            return False
    return False


def too_large(what: str, size: float, most: float, needs: int) -> InvalidInput:
    """Return the error that says what to do instead."""
    here = f"{size * needs / 1e9:,.2g} GB here" if needs > 1 else f"{size / 1e9:,.2g} GB"
    return InvalidInput(
        f"{what}, {here}, and {most * needs / 1e9:,.2g} GB are allowed; {_INSTEAD}, or allow more with most= (bytes)"
    )


def _node(line: str) -> str:
    words = line.lstrip(" :+-!").split(maxsplit=1)
    return words[0] if words else ""


def _width(frame: Any) -> float:
    """The bytes of a row here, as the first ones have them."""
    some = frame.limit(_SAMPLE).toArrow()
    return float(some.nbytes / max(some.num_rows, 1))


def _counted(frame: Any, most: float, needs: int) -> pa.Table:
    """Bring the rows of a Connect frame batch by batch, and stop where they are too many."""
    return collected(arrow_schema(frame), batches(frame), most, needs)


def collected(schema: pa.Schema, rows: Iterable[pa.RecordBatch], most: float, needs: int) -> pa.Table:
    """Keep batches as a table, and stop where they take more than allowed.

    Examples
    --------
    >>> batch = pa.record_batch({"a": [1, 2, 3]})
    >>> collected(batch.schema, [batch], 24, 1).num_rows
    3
    >>> collected(batch.schema, [batch, batch], 40, 1)
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: the frame has 6 rows or more, ... GB, and ... GB are allowed; aggregate it, ...
    """
    found: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        size += batch.nbytes
        found.append(batch)
        if size > most:
            raise too_large(f"the frame has {sum(one.num_rows for one in found):,} rows or more", size, most, needs)
    return pa.Table.from_batches(found, schema)
