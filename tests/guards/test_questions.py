"""What each analysis reads on DuckDB, counted: queries, row groups, columns. A reading that grows shows here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gpdata as gp
from gpdata import analyses
from tests.guards.conftest import LARGE, SMALL, uuid_of
from tests.guards.reading import Reading, reading

BY = "parent-selection"
RUN = uuid_of(3)

AT = {"run_uuid", "generation"}
KEY = AT | {"location"}
OWN = {"ids", "uuid_text"}
LINKS = KEY | OWN | {"parent_uuids_text"}
GENES = {"gene_instruction", "gene_type"}
GENOME = GENES | {f"gene_{name}" for name in ("close", "silent", "ids", "uuid_text", "parent_uuid_text",
                                              "random_insertion")}  # fmt: skip
WINNERS = KEY | OWN | {"total_error"}
ENDS = AT | {"outcome"}


@dataclass(frozen=True)
class Expected:
    """A call of an analysis, and all that it may read: stored columns by table, each row group so often."""

    call: Callable[[Any], Any]
    individuals: set[str] = field(default_factory=set)
    generations: set[str] = field(default_factory=set)
    queries: int = 1
    passes: int = 1


def _best(lab: Any) -> Any:
    return gp.winner(lab.individuals, lab.generations, run=RUN)


def _last(lab: Any) -> Any:
    return gp.last_generation(lab.generations)


# Who walks lines collects the chosen, then the lines, and hands its rows to DuckDB: three queries, and two for nothing
# but the types of what is handed back.
OF_A_RUN = {
    "winner": Expected(_best, WINNERS, AT),
    "ancestry": Expected(
        lambda lab: gp.ancestry(lab.individuals, of=_best(lab)), LINKS | {"total_error"}, AT, queries=5, passes=2
    ),
    "ancestry_counts": Expected(
        lambda lab: gp.ancestry_counts(lab.individuals, of=_best(lab)), LINKS | {"total_error"}, AT, queries=5, passes=2
    ),
    "best_parent_chain": Expected(
        lambda lab: gp.best_parent_chain(lab.individuals, of=_best(lab)),
        LINKS | {"total_error"},
        AT,
        queries=5,
        passes=2,
    ),
    "ancestry_edges": Expected(
        lambda lab: gp.ancestry_edges(lab.individuals, runs=RUN), LINKS | {"genetic_operators"}, queries=4
    ),
    "selection_counts": Expected(lambda lab: gp.selection_counts(lab.individuals, runs=RUN), LINKS, queries=4),
    "hyperselection": Expected(
        lambda lab: gp.hyperselection(gp.selection_counts(lab.individuals, runs=RUN)), LINKS, queries=4
    ),
    "homology": Expected(lambda lab: gp.homology(lab.individuals, runs=RUN), KEY | GENES, queries=7, passes=2),
    "age_error": Expected(
        lambda lab: gp.age_error(lab.individuals, runs=RUN),
        KEY | {"ids", "parent_uuids_text", "age", "total_error"},
    ),
    "operator_effects": Expected(
        lambda lab: gp.operator_effects(lab.run(RUN).individuals, lab.runs, by=BY),
        LINKS | {"genetic_operators", "genome_size", "program_size", "total_error"},
        queries=5,
    ),
    "genetic_ancestry": Expected(
        lambda lab: gp.genetic_ancestry(lab.individuals, of=_best(lab)),
        LINKS | {"total_error"} | GENES | {"gene_ids", "gene_uuid_text", "gene_parent_uuid_text"},
        AT,
        queries=8,
        passes=3,
    ),
}
# A text in DuckDB's own words is bound over a view, which is made and dropped: two queries that read nothing.
POPULATION = {
    "diversity": Expected(lambda lab: gp.diversity(lab.individuals),
                          AT | {"errors", "total_error", "program", "behaviors"} | GENOME),
    "lexicase_stats": Expected(lambda lab: gp.lexicase_stats(lab.errors), AT | {"errors"}, queries=3),
    "elite_cases": Expected(lambda lab: gp.elite_cases(lab.individuals), KEY | {"errors"}, queries=3),
    "instruction_frequency": Expected(lambda lab: gp.instruction_frequency(lab.genes, lab.runs, by=BY),
                                      {"run_uuid"} | GENES),
}  # fmt: skip
SUMMARIES = {
    "last_generation": Expected(
        lambda lab: _last(lab).select("run_uuid", "generation", "total_error_min"), generations=AT | {"total_error_min"}
    ),
    "success_table": Expected(
        lambda lab: gp.success_table(_last(lab), lab.runs, by=BY), generations=ENDS | {"best_test_errors"}
    ),
    "cumulative_success": Expected(
        lambda lab: gp.cumulative_success(lab.generations, lab.runs, by=BY), generations=ENDS
    ),
    "computational_effort": Expected(
        lambda lab: gp.computational_effort(lab.generations, lab.runs, by=BY), generations=ENDS | {"population_size"}
    ),
    "error_curves": Expected(
        lambda lab: gp.error_curves(lab.generations, lab.runs, by=BY), generations=AT | {"total_error_min"}
    ),
    "size_curves": Expected(
        lambda lab: gp.size_curves(lab.generations, lab.runs, by=BY),
        generations=AT | {"genome_size_mean", "program_size_mean", "report"},
    ),
    "ert": Expected(
        lambda lab: gp.ert(lab.generations, lab.runs, by=BY), generations=ENDS | {"population_size"}
    ),
    "ecdf": Expected(
        lambda lab: gp.ecdf(lab.generations, lab.runs, by=BY), generations=ENDS | {"population_size"}, passes=3
    ),
}  # fmt: skip
ALL = OF_A_RUN | POPULATION | SUMMARIES
_NOT_OF_FILES = {"phylogeny", "runs_table", "select_runs", "shared_parameters", "smooth", "tournament_expectation"}
"""They take `runs`, which is in memory, or results."""


_open = cache(gp.open)


@cache
def read(path: Path, name: str) -> Reading:
    """Return what an analysis reads in a lab that was opened before."""
    lab = _open(path)
    with reading(lab) as found:
        gp.to_arrow(ALL[name].call(lab))
    return found


def test_every_analysis_is_watched() -> None:
    names = {name for name in analyses.__all__ if name.islower()}
    assert names == set(ALL) | _NOT_OF_FILES


@pytest.mark.parametrize("name", ALL)
def test_an_analysis_reads_the_columns_that_it_names_and_asks_so_many_queries(
    lakes: dict[int, Path], name: str
) -> None:
    found, expected = read(lakes[SMALL], name), ALL[name]
    assert found.columns.get("individuals", set()) == expected.individuals
    assert found.columns.get("generations", set()) == expected.generations
    assert len(found.queries) == expected.queries, "\n\n".join(found.queries)


@pytest.mark.parametrize("name", ALL)
def test_an_analysis_passes_so_often_over_the_files(lakes: dict[int, Path], name: str) -> None:
    found, expected = read(lakes[SMALL], name), ALL[name]
    assert found.passes("individuals") == (expected.passes if expected.individuals else 0)
    assert found.passes("generations") == (0 if not expected.generations else expected.passes if name == "ecdf" else 1)


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_question_of_one_run_reads_no_more_of_a_larger_lake(lakes: dict[int, Path], name: str) -> None:
    small, large = (read(lakes[runs], name) for runs in (SMALL, LARGE))
    for table in ("individuals", "generations"):
        times = [sorted(found.row_groups.get(table, Counter()).values()) for found in (small, large)]
        assert len(times[0]) <= 1
        assert times[0] == times[1]
        assert len(small.opened.get(table, ())) == len(large.opened.get(table, ()))
    assert len(small.queries) == len(large.queries)


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_question_over_summaries_opens_no_file_of_individuals(lakes: dict[int, Path], name: str) -> None:
    assert set(read(lakes[LARGE], name).opened) == {"generations"}


def test_the_genes_are_not_read_to_count_individuals(lakes: dict[int, Path]) -> None:
    lab = _open(lakes[SMALL])
    with reading(lab) as found:
        lab.sql("SELECT generation, count(*) FROM individuals GROUP BY ALL").fetchall()
    assert found.columns == {"individuals": {"generation"}}
