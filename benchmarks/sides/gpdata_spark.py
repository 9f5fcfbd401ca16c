"""gpdata on Spark, as a notebook asks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks.contests import BY

MEMORY = "4g"
"""Of the driver, which computes, too: what a laptop has to spare."""


def prepare(lake: Path, memory: str = MEMORY) -> Any:
    """Start a session, and open the lake on it."""
    return gp.open(lake, engine=gp.spark(spark__driver__memory=memory))


def _best(lab: Any, run: str) -> Any:
    return gp.winner(lab.individuals, lab.generations, run=run)


_ASKED: dict[str, Callable[[Any, str], Any]] = {
    "last_generation": lambda lab, run: gp.last_generation(lab.generations).select(
        "run_uuid", "generation", "outcome", "total_error_min"
    ),
    "success_table": lambda lab, run: gp.success_table(gp.last_generation(lab.generations), lab.runs, by=BY),
    "cumulative_success": lambda lab, run: gp.cumulative_success(lab.generations, lab.runs, by=BY),
    "error_curves": lambda lab, run: gp.error_curves(lab.generations, lab.runs, by=BY),
    "size_curves": lambda lab, run: gp.size_curves(lab.generations, lab.runs, by=BY),
    "ert": lambda lab, run: gp.ert(lab.generations, lab.runs, by=BY).drop("target"),
    "diversity": lambda lab, run: gp.diversity(lab.individuals).select(
        "run_uuid", "generation", "population_size", "error_vectors", "total_errors", "programs"
    ),
    "age_error": lambda lab, run: gp.age_error(lab.individuals),
    "lexicase_stats": lambda lab, run: gp.lexicase_stats(lab.errors),
    "elite_cases": lambda lab, run: gp.elite_cases(lab.individuals),
    "instruction_frequency": lambda lab, run: gp.instruction_frequency(lab.genes, lab.runs, by=BY),
    "winner": lambda lab, run: _best(lab, run).select("run_uuid", "generation", "location"),
    "ancestry": lambda lab, run: gp.ancestry(lab.individuals, of=_best(lab, run)).select("generation", "location"),
}


def _answer(ask: Callable[[Any, str], Any]) -> Callable[[Any, str], pa.Table]:
    return lambda lab, run: ask(lab, run).toArrow()


ANSWERS: dict[str, Callable[[Any, str], pa.Table]] = {name: _answer(ask) for name, ask in _ASKED.items()}
