"""Memory, processors and processes of a user's server end where the hub says, and nothing else ends with them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hub import limits
from hub.limits import CGROUP_ROOT, CGROUPS, PROCESSES, Limits, ServerGroup, controllers, limit_process, way

MIB = 2**20
TAKE = "import sys; taken = bytearray({} << 20); print(len(taken) >> 20)"

groups = pytest.mark.skipif(
    os.geteuid() != 0 or not controllers(CGROUP_ROOT), reason="only root on a machine that lets it make control groups"
)


def run(code, before):
    return subprocess.run([sys.executable, "-c", code], preexec_fn=before, capture_output=True, text=True, timeout=120)


def test_a_process_that_asks_for_too_much_is_told_and_others_are_not_touched():
    before = limit_process(Limits(512 * MIB, None))
    assert run(TAKE.format(200), before).stdout == "200\n"
    refused = run(TAKE.format(600), before)
    assert refused.returncode == 1
    assert "MemoryError" in refused.stderr
    child = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {TAKE.format(600)!r}]))"
    assert "MemoryError" in run(child, before).stderr  # what it starts is held too
    assert run(TAKE.format(600), None).stdout == "600\n"


def test_a_process_cannot_lift_its_limit():
    python = next(filter(anybody_may_run, (sys.executable, "/usr/bin/python3")), None)
    if python is None:
        pytest.skip("root may lift every limit, and no Python of this machine may be run by another user")
    code = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))"
    done = as_anybody([python, "-c", code], preexec_fn=limit_process(Limits(512 * MIB, None)))
    assert "not allowed to raise maximum limit" in done.stderr


def as_anybody(command, **options):
    """Run a command as somebody who is not root."""
    other = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120, **other, **options)


def anybody_may_run(python) -> bool:
    try:
        return as_anybody([python, "-c", ""]).returncode == 0
    except (PermissionError, FileNotFoundError):
        return False


def test_processors_are_counted_and_users_get_different_ones():
    code = "import os; print(*sorted(os.sched_getaffinity(0)))"
    seen = [run(code, limit_process(Limits(None, 1), spread=user)).stdout.split() for user in range(2)]
    assert [len(one) for one in seen] == [1, 1]
    if len(os.sched_getaffinity(0)) > 1:
        assert seen[0] != seen[1]
    assert len(run(code, limit_process(Limits(None, 10_000))).stdout.split()) == len(os.sched_getaffinity(0))
    assert len(run(code, limit_process(Limits(None, 0.5))).stdout.split()) == 1


@groups
def test_all_processes_of_a_group_share_its_memory_and_the_greatest_ends():
    """Two that take 300 MiB each do not fit into 400; a third outside them lives, and so does the group's first."""
    group = ServerGroup(f"test-{os.getpid()}")
    group.limit(Limits(400 * MIB, None))
    code = (
        "import subprocess, sys\n"
        f"take = lambda size: subprocess.run([sys.executable, '-c', {TAKE!r}.format(size)]).returncode\n"
        "print(take(100), take(600), take(100))"
    )
    try:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as outside:
            done = run(code, group.enter)
            assert done.stdout.splitlines()[-1] == "0 -9 0", done.stderr
            assert outside.poll() is None
            outside.communicate(b"\n")
        assert outside.returncode == 0
    finally:
        group.kill()
        assert group.remove()


@groups
def test_what_is_left_in_a_group_is_ended_and_the_group_goes():
    group = ServerGroup(f"test-left-{os.getpid()}")
    group.limit(Limits(None, 1.5))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, preexec_fn=group.enter) as left:
        assert left.pid in group.processes()
        assert not group.remove()
        group.kill()
        assert left.wait(30) == -9
    assert group.processes() == []
    assert group.remove()
    assert group.remove()  # nothing is there, nothing to do
    assert not any(folder.exists() for folder in group.folders.values())


@groups
def test_limits_are_what_the_kernel_holds():
    group = ServerGroup(f"test-held-{os.getpid()}")
    group.limit(Limits(512 * MIB, 1.5))
    read = {file.name: file for folder in set(group.folders.values()) for file in folder.iterdir()}
    try:
        if group.unified:
            assert read["memory.max"].read_text() == f"{512 * MIB}\n"
            assert read["cpu.max"].read_text() == "150000 100000\n"
        else:
            assert read["memory.limit_in_bytes"].read_text() == f"{512 * MIB}\n"
            assert read["cpu.cfs_quota_us"].read_text() == "150000\n"
        assert read["pids.max"].read_text() == f"{limits.MOST_TASKS}\n"
    finally:
        assert group.remove()


def test_version_2_of_control_groups_is_written_as_its_manual_says(tmp_path):
    """A tree of plain files stands for the kernel's; this machine may have version 1 only."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    group = ServerGroup("8000-ada", tmp_path)
    folder = tmp_path / limits.GROUP / "8000-ada"
    assert set(group.folders.values()) == {folder}
    group.limit(Limits(512 * MIB, 2))
    written = {file.name: file.read_text() for file in folder.iterdir()}
    assert written == {"memory.max": str(512 * MIB), "cpu.max": "200000 100000", "pids.max": str(limits.MOST_TASKS)}
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    group.limit(Limits(None, None))
    assert (folder / "memory.max").read_text() == "max"
    assert (folder / "cpu.max").read_text() == "max 100000"


def test_the_way_is_the_best_that_the_machine_has(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "has_systemd", lambda: False)
    assert way(root=True, cgroup_root=tmp_path) == PROCESSES  # nothing is mounted there
    for name in ("memory", "cpu", "pids"):
        (tmp_path / name).mkdir()
    assert way(root=True, cgroup_root=tmp_path) == CGROUPS
    monkeypatch.setattr(limits, "has_systemd", lambda: True)
    assert way(root=True, cgroup_root=tmp_path) == limits.SYSTEMD
    assert way(root=False, cgroup_root=tmp_path) == PROCESSES


@pytest.mark.xdist_group("hub")
def test_a_cell_that_takes_too_much_is_told_and_the_hub_goes_on(lab_hub):
    _, ada, bob = lab_hub
    mine, other = ada.kernel(), bob.kernel()
    assert bob.run(other, "x = 1; print(x)") == "1\n"
    said = ada.run(mine, "import numpy as np\nkept = np.ones(1000)\nbig = np.ones((5 * 2**30) // 8)")
    assert "MemoryError" in said
    assert "The hub gives your server 4 GiB of memory for all notebooks together" in said
    assert ada.run(mine, "print(kept.sum())") == "1000.0\n"  # what was there before is there still
    assert bob.run(other, "print(x)") == "1\n"
    for person in (ada, bob):
        assert person.get("api/metrics/v1").json()["limits"]["memory"]["rss"] == 4 * 2**30
        assert person.is_ready()
