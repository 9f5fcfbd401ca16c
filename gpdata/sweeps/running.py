"""The loop of a sweep: attempts until each cell's run is there, or has failed as often as it may."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Final

from gpdata.sweeps.folder import Folder, Tried
from gpdata.sweeps.local import Processes
from gpdata.sweeps.shown import Progress
from gpdata.sweeps.target import Target
from gpdata.sweeps.task import Task, Told

SETTLE_EVERY: Final = 5.0
"""Seconds after which what is recorded is moved on, so that readers see it."""
_LOOK_EVERY: Final = 1.0

DONE, FAILED, QUARANTINED = "done", "failed", "quarantined"


@dataclass
class Row:
    """A cell, as a sweep has it before it: what to do, and what became of it."""

    task: Task
    run_uuid: str
    attempts: int
    outcome: str | None = None
    error: str | None = None
    failures: int = 0
    """Of this sweep; those of earlier ones do not count."""
    file: str | None = None


class Running:
    """Runs what is left of a sweep.

    Parameters
    ----------
    rows : list of Row
        All cells.
    folder : Folder
        The sweep's folder.
    target : Target
        Where runs go.
    retries : int
        How often a cell may fail and be tried again.
    show : callable
        Told of each step.
    """

    def __init__(
        self, rows: list[Row], folder: Folder, target: Target, retries: int, show: Callable[[Progress], object]
    ) -> None:
        self.rows = rows
        self._folder, self._target, self._retries, self._show = folder, target, retries, show
        self._before = sum(row.outcome == DONE for row in rows)
        self._retried = 0
        self._started = self._settled = time.monotonic()

    def locally(self, processes: Processes, workers: int) -> None:
        """Run each attempt in a process of this machine."""
        waiting = [row for row in self.rows if row.outcome is None]
        running: dict[Future[Told], Row] = {}
        with ThreadPoolExecutor(workers, thread_name_prefix="gpdata-sweep") as threads:
            try:
                while waiting or running:
                    while waiting and len(running) < workers:
                        row = waiting.pop(0)
                        task = self._begin(row)
                        running[threads.submit(processes.run, task, self._log(task))] = row
                    self._tell()
                    ended, _ = wait(running, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
                    for future in ended:
                        row = running.pop(future)
                        self._end(row, future.result())
                        if row.outcome is None:
                            waiting.append(row)
                    self._settle()
            except BaseException:
                processes.stop()
                raise
        self._tell()

    def on_spark(self, session: Any) -> None:
        """Run attempts as tasks of Spark, in rounds: one of all that are left, then those that failed."""
        from gpdata.sessions.tasks import each
        from gpdata.sweeps.on_spark import attempt_packed

        with ThreadPoolExecutor(1, thread_name_prefix="gpdata-sweep") as threads:
            while left := [row for row in self.rows if row.outcome is None]:
                tasks = [pickle.dumps(self._begin(row)) for row in left]
                job = threads.submit(each, session, attempt_packed, tasks)
                try:
                    while not job.done():
                        wait([job], timeout=SETTLE_EVERY)
                        self._settle()
                        self._look(left)
                except BaseException:
                    session.interruptAll()
                    raise
                for row, told in zip(left, job.result(), strict=True):
                    row.outcome = None
                    self._end(row, pickle.loads(told))
                self._tell()

    def account(self) -> None:
        """Say of which runs lines were not taken; everything has been moved on."""
        for row in self.rows:
            account = None if row.file is None else self._target.account(row.file)
            if account is not None and account.quarantined:
                row.outcome = QUARANTINED
                row.error = (
                    f"{account.quarantined} of {account.lines} generations were not taken: another run of that uuid is "
                    f"there, or they cannot be read; 'gpdata quarantine list' says why"
                )

    def _begin(self, row: Row) -> Task:
        row.attempts += 1
        self._note(row)
        return replace(row.task, number=row.attempts)

    def _end(self, row: Row, told: Told) -> None:
        if told.error is not None and self._is_there(row):
            told = Told(None, row.run_uuid)  # it committed, and died before it could say so
        if told.error is None:
            row.outcome, row.error = DONE, None
            row.run_uuid, row.file = told.run_uuid or row.run_uuid, told.file
        else:
            row.error = told.error
            row.failures += 1
            if row.failures > self._retries:
                row.outcome = FAILED
            else:
                self._retried += 1
        self._note(row)

    def _is_there(self, row: Row) -> bool:
        candidates = candidates_of(row.task, self._folder)
        found = self._target.has(candidates)
        row.run_uuid = next((run for run in candidates if run in found), row.run_uuid)
        return bool(found)

    def _look(self, rows: Iterable[Row]) -> None:
        """See which runs of a job that goes on are there already."""
        there = self._target.has([row.task.run_uuid for row in rows if row.outcome is None])
        for row in rows:
            if row.task.run_uuid in there:
                row.outcome = DONE
        self._tell()

    def _settle(self) -> None:
        if time.monotonic() - self._settled >= SETTLE_EVERY:
            self._target.settle()
            self._settled = time.monotonic()

    def _note(self, row: Row) -> None:
        cell = row.task.cell
        self._folder.note(cell.key, Tried(cell.params, cell.repeat, row.task.seed, row.attempts, row.error))

    def _log(self, task: Task) -> Any:
        return self._folder.log(task.cell.key, task.number)

    def _tell(self) -> None:
        done = sum(row.outcome == DONE for row in self.rows)
        failed = sum(row.outcome == FAILED for row in self.rows)
        now = done - self._before + failed
        left = len(self.rows) - done - failed
        seconds = (time.monotonic() - self._started) / now * left if now else None
        self._show(Progress(len(self.rows), self._before, done, failed, self._retried, seconds))


def candidates_of(task: Task, folder: Folder) -> list[str]:
    """Return the uuids of which one is that of the cell's run: its own, and that of a command that chose another."""
    intended = None if isinstance(task.run, bytes) else folder.intended(task.cell.key)
    return [task.run_uuid] if intended is None else [task.run_uuid, intended]
