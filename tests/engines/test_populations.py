"""The analyses of populations, over the lake of the captures on every engine: as DuckDB says."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import gpdata as gp
from gpdata import analyses

RUNS = """
SELECT arg_min(run_uuid, size) FROM (
    SELECT run_uuid, sum(population_size) AS size, max(generation) >= count(*) AS lost,
           bool_or(distinct_behaviors IS NOT NULL) AS behaviors
    FROM generations GROUP BY run_uuid
) WHERE lost OR behaviors GROUP BY lost"""
"""The smallest run that lost generations, and the smallest with behaviors."""


@pytest.fixture(scope="module")
def runs(captured: Any) -> list[str]:
    return [run for (run,) in gp.open(captured).sql(RUNS).fetchall()]


@pytest.fixture(scope="module")
def expected(captured: Any, runs: list[str]) -> dict[str, pa.Table]:
    return answers(gp.open(captured, runs=runs))


def answers(lab: gp.lab.Lab) -> dict[str, pa.Table]:
    winners = gp.winner(lab.individuals, lab.generations, run=lab_runs(lab))
    counts = gp.selection_counts(lab.individuals)
    frames = {
        "DIVERSITY": gp.diversity(lab.individuals),
        "DIVERSITY of generations": gp.diversity(lab.generations),
        "LEXICASE_STATS": gp.lexicase_stats(lab.errors),
        "ELITE_CASES": gp.elite_cases(lab.errors),
        "LEXICASE_STATS of vectors": gp.lexicase_stats(lab.individuals),
        "ELITE_CASES of vectors": gp.elite_cases(lab.individuals),
        "SELECTION_COUNTS": counts,
        "HYPERSELECTION": gp.hyperselection(counts),
        "OPERATOR_EFFECTS": gp.operator_effects(lab.individuals, lab.runs, by="parent-selection"),
        "SIZE_CURVES": gp.size_curves(lab.generations, lab.runs, by="parent-selection"),
        "HOMOLOGY": gp.homology(lab.individuals, pairs=8, seed=3),
        "INSTRUCTION_FREQUENCY": gp.instruction_frequency(lab.genes, lab.runs, by="parent-selection"),
        "INSTRUCTION_FREQUENCY of winners": gp.instruction_frequency(lab.genes, lab.runs, by=[], of=winners),
    }
    return {name: gp.to_arrow(frame) for name, frame in frames.items()}


def lab_runs(lab: gp.lab.Lab) -> list[str]:
    return gp.to_arrow(lab.runs)["run_uuid"].to_pylist()


def test_every_engine_gives_the_same_answers(
    engine: Any, captured: Any, runs: list[str], expected: dict[str, pa.Table]
) -> None:
    found = answers(gp.open(captured, runs=runs, engine=engine))
    for name, table in found.items():
        declared = [column.name for column in getattr(analyses, name.split()[0])]
        assert table.column_names[-len(declared) :] == declared
        rows, want = table.to_pylist(), expected[name.removesuffix(" of vectors")].to_pylist()
        assert len(rows) == len(want) > 0, name
        for mine, theirs in zip(rows, want, strict=True):
            assert all(same(mine[column], theirs[column]) for column in theirs), (name, mine, theirs)
    assert any(row["behaviors"] is not None for row in found["DIVERSITY"].to_pylist())
    assert any(row["generation"] is None for row in found["SELECTION_COUNTS"].to_pylist())


def same(mine: Any, theirs: Any) -> bool:
    return mine == (pytest.approx(theirs, rel=1e-12) if isinstance(theirs, float) else theirs)
