"""What a person asks of a lab while thinking: of one run, or of all runs by the summaries of their generations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks.answers import difference
from benchmarks.contests import BY
from gpdata.schema import GENERATIONS, Type

_MAPS = frozenset(column.name for column in GENERATIONS.columns if column.type is Type.DOUBLE_MAP)

Question = Callable[[Any, str], Any]
"""Takes a lab and the uuid of a run, which only a question of one run uses; returns a frame."""


def _winner(lab: Any, run: str) -> Any:
    return gp.winner(lab.individuals, lab.generations, run=run)


def _last(lab: Any, run: str) -> Any:
    """Return the individuals of the last generation of a run."""
    mine = lab.run(run)
    last = gp.to_arrow(gp.last_generation(mine.generations).select("generation"))["generation"][0].as_py()
    return lab.sql(
        "SELECT location, total_error, genome_size FROM individuals "  # the same words for every engine
        f"WHERE run_uuid = '{mine.run_uuid}' AND generation = {last}"
    )


ONE_RUN: Mapping[str, Question] = {
    "winner": _winner,
    "error curve": lambda lab, run: gp.error_curves(lab.run(run).generations, lab.runs, by=BY),
    "last population": _last,
    "ancestry": lambda lab, run: gp.ancestry(lab.individuals, of=_winner(lab, run)),
    "ancestry_counts": lambda lab, run: gp.ancestry_counts(lab.individuals, of=_winner(lab, run)),
    "best_parent_chain": lambda lab, run: gp.best_parent_chain(lab.individuals, of=_winner(lab, run)),
    "ancestry_edges": lambda lab, run: gp.ancestry_edges(lab.individuals, runs=run),
    "selection_counts": lambda lab, run: gp.selection_counts(lab.individuals, runs=run),
    "hyperselection": lambda lab, run: gp.hyperselection(gp.selection_counts(lab.individuals, runs=run)),
    "homology": lambda lab, run: gp.homology(lab.individuals, runs=run),
    "age_error": lambda lab, run: gp.age_error(lab.individuals, runs=run),
    "diversity": lambda lab, run: gp.diversity(lab.run(run).individuals),
    "lexicase_stats": lambda lab, run: gp.lexicase_stats(lab.run(run).errors),
    "elite_cases": lambda lab, run: gp.elite_cases(lab.run(run).individuals),
    "operator_effects": lambda lab, run: gp.operator_effects(lab.run(run).individuals, lab.runs, by=BY),
    "instruction_frequency": lambda lab, run: gp.instruction_frequency(lab.run(run).genes, lab.runs, by=BY),
}
"""Of one run. `genetic_ancestry` is left out: few senders record the uuids of genes that it needs."""

SUMMARIES: Mapping[str, Question] = {
    "last_generation": lambda lab, run: gp.last_generation(lab.generations),
    "success_table": lambda lab, run: gp.success_table(gp.last_generation(lab.generations), lab.runs, by=BY),
    "cumulative_success": lambda lab, run: gp.cumulative_success(lab.generations, lab.runs, by=BY),
    "computational_effort": lambda lab, run: gp.computational_effort(lab.generations, lab.runs, by=BY),
    "error_curves": lambda lab, run: gp.error_curves(lab.generations, lab.runs, by=BY),
    "size_curves": lambda lab, run: gp.size_curves(lab.generations, lab.runs, by=BY),
    "ert": lambda lab, run: gp.ert(lab.generations, lab.runs, by=BY),
    "ecdf": lambda lab, run: gp.ecdf(lab.generations, lab.runs, by=BY),
}
"""Of all runs, over a row for each generation."""

POPULATION: Mapping[str, Question] = {
    "diversity": lambda lab, run: gp.diversity(lab.individuals),
    "lexicase_stats": lambda lab, run: gp.lexicase_stats(lab.errors),
}
"""Of all individuals."""


def largest_run(lab: Any) -> str:
    """Return the run of the most individuals, of several the first by uuid."""
    rows = gp.to_arrow(lab.generations)
    sizes = rows.group_by("run_uuid").aggregate([("population_size", "sum")])
    return str(sizes.sort_by([("population_size_sum", "descending"), ("run_uuid", "ascending")])["run_uuid"][0])


def check(name: str, question: Question, lab: Any, other: Any, run: str) -> int:
    """Return the number of rows of an answer; a lab of another engine must give the same."""
    ours, theirs = (_flat(gp.to_arrow(question(one, run))) for one in (lab, other))
    if found := difference(ours, theirs):
        raise SystemExit(f"{name}: {lab.engine} and {other.engine} differ: {found}")
    return int(ours.num_rows)


def _flat(table: pa.Table) -> pa.Table:
    """Turn lists and times into texts, which compare as they do; maps are left out: Polars has none."""
    kept = [field.name for field in table.schema if not pa.types.is_map(field.type) and field.name not in _MAPS]
    columns = [
        column
        if pa.types.is_primitive(column.type) and not pa.types.is_temporal(column.type)
        else pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        for column in table.select(kept).columns
    ]
    return pa.table(columns, names=kept)
