"""`gpdata sweep`: a grid on the command line, what is printed, and the exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sweeps.test_sweep import recorded

PROGRAM = [sys.executable, "-m", "tests.sweeps.command", "--size", "{size}", "--seed", "{seed}"]


def gpdata(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    code = "from gpdata.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "sweep", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_grid_is_run_and_told(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    arguments = ["--grid", "size=1,2", "--lake", lake, "--name", "sizes"]
    done = gpdata(*arguments, "--json", *PROGRAM)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["params"], row["outcome"], row["error"]) for row in rows] == [
        ({"size": 1}, "done", None),
        ({"size": 2}, "done", None),
    ]
    assert {row["run_uuid"] for row in rows} == set(recorded(Path(lake)))
    assert "sweep: 2 of 2 runs done" in done.stderr
    again = gpdata(*arguments, *PROGRAM)
    assert again.stdout == f"2 of 2 cells have their run in {lake}\n"


def test_failures_are_a_table_and_the_exit_status(tmp_path: Path) -> None:
    done = gpdata("-g", "size=1", "--lake", str(tmp_path / "lake"), "--retries", "0", "--", *PROGRAM, "--fail", "3")
    assert done.returncode == 1
    first, second, third = done.stdout.splitlines()
    assert first.startswith("0 of 1 cells have their run in ")
    assert second.startswith("failed: size=1, repeat 0, 1 attempts: the command ended with exit status 3")
    assert third == "run the same sweep again to try these anew"
    assert "Traceback" not in done.stderr


def test_a_dry_run_prints_commands_that_a_shell_can_read(tmp_path: Path) -> None:
    grid = tmp_path / "grid.json"
    grid.write_text('[{"a": "two words"}, {"a": 0.5}]')
    done = gpdata("--grid-file", str(grid), "--dry-run", "evolve", "--a", "{a}", "--at", "{record_host}")
    assert done.stdout.splitlines() == [
        "evolve --a 'two words' --at {record_host}",
        "evolve --a 0.5 --at {record_host}",
    ]
    assert list(tmp_path.iterdir()) == [grid]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grid", "size", "evolve"], "valid is NAME=VALUE,VALUE"),
        (["--grid", "size=1", "--grid", "size=2", "evolve"], "names 'size' twice"),
        (["--grid", "size=1", "evolve", "{siz}"], "did you mean 'size'"),
        (["--lake", "a", "--to", "http://localhost:1", "evolve"], "a lake (a) and a server"),
    ],
)
def test_what_cannot_be_used_is_a_message(words: list[str], said: str) -> None:
    done = gpdata(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
