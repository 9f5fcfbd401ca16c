"""gpdata on Spark, as a notebook asks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks.contests import BY
from benchmarks.sides.gpdata_duckdb import QUESTIONS

MEMORY = "4g"
"""Of the driver, which computes, too: what a laptop has to spare."""


def prepare(lake: Path, memory: str = MEMORY) -> Any:
    """Start a session, and open the lake on it."""
    return gp.open(lake, engine=gp.spark(spark__driver__memory=memory))


_ASKED: dict[str, Callable[[Any, str], Any]] = QUESTIONS | {
    "ert": lambda lab, _: gp.ert(lab.generations, lab.runs, by=BY).drop("target"),
}


def _answer(ask: Callable[[Any, str], Any]) -> Callable[[Any, str], pa.Table]:
    return lambda lab, run: ask(lab, run).toArrow()


ANSWERS: dict[str, Callable[[Any, str], pa.Table]] = {name: _answer(ask) for name, ask in _ASKED.items()}
