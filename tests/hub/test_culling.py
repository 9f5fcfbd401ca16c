"""A server in which nothing runs is stopped and comes back with its files; one that works is left alone."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from gpdata.lake import Lake
from gpdata.sessions import server as extension
from gpdata.sessions.ui import Page
from tests.hub.live import live_hub
from tests.support import free_port, until

WORKING = """
import threading, time
import gpdata as gp
spark = gp.spark()
spark.range(1).count()
def wait(rows):
    while not __import__("os").path.exists("stop"):
        time.sleep(0.1)
    return rows
job = threading.Thread(target=lambda: spark.range(1).repartition(1).rdd.mapPartitions(wait).count())
job.start()
print("in the background")
"""
BUSY = "import os, time\nwhile not os.path.exists('stop'):\n    time.sleep(0.1)"


@pytest.mark.faults  # it waits for minutes; `make test-hub`
def test_who_works_is_left_alone_and_who_is_idle_comes_back_with_the_files(installed_proxy, tmp_path):
    """Ada's Spark job runs behind an idle prompt, Carl's cell says nothing, Bob left: only his server stops."""
    Lake.create(tmp_path / "lake")
    with live_hub(tmp_path / "state", tmp_path / "lake", HUB_IDLE="40s") as hub:
        for name in ("ada", "bob", "carl"):
            hub.add(name)
        ada, bob, carl = (hub.sign_in(name) for name in ("ada", "bob", "carl"))
        ada.start()
        assert "in the background" in ada.run(ada.kernel(), WORKING)
        carl.start()
        carl.begin(carl.kernel(), BUSY)
        bob.start()  # the last of all: when his server is stopped for its idleness, theirs would have been
        assert bob.run(bob.kernel(), "print(open('mine.txt', 'w').write('kept'))") == "4\n"

        until(bob.is_stopped, 240, "the end of Bob's idle server")
        assert ada.is_ready()
        assert carl.is_ready()
        assert "Culling server bob (inactive for 00:" in hub.log.read_text()

        bob.start()
        assert bob.get("api/contents/mine.txt").json()["content"] == "kept"
        for person in (ada, carl):  # once their work is done they are idle too
            (tmp_path / "state" / "homes" / person.name / "stop").touch()
        until(lambda: ada.is_stopped() and carl.is_stopped(), 240, "the end of both, idle now")


class Kernels:
    """A kernel manager with one kernel."""

    def __init__(self, state):
        self.state = state

    def list_kernels(self):
        return [{"execution_state": self.state}]


@pytest.mark.parametrize(("state", "works"), [("busy", True), ("idle", False), ("starting", False)])
def test_a_busy_kernel_is_activity(state, works, monkeypatch, tmp_path):
    monkeypatch.setattr(extension, "runtime", lambda: tmp_path)
    settings = {"kernel_manager": Kernels(state), "last_activity_times": {}}
    before = datetime.now(UTC)
    assert asyncio.run(extension.note_work(settings)) is works
    assert ("gpdata" in settings["last_activity_times"]) is works
    assert all(when >= before for when in settings["last_activity_times"].values())


def test_a_session_that_ended_runs_nothing():
    assert not asyncio.run(extension.has_jobs(Page(free_port(), b"key")))


def test_a_session_too_busy_to_answer_counts_as_running(monkeypatch):
    monkeypatch.setattr(extension, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert asyncio.run(extension.has_jobs(Page(silent.getsockname()[1], b"key")))
