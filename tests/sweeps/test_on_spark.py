"""A sweep as tasks of Spark: the same runs, the same promise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.lake import Lake
from tests import sparks
from tests.support import until
from tests.sweeps import runs
from tests.sweeps.test_killed import begun, kill, start
from tests.sweeps.test_sweep import recorded

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("spark")]

KILLED = """
import sys
import gpdata
from tests.sweeps import runs
session = gpdata.spark("local", spark__driver__memory="1g", spark__master="local[2]", spark__ui__enabled="false")
gpdata.sweep(runs.slow, {"a": range(5)}, repeats=4, lake=sys.argv[1], engine=session)
"""


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Return a session of two cores on this machine."""
    with sparks.classic() as started:
        yield started


def test_spark_runs_the_cells_that_processes_would(session: Any, tmp_path: Path) -> None:
    grid = {"size": [1, 2, 3]}
    here = gpdata.sweep(runs.evolve, grid, lake=tmp_path / "here", workers=2)
    there = gpdata.sweep(runs.evolve, grid, lake=tmp_path / "there", engine=session)
    assert there.equals(here)
    rows = [
        gpdata.open(tmp_path / lake).sql("SELECT run_uuid, generation, location, errors FROM individuals ORDER BY ALL")
        for lake in ("here", "there")
    ]
    assert rows[0].fetchall() == rows[1].fetchall()
    again = gpdata.sweep(runs.evolve, grid, lake=tmp_path / "there", engine=session)
    assert again.equals(there)


def test_failures_are_retried_and_told(session: Any, tmp_path: Path) -> None:
    grid = {"times": [0, 1, 2], "place": [str(tmp_path)]}
    with pytest.warns(UserWarning, match="1 of 3 cells have no whole run"):
        found = gpdata.sweep(runs.flaky, grid, lake=tmp_path / "lake", engine=session, retries=1)
    assert found.outcome.tolist() == ["done", "done", "failed"]
    assert found.attempts.tolist() == [1, 2, 2]
    assert "attempt 2 fails" in found.error[2]
    assert len(recorded(tmp_path / "lake")) == 2


def test_a_command_records_under_the_uuid_that_it_is_given(session: Any, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.sweeps.command", "--seed", "{seed}", "--size", "{size}"]
    found = gpdata.sweep(program, {"size": [1, 2]}, lake=tmp_path / "lake", engine=session)
    assert found.outcome.tolist() == ["done"] * 2
    assert set(recorded(tmp_path / "lake")) == set(found.run_uuid)
    with pytest.warns(UserWarning, match=r"record it under \{run_uuid\}, or GPDATA_RUN_UUID"):
        gpdata.sweep(
            [*program, "--own", "--plain", "{record_host}"], {"size": [3]}, lake=tmp_path / "lake", name="own",
            engine=session, retries=0,
        )  # fmt: skip
    assert set(recorded(tmp_path / "lake")) == set(found.run_uuid)


def test_killed_and_called_again_it_ends_with_its_cells(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for runs_there in (3, 9):
        sweep = start(KILLED, lake)
        until(lambda: begun(lake) and _there(lake) >= runs_there, 240, "some runs")  # noqa: B023
        kill(sweep, lake)
    # Tasks of Spark hold no lock: those that are alive end with their driver, or find their run there.
    time.sleep(1)
    assert start(KILLED, lake).wait(300) == 0
    found = recorded(lake)
    assert len(found) == 20
    assert {run["generations"] for run in found.values()} == {4}


def _there(lake: Path) -> int:
    if not (lake / "gpdata.json").exists():
        return 0
    return len(recorded(lake)) + len(Lake.open(lake).spool().pending())
