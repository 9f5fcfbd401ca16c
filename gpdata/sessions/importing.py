"""`gpdata import` on Spark: executors read files and write the lake's spool, the driver commits.

A task does one file. Spark may do it twice, or lose it half done: its lines are in the lake once all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from gpdata.errors import GpdataError, InvalidInput
from gpdata.importers.work import STANDARD_INPUT, Broke, Order, Told, Unit, load
from gpdata.lake import Lake
from gpdata.sessions.tasks import each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TASKS = 64
"""Files of a job: what they gave is committed, and written down as done, before the next job begins."""
_SHARED = (
    "files and lake must be on storage that the driver and every executor see under the same path, and the executors "
    "need the driver's gpdata"
)
_told = msgspec.json.Decoder(list[Told])
_unit = msgspec.json.Decoder(Unit)


class SparkLoader:
    """Has the executors of a Spark session load files, as `gpdata.importers.import_archives` takes a loader.

    Files and lake must be on storage that the driver and every executor see under the same path.

    Parameters
    ----------
    session : SparkSession
        The session, classic or Connect.
    tasks : int, optional
        Files of one job; between two, what they gave is committed.
    """

    def __init__(self, session: SparkSession, tasks: int = _TASKS) -> None:
        self._session = session
        self._tasks = tasks

    def __call__(self, units: list[tuple[int, Unit]], order: Order) -> Iterator[tuple[int, Told]]:
        """Load units; yield each one's number with what is told of it."""
        if any(unit.path == STANDARD_INPUT for _, unit in units):
            raise InvalidInput("standard input was named with Spark, whose executors do not have it; name a file")
        waiting = iter(units)
        do = partial(load_encoded, order=msgspec.json.encode(order))
        while job := list(islice(waiting, self._tasks)):
            answers = each(self._session, do, [msgspec.json.encode(unit) for _, unit in job])
            for (number, _), answer in zip(job, answers, strict=True):
                for told in _told.decode(answer):
                    yield number, told


def load_encoded(unit: bytes, *, order: bytes) -> bytes:
    """Load a unit on an executor.

    Parameters
    ----------
    unit, order : bytes
        A `Unit` and an `Order`, as JSON.

    Returns
    -------
    bytes
        What is told, as JSON; where the executor cannot work at all, why.
    """
    common = msgspec.json.decode(order, type=Order)
    found = _unit.decode(unit)
    try:
        told = list(load(found, common, Lake.open(common.lake), common.reading()))
    except (OSError, GpdataError) as error:
        told = [Broke(f"an executor could not read {found.path}: {error}; {_SHARED}")]
    return msgspec.json.encode(told)
