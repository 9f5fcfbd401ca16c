"""Genes, best parents and parameters: the same answers of every engine, over real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gpdata as gp


def test_every_engine_agrees(engine: Any, captured: Path) -> None:
    """A run that tracks genes; who is asked about is found once, as Spark is slow."""
    wanted = "SELECT run_uuid FROM individuals WHERE gene_uuid IS NOT NULL GROUP BY 1 ORDER BY count(*) LIMIT 1"
    known = gp.open(captured)
    runs = [run for (run,) in known.sql(wanted).fetchall()]
    winners = gp.winner(known.individuals, known.generations, run=runs)

    def answers(chosen: Any) -> list[list[dict[str, Any]]]:
        lab = gp.open(captured, runs=runs, engine=chosen)
        chain = gp.best_parent_chain(lab.individuals, of=winners)
        assert type(chain) is type(lab.individuals)
        frames = [gp.genetic_ancestry(lab.individuals, of=winners), chain]
        return [gp.to_arrow(frame).to_pylist() for frame in frames]

    for found, expected in zip(answers(engine), answers(None), strict=True):
        assert expected
        assert found == expected


def test_parameters_are_compared_on_every_engine(engine: Any, captured: Path) -> None:
    def answers(chosen: Any) -> list[list[dict[str, Any]]]:
        lab = gp.open(captured, engine=chosen)
        tracked = gp.select_runs(lab.runs, where={"track-instruction-maps": True}, since="2020-01-01")
        nameless = gp.select_runs(lab.runs, where={"config.label": None})
        assert type(tracked) is type(lab.runs)
        named = gp.select_runs(lab.runs, text="TOURNAMENT")
        chosen_runs = [frame.select("run_uuid") for frame in (tracked, nameless, named)]
        frames = [gp.runs_table(lab), gp.runs_table(named), gp.shared_parameters(lab), *chosen_runs]
        return [sorted(gp.to_arrow(frame).to_pylist(), key=str) for frame in frames]

    for found, expected in zip(answers(engine), answers(None), strict=True):
        assert expected
        assert found == expected


def test_winners_of_many_runs_have_their_ancestors_counted_at_once(engine: Any, captured: Path) -> None:
    """The question is whether winners of one configuration have fewer ancestors than those of another."""
    wanted = "SELECT run_uuid FROM runs WHERE label LIKE 'odd-pop30-%'"
    runs = [run for (run,) in gp.open(captured).sql(wanted).fetchall()]
    lab = gp.open(captured, runs=runs, engine=engine)
    winners = gp.winner(lab.individuals, lab.generations, run=runs)
    found = gp.to_pandas(gp.ancestry(lab.individuals, of=winners))
    counts = found.drop_duplicates(["run_uuid", "generation", "uuid"]).groupby("run_uuid").size()
    assert len(counts) == len(runs) == 6
    selection = gp.to_pandas(lab.runs).set_index("run_uuid")["parent-selection"]
    assert set(selection[counts.index]) == {"lexicase", "tournament"}
    if engine == "duckdb":
        for run in runs:  # one by one
            alone = gp.ancestry_counts(lab.individuals, of=gp.winner(lab.individuals, lab.generations, run=run))
            assert sum(row[1] for row in alone.fetchall()) == counts[run]
