"""Runs of DEAP, PyshGP, LEAP and gplearn in one lake beside Clojush's: every question answers for all of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.importers import import_paths
from gpdata.lake import Lake
from tests.upload.adapters.experiments import EXPERIMENTS, LABEL, POPULATION, SEEDS, SIZES

pytest.importorskip("gplearn", reason="gplearn is not installed")
pytest.importorskip("leap_ec", reason="leap_ec is not installed")
pytest.importorskip("pyrsistent", reason="PyshGP is not installed")
STREAMS = "demos.odd-pop30-*.jsonl.zst"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "lake"
    for experiment in EXPERIMENTS.values():
        for size in SIZES:
            for seed in SEEDS:
                experiment(path, size, seed)
    return path


@pytest.fixture(scope="module")
def rows(lake: Path) -> dict[tuple[str, str], dict[int, list[dict[str, Any]]]]:
    """Return the individuals of each run by system, run and generation."""
    lab = gpdata.open(lake)
    found: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    relation = lab.sql("SELECT system, i.* FROM individuals i JOIN runs USING (run_uuid) ORDER BY generation, location")
    for row in relation.to_arrow_table().to_pylist():
        found[row["system"], row["run_uuid"]][row["generation"]].append(row)
    return found


def test_every_run_is_there_whole(lake: Path, rows: Any) -> None:
    lab = gpdata.open(lake)
    counted = lab.sql('SELECT system, "tournament-size", count(*) FROM runs GROUP BY ALL ORDER BY ALL').fetchall()
    assert counted == [(system, str(size), len(SEEDS)) for system in sorted(EXPERIMENTS) for size in SIZES]
    assert lab.sql("SELECT DISTINCT label, version IS NULL FROM runs").fetchall() == [(LABEL, False)]
    assert lab.sql("SELECT count(DISTINCT config_id) FROM runs").fetchall() == [(len(EXPERIMENTS) * len(SIZES),)]
    outcomes = lab.sql("SELECT arg_max(outcome, generation) FROM generations GROUP BY run_uuid").fetchall()
    assert {outcome for (outcome,) in outcomes} == {"success", "failure"}
    for generations in rows.values():
        assert sorted(generations) == list(range(len(generations)))
        assert {len(population) for population in generations.values()} == {POPULATION}


def test_success_table_agrees_with_the_errors_themselves(lake: Path, rows: Any) -> None:
    lab = gpdata.open(lake)
    table = gpdata.to_pandas(
        gpdata.success_table(gpdata.last_generation(lab.generations), lab.runs, by=["system", "tournament-size"],
                             threshold=1e-7)
    )  # fmt: skip
    found = {(row["system"], row["tournament-size"]): (row["successes"], row["runs"]) for _, row in table.iterrows()}
    expected: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    sizes = dict(lab.sql('SELECT run_uuid, "tournament-size" FROM runs').fetchall())
    for (system, run), generations in rows.items():
        least = min(sum(row["errors"]) for population in generations.values() for row in population)
        expected[system, sizes[run]][0] += least <= 1e-7
        expected[system, sizes[run]][1] += 1
    assert found == {key: tuple(value) for key, value in expected.items()}
    assert len(found) == 8


def test_error_curves_agree_with_the_errors_themselves(lake: Path, rows: Any) -> None:
    lab = gpdata.open(lake)
    curve = gpdata.to_pandas(gpdata.error_curves(lab.generations, lab.runs, by="system"))
    for system in EXPERIMENTS:
        first = [
            min(sum(row["errors"]) for row in generations[0]) for (of, _), generations in rows.items() if of == system
        ]
        start = curve[(curve["system"] == system) & (curve["generation"] == 0)].iloc[0]
        assert start["runs"] == len(first)
        assert start["best_mean"] == pytest.approx(sum(first) / len(first))


def test_ancestry_agrees_with_a_walk_over_the_rows(lake: Path, rows: Any) -> None:
    lab = gpdata.open(lake)
    for (_, run), generations in rows.items():
        winner = gpdata.winner(lab.individuals, lab.generations, run=run)
        found = gpdata.to_pandas(gpdata.ancestry(lab.individuals, of=winner))
        chosen = gpdata.to_pandas(winner)
        last = int(chosen["generation"].iloc[0])
        wanted = {generations[last][int(chosen["location"].iloc[0])]["uuid"]}
        expected = {(last, uuid) for uuid in wanted}  # a chosen one stands where its line ends
        for generation in range(last - 1, -1, -1):
            of = {row["uuid"]: row for row in generations[generation + 1]}
            wanted = {parent for uuid in wanted for parent in of[uuid]["parent_uuids"] or []}
            expected |= {(generation, uuid) for uuid in wanted}
        assert {(int(row["generation"]), row["uuid"]) for _, row in found.iterrows()} == expected
        if last:
            assert set(found[found["is_root"]]["generation"]) == {0}


def test_beside_clojush(lake: Path, captures: Path) -> None:
    streams = sorted(captures.glob(STREAMS))
    assert streams
    import_paths(streams, Lake.create(lake))
    lab = gpdata.open(lake)
    last = gpdata.last_generation(lab.generations)
    table = gpdata.to_pandas(gpdata.success_table(last, lab.runs, by="system"))
    assert dict(zip(table["system"], table["runs"], strict=True)) == {
        "clojush": len(streams), **dict.fromkeys(EXPERIMENTS, len(SIZES) * len(SEEDS)),
    }  # fmt: skip
    curve = gpdata.to_pandas(gpdata.error_curves(lab.generations, lab.runs, by="system"))
    assert set(curve["system"]) == {"clojush", *EXPERIMENTS}
    runs = gpdata.to_pandas(lab.runs)
    for system in sorted(set(runs["system"])):
        run = runs[runs["system"] == system]["run_uuid"].iloc[0]
        ancestors = gpdata.ancestry(lab.individuals, of=gpdata.winner(lab.individuals, lab.generations, run=run))
        assert len(gpdata.to_pandas(ancestors)) > 0, system
