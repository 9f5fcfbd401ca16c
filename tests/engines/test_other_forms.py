"""What a lab notes of its DuckDB relations: the answers are those that the relations themselves give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import gpdata as gp

BY = "parent-selection"
ASKED: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "instruction_frequency": ("genes", lambda lab, genes: gp.instruction_frequency(genes, lab.runs, by=BY)),
    "instruction_frequency of winners": (
        "genes",
        lambda lab, genes: gp.instruction_frequency(
            genes, lab.runs, by=BY, of=gp.winner(lab.individuals, lab.generations, run=_runs(lab))
        ),
    ),
    "lexicase_stats": ("errors", lambda _, errors: gp.lexicase_stats(errors)),
    "elite_cases": ("errors", lambda _, errors: gp.elite_cases(errors)),
    "age_error": ("individuals", lambda _, individuals: gp.age_error(individuals)),
}


def _runs(lab: Any) -> list[str]:
    return [run for (run,) in lab.runs.select("run_uuid").fetchall()]


def _sorted(relation: Any) -> pa.Table:
    table = relation.to_arrow_table()
    return table.sort_by([(name, "ascending") for name in table.column_names])


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("kept", [False, True], ids=["files", "memory"])
def test_the_cheaper_way_gives_the_same_rows(name: str, kept: bool, example_lake: Path) -> None:
    table, ask = ASKED[name]
    lab = gp.open(example_lake).persist() if kept else gp.open(example_lake)
    own = _sorted(ask(lab, getattr(lab, table)))
    assert own.num_rows
    assert own.equals(_sorted(ask(lab, getattr(lab, table).filter("true"))))


def test_a_part_is_not_taken_for_the_whole(example_lake: Path) -> None:
    lab = gp.open(example_lake)
    first = _runs(lab)[0]
    found = gp.age_error(lab.individuals.filter(f"run_uuid = '{first}'")).select("run_uuid").distinct().fetchall()
    assert found == [(first,)]
