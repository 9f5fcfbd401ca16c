"""The progress of Spark's jobs under the cell, or in the terminal, on classic and Connect.

A line that appears when a job takes longer than a moment, and is gone when it is done. Connect tells of progress by
itself; a classic session is asked by a thread. A hub's JupyterLab has sparkmonitor for classic sessions: there this
stays silent.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TextIO

from gpdata.config import compared
from gpdata.sessions.hours import is_connect

DELAY = 1.5
"""Seconds that a job may take before anything is shown."""
EVERY = 0.5
"""Seconds between two looks at a classic session."""
_CELLS = 24


@dataclass(frozen=True, slots=True)
class Tasks:
    """How far the stages are that run now.

    Parameters
    ----------
    stages, total, done, running : int
        Stages, their tasks, of these those that are done, and those that run at the moment.
    """

    stages: int
    total: int
    done: int
    running: int


class Bar:
    """One line of text that is written over itself.

    Parameters
    ----------
    out : text stream
        Where to write.
    delay : float
        Seconds that work may take before anything is shown.
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> import io
    >>> out = io.StringIO()
    >>> bar = Bar(out, delay=0)
    >>> bar.show(Tasks(stages=1, total=4, done=2, running=2))
    >>> out.getvalue().strip()
    'Spark [############            ] 2 of 4 tasks, 2 running, 0 s'
    >>> bar.clear()
    """

    def __init__(self, out: TextIO, *, delay: float = DELAY, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._delay, self._clock = out, delay, clock
        self._since: float | None = None
        self._shown = 0

    def show(self, tasks: Tasks | None) -> None:
        """Show how far the work is; None, or no task: nothing runs."""
        if tasks is None or not tasks.total:
            self.clear()
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        seconds = now - self._since
        if seconds < self._delay:
            return
        filled = _CELLS * tasks.done // tasks.total
        bar = "#" * filled + " " * (_CELLS - filled)
        stages = f" in {tasks.stages} stages" if tasks.stages > 1 else ""
        text = f"Spark [{bar}] {tasks.done} of {tasks.total} tasks{stages}, {tasks.running} running, {seconds:.0f} s"
        self._out.write(f"\r{text.ljust(self._shown)}")
        self._out.flush()
        self._shown = len(text)

    def clear(self) -> None:
        """Take the line away, and begin anew with what comes next."""
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._out.flush()
        self._since, self._shown = None, 0


class Watcher:
    """A thread that asks a classic session how far its jobs are.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        A classic one.
    bar : Bar
        What shows it.
    every : float
        Seconds between two looks.
    """

    def __init__(self, session: Any, bar: Bar, *, every: float = EVERY) -> None:
        self._context = session.sparkContext  # classic only: Connect tells by itself
        self._bar, self._every = bar, every
        self._ended = threading.Event()
        # What is printed belongs to the cell in which the thread began.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._watch,), name="gpdata-spark-progress", daemon=True)

    def start(self) -> Watcher:
        """Begin to look."""
        self._thread.start()
        return self

    def end(self) -> None:
        """Stop looking, and take the line away."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        from py4j.protocol import Py4JError

        while not self._ended.wait(self._every):
            if self._context._jsc is None:  # stopped
                break
            try:
                tasks = active_tasks(self._context)
            except (Py4JError, OSError, AttributeError):
                break  # the session stops just now, or its driver is gone: nothing is left to show
            self._bar.show(tasks)
        self._bar.clear()


def active_tasks(context: Any) -> Tasks | None:
    """Return how far the running stages of a classic session are; None where none runs."""
    tracker = context.statusTracker()
    found = [info for info in map(tracker.getStageInfo, tracker.getActiveStageIds()) if info is not None]
    if not found:
        return None
    return Tasks(
        stages=len(found),
        total=sum(info.numTasks for info in found),
        done=sum(info.numCompletedTasks for info in found),
        running=sum(info.numActiveTasks for info in found),
    )


def handler(bar: Bar) -> Callable[..., None]:
    """Return what Connect calls with the progress of each query, for `registerProgressHandler`."""

    def told(
        stages: Iterable[Any] | None = None,
        inflight_tasks: int = 0,
        operation_id: str | None = None,
        done: bool = False,
        **_: Any,
    ) -> None:
        rows = list(stages or ())
        total, finished = (sum(getattr(row, name) for row in rows) for name in ("num_tasks", "num_completed_tasks"))
        bar.show(None if done else Tasks(len(rows), total, finished, inflight_tasks))

    return told


def show_progress(session: Any, *, out: TextIO | None = None, delay: float = DELAY) -> bool:
    """Show the progress of a session's jobs from now on, where somebody looks: in a notebook or a terminal.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Classic or Connect.
    out : text stream, optional
        Where to write, whoever looks; standard error by default.
    delay : float
        Seconds that a job may take before anything is shown.

    Returns
    -------
    bool
        False where nothing is shown: nobody looks (a script whose output goes to a file), sparkmonitor shows it, or
        it is shown already.
    """
    shell = _shell()
    kernel = shell is not None and hasattr(shell, "kernel")
    if out is None and (compared() or not (kernel or sys.stderr.isatty())):
        return False
    if getattr(session, "_gpdata_progress", None) is not None:
        return False
    connect = is_connect(session)
    if not connect and out is None and kernel and "sparkmonitor.kernelextension" in sys.modules:
        return False
    bar = Bar(out or sys.stderr, delay=delay)
    if connect:
        session._gpdata_progress = handler(bar)
        session.registerProgressHandler(session._gpdata_progress)
    elif kernel and out is None:
        session._gpdata_progress = _EachCell(shell, session, delay)
    else:
        session._gpdata_progress = Watcher(session, bar).start()
    return True


def end_progress(session: Any) -> None:
    """Show no progress of a session any more; call it before the session is stopped."""
    shown = getattr(session, "_gpdata_progress", None)
    if shown is None:
        return
    session._gpdata_progress = None
    if is_connect(session):
        session.removeProgressHandler(shown)
    else:
        shown.end()


class _EachCell:
    """A watcher for each cell of a notebook: what a thread prints goes to the cell in which it began."""

    def __init__(self, shell: Any, session: Any, delay: float) -> None:
        self._shell, self._session, self._delay = shell, session, delay
        self._watcher: Watcher | None = None
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._finish)
        self._begin()  # for the cell that started the session

    def _begin(self, *_: Any) -> None:
        self._finish()
        if self._session.sparkContext._jsc is None:  # stopped
            self.end()
        else:
            self._watcher = Watcher(self._session, Bar(sys.stderr, delay=self._delay)).start()

    def _finish(self, *_: Any) -> None:
        if self._watcher is not None:
            self._watcher.end()
            self._watcher = None

    def end(self) -> None:
        """Leave the cells alone."""
        self._finish()
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._finish)


def _shell() -> Any:
    """Return IPython's shell where this is one."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
