from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import pytest

import gpdata as gp
from benchmarks.answers import difference
from benchmarks.contests import CONTESTS
from benchmarks.lakes import make, repeat
from benchmarks.sides import duckdb_sql, gpdata_duckdb
from gpdata.lake import Lake
from gpdata.lake.verify import verify


def record(path: str) -> None:
    """Record runs of two configurations, with everything that the benchmark's questions read."""
    chance = random.Random(12)
    for seed, size in enumerate((40, 60, 1000)):
        config = {"parent-selection": "tournament" if seed % 2 else "lexicase"}
        with gp.Recorder(path, system="test", problem="odd", config=config) as run:
            names: list[str] = []
            for generation in range(4):
                born = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(size)]
                population = [individual(chance, generation, name, names) for name in born]
                run.generation(population, outcome=("continue", "success")[generation == 3 and seed == 0])
                names = born


def individual(chance: random.Random, generation: int, name: str, before: list[str]) -> dict[str, Any]:
    errors = [float(chance.choice([0, 1, 7])) for _ in range(5)]
    genome = [
        {"instruction": chance.choice(["exec_if", "in1", 7, 0.5, True, None])} for _ in range(chance.randrange(30))
    ]
    parents = chance.choices(before, k=2) if before else chance.choice([None, []])
    return {
        "uuid": name,
        "parent-uuids": parents,
        "errors": errors,
        "total-error": sum(errors),
        "age": float(generation),
        "genome": genome,
        "program": f"({len(genome)} {errors[0]})",
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    record(str(folder / "small"))
    repeat(Lake.open(folder / "small"), folder / "lake", runs=12, individuals=12_000, genes=300_000)
    return folder / "lake"


def test_it_is_as_large_as_was_asked(lake: Path) -> None:
    lab = gp.open(lake, engine="duckdb")
    individuals, genes = lab.sql("SELECT count(*), sum(len(gene_instruction)) FROM individuals").fetchall()[0]
    assert lab.run_count == 12
    assert individuals >= 12_000
    assert genes >= 300_000


def test_it_is_whole_and_its_summaries_are_true(lake: Path) -> None:
    assert [finding for finding in verify(Lake.open(lake)) if finding.level == "error"] == []
    lab = gp.open(lake, engine="duckdb")
    counted, recorded = (gp.diversity(frame).to_arrow_table() for frame in (lab.individuals, lab.generations))
    assert difference(counted, recorded) is None
    wrong = lab.sql(
        "SELECT run_uuid, generation, min(total_error) AS e, avg(genome_size) AS g FROM individuals GROUP BY ALL "
    ).query("found", "SELECT * FROM found JOIN generations USING (run_uuid, generation) "
            "WHERE abs(e - total_error_min) > 1e-9 OR abs(g - genome_size_mean) > 1e-9")  # fmt: skip
    assert wrong.fetchall() == []
    sums = "count(*) FILTER (abs(list_sum(errors) - total_error) > 1e-9), count(DISTINCT errors[1])"
    unlike, values = lab.sql(f"SELECT {sums} FROM individuals").fetchall()[0]
    assert unlike == 0
    assert values > 3, "no error was changed"


def test_copies_are_not_alike_and_parents_are_found(lake: Path) -> None:
    lab = gp.open(lake, engine="duckdb")
    runs = lab.sql("SELECT run_uuid FROM runs").fetchall()
    twice = "SELECT uuid FROM individuals WHERE uuid IS NOT NULL GROUP BY uuid HAVING count(DISTINCT run_uuid) > 1"
    assert lab.sql(twice).fetchall() == []
    edges = gp.ancestry_edges(lab.individuals, runs=runs[0][0]).to_arrow_table()
    assert edges.num_rows
    assert edges["parent_location"].null_count == 0


def test_a_lake_that_was_cut_off_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.lakes.make_example_lake", record)
    path = tmp_path / "lake"
    path.mkdir()
    (path / "rest").touch()
    for _ in range(2):
        make(path, None, runs=2, individuals=1)
        assert not (path / "rest").exists()
        assert gp.open(path, engine="duckdb").run_count == 2


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_sql_by_hand_answers_as_gpdata_does(lake: Path, contest: object) -> None:
    name = contest.name  # type: ignore[attr-defined]
    (run,) = gp.open(lake, engine="duckdb").sql("SELECT min(run_uuid) FROM runs").fetchall()[0]
    ours, theirs = (side.ANSWERS[name](side.prepare(lake), run) for side in (gpdata_duckdb, duckdb_sql))
    assert ours.num_rows
    assert difference(ours, theirs) is None
