"""What to do about a slow Spark frame, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import pyarrow as pa

from gpdata.sessions.diagnose_plan import Plan

SMALL_FILE = 16 * 2**20
"""Below so many bytes, opening a file costs more than reading it."""
_MANY_FILES = 32
_SKEW = 4.0
"""How many times the median the largest partition or key may be."""
_MOST_ROWS = 100_000
"""Partitions and keys of fewer rows are no trouble, whatever the others have."""
_LARGE_PARTITION = 2**30
_MANY_SMALL = 200
_SMALL_PARTITION = 2**20


@dataclass(frozen=True)
class Facts:
    """What advice is given on.

    Parameters
    ----------
    partitions, keys : pyarrow.Table
        As a `Diagnosis` has them.
    spilled : int or None
        Bytes put on disks; None: not known.
    files : sequence of int
        Bytes of each file that is read.
    plan : Plan
        What the plan says.
    """

    partitions: pa.Table
    keys: pa.Table
    spilled: int | None
    files: Sequence[int]
    plan: Plan


def advise(facts: Facts) -> tuple[str, ...]:
    """Return what to do, the most important first.

    Parameters
    ----------
    facts : Facts
        What was found.

    Returns
    -------
    tuple of str
        A sentence or two for each finding.
    """
    return (*_of_keys(facts), *_of_plan(facts.plan), *_of_partitions(facts), *_of_files(facts))


def _of_keys(facts: Facts) -> Iterator[str]:
    for key in facts.keys.to_pylist():
        if key["largest_rows"] >= max(_MOST_ROWS, _SKEW * key["median_rows"]) and key["values"] > 1:
            yield (
                f"Rows are moved by {key['columns']}, and {key['largest']!r} alone has {key['largest_rows']:,} of them "
                f"(the median value has {key['median_rows']:,}): one task does most of the work while the others wait. "
                "Aggregate before the rows are moved, leave that value out if you do not need it, or move them by "
                "one more column (run_uuid and generation together, say)."
            )


def _of_plan(plan: Plan) -> Iterator[str]:
    for shuffle in plan.shuffles:
        columns = ", ".join(shuffle.columns) or "no column"
        if shuffle.hashed:
            yield (
                f"Rows are moved by a hash of {columns}, which Spark hashes once more: of {shuffle.partitions} "
                "partitions some get several keys and many get none (with as many keys as partitions, a third of "
                f"them). Give the columns themselves: repartition({columns}), with no hash and no remainder of one."
            )
        elif shuffle.asked and shuffle.again:
            yield (
                f"A repartition by {columns} moves all rows, and a later step moves them again by another key: leave "
                "the repartition out."
            )
    if plan.product:
        yield (
            "Each row of one side is compared with every row of the other, as their join has no equality: join on "
            "equal columns (run_uuid, generation) and filter afterwards."
        )
    if plan.python:
        yield (
            "Rows go through Python functions on the executors, which costs several times Spark's own expressions: "
            "use functions of pyspark.sql.functions, or aggregate first."
        )


def _of_partitions(facts: Facts) -> Iterator[str]:
    rows, sizes = (facts.partitions[name].to_pylist() for name in ("rows", "bytes"))
    if len(rows) > 1 and max(rows) >= max(_MOST_ROWS, _SKEW * median(rows)):
        number = facts.partitions["partition"].to_pylist()[rows.index(max(rows))]
        yield (
            f"Partition {number} has {max(rows):,} rows, {max(rows) / median(rows):.0f} times the median one: its task "
            "ends last. If no key above is the cause, the files are uneven: compact the lake (gpdata compact)."
        )
    if sizes and max(sizes) > _LARGE_PARTITION:
        yield (
            f"The largest partition holds {max(sizes) / 2**30:.1f} GiB of values: more partitions (a greater "
            "spark.sql.shuffle.partitions) make tasks that fit into memory."
        )
    if len(sizes) >= _MANY_SMALL and median(sizes) < _SMALL_PARTITION:
        yield (
            f"Half of the {len(sizes):,} partitions are below 1 MB: starting their tasks costs more than their work. "
            "Leave spark.sql.adaptive.enabled on, and a repartition of your own out."
        )
    if facts.spilled:
        yield (
            f"{facts.spilled / 1e6:,.0f} MB did not fit into memory and went through disks: select fewer columns "
            "before sorting or joining, use more partitions, or a preset with more memory per core."
        )


def _of_files(facts: Facts) -> Iterator[str]:
    small = [size for size in facts.files if size < SMALL_FILE]
    if len(small) >= _MANY_FILES and 2 * len(small) > len(facts.files):
        yield (
            f"{len(small):,} of the {len(facts.files):,} files that are read are below {SMALL_FILE // 2**20} MB: "
            "compact the lake (gpdata compact)."
        )
