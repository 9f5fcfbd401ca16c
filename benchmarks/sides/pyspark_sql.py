"""PySpark by hand over the lake's files: the queries of `benchmarks.spark_by_hand`, on a session of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks import spark_by_hand as by_hand
from benchmarks.sides.by_hand_spark import answer, start, walk


def prepare(lake: Path) -> Any:
    """Start a session, and name the files of the lake."""
    session = start("by hand")
    name_files(session, gp.open(lake))
    return session


def name_files(session: Any, lab: Any) -> None:
    """Make the views that the queries read: the files as they are stored."""
    for name, table in (("R", "runs"), ("G", "generations"), ("I", "individuals")):
        session.read.parquet(*lab.files(table)).createOrReplaceTempView(name)


def _ancestry(session: Any, run: str) -> pa.Table:
    ((_, generation, location),) = session.sql(by_hand.winner(run)).collect()
    return walk(session.sql(by_hand.lines(run)).toArrow(), generation, location)


ANSWERS: dict[str, Callable[[Any, str], pa.Table]] = {
    "last_generation": answer(by_hand.LAST_GENERATION),
    "success_table": answer(by_hand.SUCCESS_TABLE),
    "cumulative_success": answer(by_hand.CUMULATIVE_SUCCESS),
    "error_curves": answer(by_hand.ERROR_CURVES),
    "size_curves": answer(by_hand.SIZE_CURVES),
    "ert": answer(by_hand.ERT),
    "diversity": answer(by_hand.DIVERSITY),
    "age_error": answer(by_hand.AGE_ERROR),
    "lexicase_stats": answer(by_hand.LEXICASE_STATS),
    "elite_cases": answer(by_hand.ELITE_CASES),
    "instruction_frequency": answer(by_hand.INSTRUCTION_FREQUENCY),
    "winner": lambda session, run: session.sql(by_hand.winner(run)).toArrow(),
    "ancestry": _ancestry,
}
