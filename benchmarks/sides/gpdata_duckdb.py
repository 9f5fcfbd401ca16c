"""gpdata on DuckDB, its default engine: what a notebook would write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks.contests import BY

_DIVERSITY = ("run_uuid", "generation", "population_size", "error_vectors", "total_errors", "programs")
_KEY = ("run_uuid", "generation", "location")


def prepare(lake: Path) -> Any:
    """Open the lake."""
    return gp.open(lake)


def _winner(lab: Any, run: str) -> Any:
    return gp.winner(lab.individuals, lab.generations, run=run)


QUESTIONS: dict[str, Callable[[Any, str], Any]] = {
    "last_generation": lambda lab, _: gp.last_generation(lab.generations).select(
        "run_uuid", "generation", "outcome", "total_error_min"
    ),
    "success_table": lambda lab, _: gp.success_table(gp.last_generation(lab.generations), lab.runs, by=BY),
    "cumulative_success": lambda lab, _: gp.cumulative_success(lab.generations, lab.runs, by=BY),
    "error_curves": lambda lab, _: gp.error_curves(lab.generations, lab.runs, by=BY),
    "size_curves": lambda lab, _: gp.size_curves(lab.generations, lab.runs, by=BY),
    "ert": lambda lab, _: gp.ert(lab.generations, lab.runs, by=BY).select("* EXCLUDE (target)"),
    "diversity": lambda lab, _: gp.diversity(lab.individuals).select(*_DIVERSITY),
    "age_error": lambda lab, _: gp.age_error(lab.individuals),
    "lexicase_stats": lambda lab, _: gp.lexicase_stats(lab.errors),
    "elite_cases": lambda lab, _: gp.elite_cases(lab.individuals),
    "instruction_frequency": lambda lab, _: gp.instruction_frequency(lab.genes, lab.runs, by=BY),
    "winner": lambda lab, run: _winner(lab, run).select(*_KEY),
    "ancestry": lambda lab, run: gp.ancestry(lab.individuals, of=_winner(lab, run)).select("generation", "location"),
}
"""Each question as a lab of any engine is asked it, but for the column that DuckDB and Spark leave out differently."""


def _asked(relation: Callable[[Any, str], Any]) -> Callable[[Any, str], pa.Table]:
    def answer(lab: Any, run: str) -> pa.Table:
        return relation(lab, run).to_arrow_table()

    return answer


ANSWERS: dict[str, Callable[[Any, str], pa.Table]] = {name: _asked(ask) for name, ask in QUESTIONS.items()}
