"""How long executors were held for a session: what a cluster is charged for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hours:
    """What a session has used until now.

    Parameters
    ----------
    executors : int
        How many executors it had, those that ended included; the driver where there are no others.
    executor_hours : float
        Hours that these were there, added up.
    core_hours : float
        The same, each hour times the executor's cores.
    task_hours : float
        Hours that their cores worked on tasks, added up: a small part of `core_hours` means that they waited.
    """

    executors: int
    executor_hours: float
    core_hours: float
    task_hours: float


def executor_hours(session: Any = None) -> Hours | None:
    """Return the executor-hours that a Spark session has used until now.

    They come from Spark's own records on the driver, which need no web page; it keeps those of the last 100
    executors that ended (spark.ui.retainedDeadExecutors).

    Parameters
    ----------
    session : pyspark.sql.SparkSession, optional
        The active one where it is left out.

    Returns
    -------
    Hours or None
        None where there is no session, and on Spark Connect: its protocol tells nothing of executors. There, the web
        page of the server has them.

    Raises
    ------
    Py4JError
        The session is classic, and its JVM has ended.

    Examples
    --------
    >>> hours = executor_hours()
    >>> hours is None or hours.executors >= 1
    True
    """
    import sys

    if session is None and "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
    if session is None or is_connect(session):
        return None
    # Classic only: Connect has no context.
    listed = session.sparkContext._jsc.sc().statusStore().executorList(False)
    found = [listed.apply(place) for place in range(listed.size())]
    apart = [executor for executor in found if executor.id() != "driver"]
    # In local mode the driver works too; on a cluster it only waits.
    counted = apart or found
    now = time.time() * 1000
    held = [_held(executor, now) / 3_600_000 for executor in counted]
    return Hours(
        executors=len(counted),
        executor_hours=sum(held),
        core_hours=sum(hours * executor.totalCores() for hours, executor in zip(held, counted, strict=True)),
        task_hours=sum(executor.totalDuration() for executor in counted) / 3_600_000,
    )


def is_connect(thing: Any) -> bool:
    """Say whether a session or a frame is one of Spark Connect.

    Examples
    --------
    >>> is_connect("no session at all")
    False
    """
    return type(thing).__module__.startswith("pyspark.sql.connect")


def _held(executor: Any, now: float) -> float:
    """Return for how many milliseconds an executor was, or is, there."""
    removed = executor.removeTime()
    until = removed.get().getTime() if removed.isDefined() else now
    return float(max(until - executor.addTime().getTime(), 0))
