"""Work as tasks of Spark: bytes in, bytes out, on classic and on Connect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from gpdata.errors import GpdataError
from gpdata.sessions.stream_batch import is_sparks, said

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ANSWER = "number long, answer binary"


def each(session: SparkSession, do: Callable[[bytes], bytes], items: Sequence[bytes]) -> list[bytes]:
    """Do something with each item, in a task of its own on Spark's executors.

    Parameters
    ----------
    session : SparkSession
        The session, classic or Connect.
    do : callable
        Takes an item and gives the answer; an error of it ends the job. Spark may call it twice for one item, where
        an executor is lost or slow.
    items : sequence of bytes
        The items.

    Returns
    -------
    list of bytes
        The answers, in the order of the items.

    Raises
    ------
    GpdataError
        Spark did not finish.
    """
    if not items:
        return []
    try:
        frame = session.range(0, len(items), 1, len(items)).mapInArrow(partial(_work, do, list(items)), _ANSWER)
        table = frame.toArrow()
    except Exception as error:
        if not is_sparks(error):
            raise
        raise GpdataError(f"Spark did not finish {len(items)} tasks: {said(error)}; run the same again") from error
    answers = dict(zip(table.column("number").to_pylist(), table.column("answer").to_pylist(), strict=True))
    return [answers[number] for number in range(len(items))]


def _work(
    do: Callable[[bytes], bytes], items: list[bytes], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column("id").to_pylist():
            answer = pa.array([do(items[number])], pa.binary())
            yield pa.record_batch({"number": pa.array([number], pa.int64()), "answer": answer})
