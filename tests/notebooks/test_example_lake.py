"""`gpdata example-lake`: what it makes, that it makes the same again, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import gpdata
from gpdata.cli import main
from gpdata.demo import example
from gpdata.demo.evolution import Plan, evolve
from gpdata.demo.example import PLANS, evolve_example, make_example_lake
from gpdata.lake import Lake

SMALL = tuple(replace(plan, population_size=20, max_generations=2) for plan in PLANS[:2])


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["example-lake", *map(str, arguments)])


def test_it_has_what_the_notebooks_ask_about(example_lake: Path) -> None:
    lab = gpdata.open(example_lake)
    last = gpdata.last_generation(lab.generations)
    table = gpdata.success_table(last, lab.runs, by="parent-selection")
    counts = {row[0]: row[1:5] for row in table.fetchall()}
    assert {name: row[:2] for name, row in counts.items()} == dict.fromkeys(
        ("age-fitness", "lexicase", "tournament"), (6, 6)
    )
    successes, generalising = (sum(row[i] for row in counts.values()) for i in (2, 3))
    assert 0 < generalising < successes < len(PLANS)
    # A history: two people, three labels, three months; what is compared differs in one key alone.
    history = (
        "select owner, label, month(started_at), count(*), count(distinct config_id) from runs group by all order by 3"
    )
    assert lab.sql(history).fetchall() == [
        ("ada", "pilot", 1, 6, 2),
        ("grace", "replication", 2, 6, 2),
        ("grace", "age", 3, 6, 1),
    ]
    varied = {"parent-selection", "random-seed"}
    assert varied == set(gpdata.to_pandas(gpdata.runs_table(lab)).columns) & set(lab.config_keys)
    # Every parent is in the generation before, and nobody after the first generation is without one.
    lost = """select count(*) from (select run_uuid, generation, unnest(parent_uuids) as parent from individuals) c
              anti join individuals p on p.run_uuid = c.run_uuid and p.generation = c.generation - 1
              and p.uuid = c.parent"""
    assert lab.sql(lost).fetchall() == [(0,)]
    # But the newcomers of the aged runs: one a generation, of age 0, made from nobody.
    orphans = """select "parent-selection", count(*), count(distinct (run_uuid, generation)), max(age),
                        count(parent_uuids)
                 from individuals join runs using (run_uuid)
                 where generation > 0 and len(coalesce(parent_uuids, [])) = 0 group by 1"""
    assert lab.sql(orphans).fetchall() == [("age-fitness", 180, 180, 0.0, 180)]


def test_its_runs_are_the_same_to_the_byte_in_another_process(example_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(example_lake, lake)
    code = (
        "import sys; from gpdata.demo.example import PLANS, evolve_example;"
        "evolve_example(sys.argv[1], PLANS[0]); evolve_example(sys.argv[1], PLANS[-1])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, lake], env=environment, check=True)
    # A line is a duplicate only where its SHA-256 is that of the stored one.
    assert list(Lake.open(lake).quarantine.entries()) == []
    count = "select count(*), count(distinct run_uuid) from generations"
    assert gpdata.open(lake).sql(count).fetchall() == gpdata.open(example_lake).sql(count).fetchall()


def test_a_part_of_it_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "PLANS", SMALL)
    evolve_example(tmp_path / "lake", SMALL[0])
    steps: list[tuple[int, int]] = []
    account = make_example_lake(tmp_path / "lake", progress=lambda *step: steps.append(step))
    assert (account.runs, account.generations, account.duplicates, account.quarantined) == (1, 3, 3, 0)
    assert steps == [(1, 2), (2, 2)]


def test_the_command_says_what_is_new_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(example, "PLANS", SMALL)
    first, second = run(), run()
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    place = tmp_path / "example-lake"
    assert first.stdout == f"{place}: 2 runs, 6 generations and 120 individuals are new\n"
    assert second.stdout == (
        f"{place}: 0 runs, 0 generations and 0 individuals are new; 6 generations were there before\n"
    )


@pytest.mark.parametrize("other", [Plan("lexicase", 1, population_size=21, max_generations=1), None])
def test_a_lake_with_other_runs_is_left_alone(tmp_path: Path, other: Plan | None) -> None:
    lake = tmp_path / "lake"
    if other is not None:
        evolve(lake, other)
    else:
        with gpdata.Recorder(lake, system="mine") as recorder:
            recorder.generation([{"total_error": 1.0}])
    version = gpdata.open(lake).version
    result = run("--lake", lake)
    assert result.exit_code == 2
    assert "none of the example's" in result.stderr
    assert "name a directory that does not exist yet" in result.stderr
    assert gpdata.open(lake).version == version


def test_runs_of_another_deap_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "PLANS", SMALL)
    make_example_lake(tmp_path / "lake")
    monkeypatch.setattr(example, "version", lambda name: "99")
    assert "none of the example's" in run("--lake", tmp_path / "lake").stderr


def test_without_deap_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.cli.options.find_spec", lambda name: None)
    result = run("--lake", tmp_path / "lake")
    assert result.exit_code == 2
    assert "pip install 'gpdata[deap]'" in result.stderr
    assert list(tmp_path.iterdir()) == []
