"""A sweep that is killed with all its processes, and called again: exactly one whole run for each cell."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import gpdata
from gpdata.lake import Lake, Transformer
from gpdata.sweeps.target import LakeTarget
from gpdata.sweeps.where import Where
from tests.conftest import ROOT
from tests.support import until
from tests.sweeps.test_sweep import recorded

FUNCTION = """
import sys
import gpdata
from tests.sweeps import runs
gpdata.sweep(runs.slow, {"a": range(5), "pause": [0.05, 0.06]}, repeats=4, lake=sys.argv[1], workers=2)
"""
COMMAND = """
import sys
import gpdata
command = [sys.executable, "-m", "tests.sweeps.command", "--own", "--plain", "{record_host}", "--seed", "{seed}",
           "--size", "{size}", "--pause", "0.05"]
gpdata.sweep(command, {"size": range(1, 6)}, repeats=4, lake=sys.argv[1], name="own", workers=2)
"""


def start(code: str, lake: Path) -> subprocess.Popen[bytes]:
    """Start a sweep in a group of processes of its own."""
    return subprocess.Popen([sys.executable, "-c", code, lake], cwd=ROOT, start_new_session=True)


def there(lake: Path) -> int:
    """Return how many runs are in the lake, with what was in its spool."""
    Transformer(Lake.open(lake)).run()
    return len(recorded(lake))


def begun(lake: Path) -> int:
    """Return how many cells were begun."""
    return len(list(lake.with_name("lake.sweeps").glob("*/cells/*.json")))


def kill(sweep: subprocess.Popen[bytes], lake: Path) -> None:
    """Kill the whole group at once, and see that nothing that it started outlives it."""
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    for lock in lake.with_name("lake.sweeps").glob("*/lock"):
        until(lambda lock=lock: is_free(lock), what="the end of its runs")  # type: ignore[misc]


def is_free(lock: Path) -> bool:
    """Say whether no process holds a sweep's lock."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def finish(code: str, lake: Path) -> None:
    assert start(code, lake).wait(300) == 0


@pytest.mark.faults
def test_a_sweep_of_40_runs_killed_half_way_ends_with_exactly_40(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    sweep = start(FUNCTION, lake)
    until(
        lambda: begun(lake) >= 22 and list((lake / "spool" / "tmp").iterdir()), 120, "half of the runs, and a begun one"
    )
    kill(sweep, lake)
    assert list((lake / "spool" / "tmp").iterdir()), "nothing was half recorded"
    assert 20 <= there(lake) < 40
    before = set(recorded(lake))
    finish(FUNCTION, lake)
    runs = recorded(lake)
    assert len(runs) == 40
    assert before <= set(runs)
    assert {run["generations"] for run in runs.values()} == {4}
    assert len({(run["config"]["a"], run["config"]["pause"], run["config"]["seed"]) for run in runs.values()}) == 40
    assert not list(Lake.open(lake).quarantine.entries())
    assert gpdata.open(lake).sql("SELECT count(*) FROM individuals").fetchall() == [(160,)]


@pytest.mark.faults
@pytest.mark.parametrize(("code", "cells", "generations"), [(FUNCTION, 40, 4), (COMMAND, 20, 3)])
def test_killed_at_any_moment_a_sweep_ends_with_its_cells(
    tmp_path: Path, code: str, cells: int, generations: int
) -> None:
    lake, chance = tmp_path / "lake", random.Random(11)
    for _ in range(10):
        sweep = start(code, lake)
        time.sleep(chance.uniform(0.3, 4.0))  # anywhere: before the first run, inside a commit, after the last
        if sweep.poll() is None:
            kill(sweep, lake)
    finish(code, lake)
    runs = recorded(lake)
    assert len(runs) == cells
    assert {run["generations"] for run in runs.values()} == {generations}
    assert not list(Lake.open(lake).quarantine.entries())


def test_a_running_sweep_is_not_started_twice_and_its_orphans_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpdata.errors import LakeBusy
    from gpdata.sweeps import folder
    from tests.sweeps import runs

    lake = tmp_path / "lake"
    code = FUNCTION.replace("[0.05, 0.06]", "[1.0, 1.1]")
    sweep = start(code, lake)
    locked = tmp_path / "lake.sweeps" / "slow" / "lock"
    until(lambda: locked.exists() and locked.read_text() == str(sweep.pid))
    monkeypatch.setattr(folder, "WAIT", 0.2)
    with pytest.raises(LakeBusy, match=f"process {sweep.pid} started it"):
        gpdata.sweep(runs.slow, {"a": [1]}, lake=lake)
    until(lambda: psutil.Process(sweep.pid).children())
    worker = psutil.Process(sweep.pid).children()[0]
    worker.suspend()  # it cannot notice that the sweep is gone
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    with pytest.raises(LakeBusy, match="a run of it is alive"):
        gpdata.sweep(runs.slow, {"a": [1]}, lake=lake)
    worker.resume()
    until(lambda: not worker.is_running() or worker.status() == "zombie", what="the orphan's end")
    assert LakeTarget(Where(str(lake))).has([]) == set()
