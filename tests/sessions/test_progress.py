"""Progress under the cell or in the terminal: of real jobs, on classic and Connect, and gone when they are done."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gpdata.sessions.hours import executor_hours, is_connect
from gpdata.sessions.progress import Bar, Tasks, Watcher, active_tasks, end_progress, handler, show_progress
from tests.support import until

Sessions = Callable[[str], Any]
both = pytest.mark.parametrize("kind", ["spark", "connect"])
spark = pytest.mark.xdist_group("spark")


@pytest.fixture(autouse=True)
def somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test compares what is printed, nothing is shown; these do."""
    monkeypatch.setattr("gpdata.sessions.progress.compared", lambda: False)


def shown(out: io.StringIO) -> str:
    """Return the line as a terminal has it in the end."""
    line = ""
    for part in out.getvalue().split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def test_nothing_is_shown_before_the_delay_nor_left_behind() -> None:
    out, now = io.StringIO(), [10.0]
    bar = Bar(out, delay=2, clock=lambda: now[0])
    bar.show(Tasks(1, 8, 1, 2))
    assert out.getvalue() == ""
    now[0] = 12.5
    bar.show(Tasks(3, 200, 100, 2))
    assert shown(out) == "Spark [############            ] 100 of 200 tasks in 3 stages, 2 running, 2 s"
    bar.show(Tasks(1, 8, 8, 0))
    assert shown(out) == "Spark [########################] 8 of 8 tasks, 0 running, 2 s"
    bar.show(None)
    assert shown(out) == ""
    before = out.getvalue()
    bar.show(Tasks(1, 8, 1, 2))  # the next job begins anew
    bar.clear()
    assert out.getvalue() == before


def test_what_connect_tells_is_shown() -> None:
    class Stage:
        num_tasks, num_completed_tasks = 4, 1

    out = io.StringIO()
    told = handler(Bar(out, delay=0))
    told(stages=[Stage, Stage], inflight_tasks=2, operation_id="a", done=False)
    assert "2 of 8 tasks in 2 stages, 2 running" in shown(out)
    told(stages=[], inflight_tasks=0, operation_id="a", done=True)
    assert shown(out) == ""


@spark
@both
def test_a_running_job_is_shown_and_then_not(sessions: Sessions, kind: str) -> None:
    session, out = sessions(kind), io.StringIO()
    assert show_progress(session, out=out, delay=0)
    assert not show_progress(session, out=out, delay=0)  # already
    endless = session.range(0, 10**13, 1, 6).selectExpr("sum(hash(id))")
    failed: list[Exception] = []

    def work() -> None:
        try:
            endless.collect()
        except Exception as error:  # interrupted
            failed.append(error)

    job = threading.Thread(target=work)
    job.start()
    try:
        until(lambda: re.search(r"Spark \[.*\] \d of 6 tasks, \d running", out.getvalue()), what="the bar")
    finally:
        while job.is_alive():
            session.interruptAll()
            job.join(0.2)
        end_progress(session)
    assert failed
    assert shown(out) == ""
    before = out.getvalue()
    session.range(10).count()
    assert out.getvalue() == before


@spark
def test_no_job_no_tasks_and_a_watcher_ends(sessions: Sessions) -> None:
    session, out = sessions("spark"), io.StringIO()
    until(lambda: active_tasks(session.sparkContext) is None, what="the end of all stages")
    watcher = Watcher(session, Bar(out, delay=0), every=0.01).start()
    watcher.end()
    watcher.end()
    assert out.getvalue() == ""
    assert not [thread for thread in threading.enumerate() if thread.name == "gpdata-spark-progress"]


@spark
def test_nothing_is_shown_where_nobody_looks(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # no terminal
    assert not show_progress(sessions("spark"))
    end_progress(sessions("spark"))


class Shell:
    """What of IPython's shell is used."""

    def __init__(self) -> None:
        self.kernel, self.events, self.called = object(), self, {}

    def register(self, name: str, function: Callable[..., None]) -> None:
        self.called[name] = function

    def unregister(self, name: str, function: Callable[..., None]) -> None:
        assert self.called.pop(name) == function


@spark
def test_a_notebook_has_a_watcher_for_each_cell_unless_sparkmonitor_is_there(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watchers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "gpdata-spark-progress"]

    session, shell = sessions("spark"), Shell()
    monkeypatch.setattr("gpdata.sessions.progress._shell", lambda: shell)
    monkeypatch.setitem(sys.modules, "sparkmonitor.kernelextension", sys)
    assert not show_progress(session)
    monkeypatch.delitem(sys.modules, "sparkmonitor.kernelextension")
    assert show_progress(session)
    (first,) = watchers()
    shell.called["post_run_cell"](None)
    assert watchers() == []
    shell.called["pre_run_cell"](None)
    (second,) = watchers()
    assert second is not first
    end_progress(session)
    assert watchers() == []
    assert shell.called == {}


@spark
@both
def test_hours_are_told_where_spark_tells_them(sessions: Sessions, kind: str) -> None:
    session = sessions(kind)
    if kind == "connect":
        assert is_connect(session)
        assert executor_hours(session) is None
        return
    session.range(0, 10**6, 1, 4).selectExpr("sum(hash(id))").collect()
    used = executor_hours(session)
    assert used is not None
    assert used.executors == 1  # the driver, which works itself in local mode
    assert used.executor_hours > 0
    assert used.core_hours == pytest.approx(2 * used.executor_hours)  # local[2]
    assert used.task_hours > 0
    until(lambda: executor_hours(session).executor_hours > used.executor_hours, what="time")
