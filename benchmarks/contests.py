"""The questions that every side of the benchmark answers, and the protocol of a side.

A side is a module of `benchmarks.sides`. It has

    def prepare(lake: Path) -> object      what a process does once: open the lake, start a session
    ANSWERS: dict[str, Callable[[object, str], pyarrow.Table]]

An answer takes what `prepare` gave and the uuid of a run (only the questions of one run use it), computes everything
anew, and returns an Arrow table whose columns stand in the order of `CONTESTS`; the order of rows is free. A question
that a side does not answer is missing from its ANSWERS.
"""

from __future__ import annotations

from dataclasses import dataclass

BY = "parent-selection"
"""The parameter by which runs are grouped into `g`: what the config holds under it, without the quotes of JSON."""

_QUARTILES = tuple(
    f"{name}{at}" for name in ("genome_size", "program_size", "percent_parens") for at in ("", "_q1", "_q3")
)


@dataclass(frozen=True, slots=True)
class Contest:
    """A question, what it reads, and the columns of its answer."""

    name: str
    reads: str
    """`run`: rows of one run; `summaries`: a row for each generation; `population`: every individual; `genes`: all."""
    columns: tuple[str, ...]


CONTESTS = (
    Contest("last_generation", "summaries", ("run_uuid", "generation", "outcome", "total_error_min")),
    Contest(
        "success_table",
        "summaries",
        ("g", "runs", "finished", "successes", "generalising", "rate", "rate_low", "rate_high", "generations_min",
         "generations_median", "generations_max"),
    ),
    Contest(
        "cumulative_success",
        "summaries",
        ("g", "generation", "runs", "solved", "probability", "probability_low", "probability_high"),
    ),
    Contest(
        "error_curves",
        "summaries",
        ("g", "generation", "runs", "best_median", "best_q1", "best_q3", "best_mean"),
    ),
    Contest("size_curves", "summaries", ("g", "generation", "runs", *_QUARTILES)),
    Contest("ert", "summaries", ("g", "runs", "successes", "evaluations", "ert")),
    Contest(
        "diversity",
        "population",
        ("run_uuid", "generation", "population_size", "error_vectors", "total_errors", "programs"),
    ),
    Contest("age_error", "population", ("run_uuid", "generation", "location", "age", "total_error", "is_genesis")),
    Contest(
        "lexicase_stats",
        "population",
        ("run_uuid", "generation", "case", "individuals", "least_error", "elite", "zero"),
    ),
    Contest(
        "elite_cases",
        "population",
        ("run_uuid", "generation", "location", "cases", "elite_cases", "zero_cases"),
    ),
    Contest("instruction_frequency", "genes", ("g", "instruction", "type", "genes", "share", "runs")),
    Contest("winner", "run", ("run_uuid", "generation", "location")),
    Contest("ancestry", "run", ("generation", "location")),
)  # fmt: skip
"""All of them; `benchmarks.spark_by_hand` says in SQL what each one means."""
