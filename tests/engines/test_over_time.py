"""Success over time, running times and moving averages: the same answers of every engine, over real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpdata as gp


def test_every_engine_agrees(engine: Any, captured: Path) -> None:
    """Runs of four kinds: solved, failed, killed, and with lost generations."""
    wanted = "SELECT run_uuid FROM runs JOIN generations USING (run_uuid) GROUP BY ALL HAVING max(generation) < 60"
    runs = [run for (run,) in gp.open(captured).sql(wanted).fetchall()]

    def answers(chosen: Any) -> list[list[dict[str, Any]]]:
        lab = gp.open(captured, runs=runs, engine=chosen)
        by = ["problem", "parent-selection"]
        effort = gp.computational_effort(lab.generations, lab.runs, by=by)
        frames = [
            effort,
            gp.ert(lab.generations, lab.runs, by=by),
            gp.ecdf(lab.generations, lab.runs, by="problem", targets=[10, 1, 0]),
            gp.smooth(lab.generations.select("run_uuid", "generation", "best_so_far"), window=4),
        ]
        assert type(effort) is type(lab.generations)
        return [gp.to_arrow(frame).to_pylist() for frame in frames]

    for found, expected in zip(answers(engine), answers(None), strict=True):
        assert expected
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert list(one) == list(other)
            for name, value in one.items():
                same = pytest.approx(other[name], rel=1e-9) if isinstance(value, float) else other[name]
                assert value == same, name


def test_success_is_compared_on_every_engine(engine: Any, captured: Path) -> None:
    def answer(chosen: Any) -> Any:
        lab = gp.open(captured, engine=chosen)
        table = gp.success_table(gp.last_generation(lab.generations), lab.runs, by=["problem", "parent-selection"])
        return gp.compare_success(table, treatment="parent-selection", within="problem")

    found, expected = answer(engine), answer(None)
    assert len(expected) > 1
    assert found.equals(expected)
