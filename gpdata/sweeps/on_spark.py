"""Attempts as tasks of Spark: as many at once as the executors have room for."""

from __future__ import annotations

import pickle

from gpdata.sweeps.attempt import attempt
from gpdata.sweeps.target import LakeTarget
from gpdata.sweeps.task import Task, Told


def attempt_packed(packed: bytes) -> bytes:
    """Run one attempt in an executor's Python.

    Spark repeats a task whose executor is lost: where the first try had committed the run, the second one finds it.

    Parameters
    ----------
    packed : bytes
        A pickled `Task`.

    Returns
    -------
    bytes
        A pickled `Told`.
    """
    task: Task = pickle.loads(packed)
    if task.where.outbox is None and LakeTarget(task.where).has([task.run_uuid]):
        return pickle.dumps(Told(None, task.run_uuid))
    return pickle.dumps(attempt(task))
