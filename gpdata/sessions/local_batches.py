"""The rows of a Spark frame in batches, one after the other: never more than one partition is here at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from gpdata.sessions.hours import is_connect


def batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Spark frame as Arrow batches, in the frame's order.

    On Connect the server sends batches as they are computed. On classic each partition is computed when it is its
    turn (the next one meanwhile), and packed by Python on the executors, which needs pyarrow there.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Classic or Connect.

    Yields
    ------
    pyarrow.RecordBatch
        Of `arrow_schema`; none where there is no row.
    """
    if is_connect(frame):
        client = frame.sparkSession.client
        schema = arrow_schema(frame)
        # The same request as toArrow() makes, which keeps all answers.
        for answer in client.to_table_as_iterator(frame._plan.to_proto(client), frame._plan.observations):
            if isinstance(answer, pa.Table):
                yield from answer.cast(schema).to_batches()
        return
    schema = arrow_schema(frame)
    for row in frame.mapInArrow(_packer(), "rows binary").toLocalIterator(prefetchPartitions=True):
        for batch in pa.ipc.open_stream(row.rows):
            yield batch if batch.schema == schema else pa.Table.from_batches([batch]).cast(schema).to_batches()[0]


def arrow_schema(frame: Any) -> pa.Schema:
    """Return the Arrow schema of a Spark frame's rows, as its `toArrow` has it."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema, error_on_duplicated_field_names_in_struct=True, timezone="UTC")


def _packer() -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Sent to the executors as it stands here, so that they need no gpdata.
        import pyarrow

        for batch in batches:
            if not batch.num_rows:
                continue
            sink = pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pyarrow.record_batch([pyarrow.array([sink.getvalue().to_pybytes()], pyarrow.binary())], ["rows"])

    return pack
