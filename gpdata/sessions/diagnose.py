"""`gpdata.diagnose`: why a Spark job is slow, in numbers and in words."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gpdata.display import Card, Grid
from gpdata.errors import InvalidInput
from gpdata.sessions.diagnose_advice import SMALL_FILE, Facts, advise
from gpdata.sessions.diagnose_plan import Plan, explained, read_plan
from gpdata.sessions.diagnose_width import quoted, row_bytes
from gpdata.sessions.hours import Hours, executor_hours, is_connect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTITIONS = pa.schema([("partition", pa.int32()), ("rows", pa.int64()), ("bytes", pa.int64())])
"""The columns of `Diagnosis.partitions`."""
KEYS = pa.schema(
    [
        ("columns", pa.string()),
        ("values", pa.int64()),
        ("largest_rows", pa.int64()),
        ("median_rows", pa.int64()),
        ("largest", pa.string()),
    ]
)
"""The columns of `Diagnosis.keys`."""
_SHOWN = 8


@dataclass(frozen=True)
class Diagnosis:
    """What `gpdata.diagnose` found; a notebook shows it as tables, `plot` draws it.

    Attributes
    ----------
    partitions : pyarrow.Table
        One row per partition that has rows: `partition`, `rows`, and `bytes` of its values as Spark holds them,
        which compressed files are less than. Empty where nothing was run.
    keys : pyarrow.Table
        One row per key that rows were moved by and that the frame still has: its `columns`, how many `values` it
        has, the rows of the `largest`, and of the median one.
    shuffle_bytes, spill_bytes : int or None
        Bytes written for moving rows between partitions, and bytes put on disks as memory was short; None: nothing
        was run.
    files, small_files, file_bytes : int
        The files that the frame reads, those below 16 MB, and the bytes of all.
    hours : Hours or None
        What the session has used until now; None on Spark Connect, which does not tell.
    plan : Plan
        What the plan says.
    advice : tuple of str
        What to do, the most important first; empty: nothing was found.
    """

    partitions: pa.Table
    keys: pa.Table
    shuffle_bytes: int | None
    spill_bytes: int | None
    files: int
    small_files: int
    file_bytes: int
    hours: Hours | None
    plan: Plan
    advice: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """The rows of the frame."""
        return sum(self.partitions["rows"].to_pylist())

    @property
    def skew(self) -> float | None:
        """Rows of the largest partition / rows of the median one; None where there is no row."""
        rows = self.partitions["rows"].to_pylist()
        return max(rows) / median(rows) if rows else None

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw rows and bytes of the partitions, the largest first; see `gpdata.plots.partitions.partitions`."""
        from gpdata.plots.partitions import partitions

        return partitions(self.partitions, ax=ax)

    def __str__(self) -> str:
        return self._card().text()

    def __repr__(self) -> str:
        return f"<gpdata diagnosis: {self.partitions.num_rows} partitions, {len(self.advice)} findings>"

    def _repr_html_(self) -> str:
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def _card(self) -> Card:
        skew = self.skew
        facts = {
            "partitions": f"{self.partitions.num_rows:,} with {self.rows:,} rows, "
            f"{megabytes(sum(self.partitions['bytes'].to_pylist()))}"
            if skew is not None
            else "none has a row, or nothing was run",
            "skew": "not known" if skew is None else f"the largest has {skew:.1f} times the rows of the median one",
            "moved": "not known" if self.shuffle_bytes is None else megabytes(self.shuffle_bytes),
            "spilled to disks": "not known" if self.spill_bytes is None else megabytes(self.spill_bytes),
            "files read": f"{self.files:,} with {megabytes(self.file_bytes)}, {self.small_files:,} of them below "
            f"{SMALL_FILE // 2**20} MB",
            "executor-hours": "not told by Spark Connect"
            if self.hours is None
            else f"{self.hours.executor_hours:.2f} ({self.hours.core_hours:.2f} core-hours, "
            f"{self.hours.task_hours:.2f} of them at work)",
        }
        facts |= {f"advice {place}": text for place, text in enumerate(self.advice, 1)} or {"advice": "nothing to mend"}
        order = sorted(self.partitions.to_pylist(), key=lambda row: -row["rows"])
        rows = [[str(row["partition"]), f"{row['rows']:,}", megabytes(row["bytes"])] for row in order[:_SHOWN]]
        more = f"and {len(order) - _SHOWN:,} smaller ones" if len(order) > _SHOWN else ""
        grids = [Grid("largest partitions", ["partition", "rows", "bytes"], rows, frozenset({0, 1, 2}), more)]
        if self.keys.num_rows:
            shown = [
                [row["columns"], f"{row['values']:,}", f"{row['largest_rows']:,}", f"{row['median_rows']:,}"]
                for row in self.keys.to_pylist()
            ]
            grids.append(
                Grid("keys", ["columns", "values", "rows of largest", "rows of median"], shown, frozenset({1, 2, 3}))
            )
        return Card("Spark frame", facts, grids if rows else ())


def diagnose(frame: Any, *, run: bool = True) -> Diagnosis:
    """Say why a Spark frame is slow: its partitions, what it moves and spills, the files it reads, and what to do.

    The frame is computed once, and once more for each key that its rows were moved by, with no more than that key's
    columns. Only counts come to this process.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Classic or Connect.
    run : bool
        Whether to compute the frame. False: the plan, the files and the hours only, at once.

    Returns
    -------
    Diagnosis
        Numbers, and advice in words.

    Raises
    ------
    InvalidInput
        It is no Spark frame.

    Examples
    --------
    >>> diagnose([1, 2])
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: a list was given; valid is a Spark DataFrame, such as lab.individuals of a lab that ...
    """
    if not type(frame).__module__.startswith("pyspark.sql"):
        raise InvalidInput(
            f"a {type(frame).__name__} was given; valid is a Spark DataFrame, such as lab.individuals of a lab that "
            "was opened with engine=gpdata.spark(); DuckDB and Polars tell with their own EXPLAIN"
        )
    session = frame.sparkSession
    plan = read_plan(explained(frame))
    sizes = file_sizes(frame)
    partitions, keys = PARTITIONS.empty_table(), KEYS.empty_table()
    moved = spilled = None
    if run:
        partitions, moved, spilled = _measure(session, frame)
        keys = _count_keys(frame, plan)
    facts = Facts(partitions, keys, spilled, sizes, plan)
    return Diagnosis(
        partitions=partitions,
        keys=keys,
        shuffle_bytes=moved,
        spill_bytes=spilled,
        files=len(sizes),
        small_files=sum(size < SMALL_FILE for size in sizes),
        file_bytes=sum(sizes),
        hours=executor_hours(session),
        plan=plan,
        advice=advise(facts),
    )


def file_sizes(frame: Any) -> list[int]:
    """Return the bytes of each file that a frame reads, as Spark sees them, wherever they are."""
    files = list(frame.inputFiles())
    if not files:
        return []
    # Their content is not read: nobody asks for it.
    listed = frame.sparkSession.read.format("binaryFile").load(files).select("length")
    return [int(size) for size in listed.toArrow()["length"].to_pylist()]


def megabytes(size: int) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> megabytes(0), megabytes(2_000), megabytes(3_500_000), megabytes(7_000_000_000)
    ('0 MB', '0.002 MB', '3.5 MB', '7,000 MB')
    """
    value = size / 1e6
    return f"{value:,.0f} MB" if value >= 9.5 or not size else f"{value:.2g} MB"


def _measure(session: Any, frame: Any) -> tuple[pa.Table, int, int]:
    """Compute a frame, and return its partitions, the bytes it moved and those it spilled."""
    size, check = row_bytes(frame.schema)
    counted = (
        frame.toDF(*(f"c{place}" for place in range(len(frame.columns))))
        .selectExpr("spark_partition_id() AS partition", "1 AS rows", f"{size} AS bytes", f"{check} AS check")
        .groupBy("partition")
        .agg({"rows": "sum", "bytes": "sum", "check": "max"})
        .selectExpr("partition", "`sum(rows)` AS rows", "`sum(bytes)` AS bytes", "`max(check)` AS check")
    )
    if is_connect(frame):
        table = counted.toArrow()
        moved, spilled = _told_by_connect(counted.executionInfo)
    else:
        context, tag = session.sparkContext, f"gpdata-{uuid.uuid4()}"
        context.addJobTag(tag)
        try:
            table = counted.toArrow()
        finally:
            context.removeJobTag(tag)
        moved, spilled = _of_jobs(context, tag)
    return table.select(PARTITIONS.names).cast(PARTITIONS).sort_by("partition"), moved, spilled


def _told_by_connect(info: Any) -> tuple[int, int]:
    """Add up what the server says of the query; a server that says nothing has moved nothing that is known."""
    found = {"shuffleBytesWritten": 0, "spillSize": 0}
    _, graph = info.metrics.extract_graph() if info.metrics is not None else (None, {})
    for node in graph.values():
        for metric in node.metrics:
            if metric.name in found:
                found[metric.name] += int(metric.value)
    return found["shuffleBytesWritten"], found["spillSize"]


def _of_jobs(context: Any, tag: str) -> tuple[int, int]:
    """Add up what the stages of tagged jobs wrote; classic only, from the driver's own records."""
    spark = context._jsc.sc()
    store, jobs = spark.statusStore(), spark.statusTracker().getJobIdsForTag(tag)
    stages = set()
    for job in jobs:
        listed = store.job(job).stageIds()
        stages |= {listed.apply(place) for place in range(listed.size())}
    moved = spilled = 0
    for stage in stages:
        data = store.lastStageAttempt(stage)
        moved += data.shuffleWriteBytes()
        spilled += data.diskBytesSpilled()
    return moved, spilled


def _count_keys(frame: Any, plan: Plan) -> pa.Table:
    """Count the rows of each key that rows were moved by, where the frame has its columns."""
    rows = []
    for columns in dict.fromkeys(shuffle.columns for shuffle in plan.shuffles):
        if not columns or any(frame.columns.count(name) != 1 for name in columns):
            continue
        counts = frame.select(*map(quoted, columns)).groupBy(*map(quoted, columns)).count()
        key = " || ' · ' || ".join(f"coalesce(CAST({quoted(name)} AS STRING), 'null')" for name in columns)
        found = (
            counts.selectExpr("`count` AS n", f"{key} AS name")
            .selectExpr(
                "count(1) AS values",
                "max(n) AS largest_rows",
                "percentile_approx(n, 0.5) AS median_rows",
                "max_by(name, n) AS largest",
            )
            .toArrow()
            .to_pylist()[0]
        )
        if found["values"]:
            rows.append({"columns": ", ".join(columns)} | found)
    return pa.Table.from_pylist(rows, KEYS)
