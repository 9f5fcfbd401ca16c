"""A sweep of a function in processes of this machine: what is in the lake, and what is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from tests.support import until
from tests.sweeps import runs

COLUMNS = ["cell", "params", "repeat", "seed", "run_uuid", "attempts", "outcome", "error"]


def recorded(lake: Path) -> dict[str, dict[str, Any]]:
    """Return the configuration of each run of a lake, with its number of generations and individuals."""
    lab = gpdata.open(lake)
    rows = lab.sql(
        "SELECT run_uuid, any_value(config) AS config, any_value(label) AS label, any_value(system) AS system, "
        "any_value(problem) AS problem, any_value(config_id) AS config_id, count(*) AS generations "
        "FROM runs JOIN generations USING (run_uuid) GROUP BY run_uuid"
    ).to_arrow_table()
    found = {}
    for row in rows.to_pylist():
        config = row["config"]
        pairs = config.items() if isinstance(config, dict) else config
        found[row["run_uuid"]] = {**row, "config": {name: json.loads(text) for name, text in pairs}}
    return found


def test_each_cell_is_a_run_with_its_parameters_and_seed(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    grid = {"parent-selection": ["lexicase", "tournament"], "size": [2]}
    steps: list[Any] = []
    found = gpdata.sweep(
        runs.evolve, grid, repeats=2, lake=lake, problem="odd", config={"elite": 1}, workers=2, progress=steps.append
    )
    assert list(found.columns) == COLUMNS
    assert found.outcome.tolist() == ["done"] * 4
    assert found.attempts.tolist() == [1] * 4
    assert found.error.isna().all()
    there = recorded(lake)
    assert set(there) == set(found.run_uuid)
    for row in found.to_dict("records"):
        run = there[row["run_uuid"]]
        assert run["config"] == {**row["params"], "elite": 1, "seed": row["seed"], "label": "evolve"}
        assert (run["system"], run["problem"], run["label"], run["generations"]) == ("evolve", "odd", "evolve", 3)
    # Repeats are replicates, other parameters are not.
    assert len({run["config_id"] for run in there.values()}) == 2
    assert (steps[-1].done, steps[-1].failed, steps[-1].cells, steps[-1].before) == (4, 0, 4, 0)
    assert not list((lake / "spool" / "tmp").iterdir())
    assert not list((lake / "spool" / "new").iterdir())


def test_a_finished_sweep_runs_nothing_again_and_a_grown_one_what_is_new(tmp_path: Path) -> None:
    lake, grid = tmp_path / "lake", {"size": [1, 2]}
    first = gpdata.sweep(runs.evolve, grid, lake=lake, workers=2)
    version = gpdata.open(lake).version
    again = gpdata.sweep(runs.evolve, grid, lake=lake, workers=2)
    assert again.equals(first)
    assert gpdata.open(lake).version == version
    # Also where its folder is gone: the lake says what is there.
    (tmp_path / "lake.sweeps").rename(tmp_path / "gone")
    grown = gpdata.sweep(runs.evolve, {"size": [3, 2, 1]}, lake=lake, workers=2)
    assert grown.attempts.tolist() == [1, 0, 0]
    assert set(first.run_uuid) < set(grown.run_uuid) == set(recorded(lake))
    assert gpdata.open(lake).sql("SELECT count(*) FROM generations").fetchall() == [(9,)]


@pytest.mark.parametrize("how", ["raise", pytest.param("kill", marks=pytest.mark.faults)])
def test_a_failure_leaves_nothing_and_is_tried_again(tmp_path: Path, how: str) -> None:
    lake = tmp_path / "lake"
    grid = {"times": [0, 1, 3], "place": [str(tmp_path)], "how": [how]}
    with pytest.warns(UserWarning, match="1 of 3 cells have no whole run"):
        found = gpdata.sweep(runs.flaky, grid, lake=lake, retries=2, workers=1)
    assert found.outcome.tolist() == ["done", "done", "failed"]
    assert found.attempts.tolist() == [1, 2, 3]
    assert found.error[:2].isna().all()
    assert ("attempt 3 fails" if how == "raise" else "signal 9 (Killed)") in found.error[2]
    assert {run: row["generations"] for run, row in recorded(lake).items()} == dict.fromkeys(found.run_uuid[:2], 2)
    # What failed for good is tried anew by another call; its earlier failures do not count.
    again = gpdata.sweep(runs.flaky, grid, lake=lake, retries=0, workers=1)
    assert again.outcome.tolist() == ["done"] * 3
    assert again.attempts.tolist() == [1, 2, 4]
    assert len(recorded(lake)) == 3
    assert not list(Lake.open(lake).quarantine.entries())


def test_a_function_that_records_nothing_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="recorded no generation"):
        found = gpdata.sweep(runs.silent, {"a": [1]}, lake=tmp_path / "lake", retries=0)
    assert "call recorder.generation" in found.error[0]


def test_an_attempt_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="timeout"):
        found = gpdata.sweep(runs.hang, {"a": [1]}, lake=tmp_path / "lake", retries=0, timeout=1.0)
    assert found.outcome[0] == "failed"
    assert recorded(tmp_path / "lake") == {}


def test_what_a_run_leaves_behind_goes_with_it(tmp_path: Path) -> None:
    left = tmp_path / "left"
    found = gpdata.sweep(runs.leave, {"place": [str(left)]}, lake=tmp_path / "lake")
    assert found.outcome[0] == "done"
    child = int(left.read_text())
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", what="its end")


def test_a_function_of_a_notebook_goes_with_its_code(tmp_path: Path) -> None:
    offset = 40

    def inner(recorder: Any, *, seed: int, parent_selection: str) -> None:
        recorder.generation([{"errors": [offset + 2], "selection": parent_selection}], outcome="failure")

    found = gpdata.sweep(inner, {"parent-selection": ["lexicase"]}, lake=tmp_path / "lake")
    lab = gpdata.open(tmp_path / "lake", runs=found.run_uuid[0])
    assert lab.sql("SELECT total_error, extra FROM individuals").fetchall() == [(42.0, '{"selection":"lexicase"}')]


def test_a_parameter_called_problem_is_the_problem(tmp_path: Path) -> None:
    found = gpdata.sweep(runs.evolve, {"problem": ["odd", "even"]}, lake=tmp_path / "lake", system="mine")
    there = recorded(tmp_path / "lake")
    assert [there[run]["problem"] for run in found.run_uuid] == ["odd", "even"]


def test_another_sweep_of_the_same_name_is_refused(tmp_path: Path) -> None:
    gpdata.sweep(runs.evolve, {"size": [1]}, lake=tmp_path / "lake", name="pilot")
    with pytest.raises(InvalidInput, match=r"has run='evolve', and run='slow' was given; give another name"):
        gpdata.sweep(runs.slow, {"size": [1]}, lake=tmp_path / "lake", name="pilot")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"retries": -1}, "retries is -1; valid is a whole number from 0"),
        ({"workers": 0}, "workers is 0"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"timeout": 0}, "timeout is 0"),
        ({"engine": "ray"}, "engine is 'ray'; valid are 'local', 'spark'"),
        ({"name": "a/b"}, "the sweep's name is 'a/b'"),
        ({"name": ""}, "the sweep's name is ''"),
        ({"config": [1]}, "config is a list"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_made(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        gpdata.sweep(runs.evolve, {"size": [1]}, lake=tmp_path / "lake", **arguments)
    assert not list(tmp_path.iterdir())
