"""`gpdata spool status` and `gpdata transform` as they are typed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gpdata.cli import main
from gpdata.lake import Lake
from gpdata.spool import Meta
from tests.support import run_lines


def gpdata(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], standalone_mode=False)


def status(lake: Lake, *more: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gpdata("spool", "status", "--lake", lake.path, "--json", *more).output)
    return found


def test_an_idle_spool_has_no_problem(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    found = status(lake, "--keep-free", 0)
    assert found["problems"] == []
    assert (found["pending_files"], found["retired_files"], found["quarantined"], found["batch"]) == (0, 0, 0, 0)


def test_files_that_wait_and_nobody_who_works(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    file = lake.spool().write(run_lines(), Meta("upload"))
    old = time.time() - 1000
    os.utime(file.path, (old, old))
    found = status(lake)
    assert found["pending_files"] == 1
    assert found["pending_bytes"] == file.size
    assert 900 < found["oldest_seconds"] < 1100
    assert any("no transform is running" in problem for problem in found["problems"])
    with lake.lock(0, "follow.lock"):
        found = status(lake)
    assert found["follower"] == os.getpid()
    assert any("the oldest file has waited" in problem for problem in found["problems"])
    shown = gpdata("spool", "status", "--lake", lake.path)
    assert "17 min ago" in shown.output
    assert shown.return_value == 1


def test_a_disk_below_the_mark_and_a_quarantine_that_grows(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.quarantine.add(b"x", code="torn", detail="")
    found = status(lake, "--keep-free", "1000TB")
    assert [problem.split()[1] for problem in found["problems"]] == ["disk", "lines"]


def test_another_spool_is_transformed_once(tmp_path: Path) -> None:
    from gpdata.spool import Spool

    spool = Spool(tmp_path / "spool")
    spool.write([*run_lines(), b'{"torn'], Meta("upload"))
    import subprocess
    import sys

    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "transform", "--lake", tmp_path / "lake"]
    done = subprocess.run([*command, "--spool", spool.path], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "6 lines: 5 stored, 0 stored before, 1 in quarantine" in done.stdout
    assert spool.pending() == []
