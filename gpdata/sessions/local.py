"""`gpdata.local`: a result that Spark computed as Parquet files beside you, opened in DuckDB."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpdata.config import user_cache
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput
from gpdata.sessions.hours import is_connect
from gpdata.sessions.local_batches import arrow_schema, batches

if TYPE_CHECKING:
    import duckdb

_TIMES = "spark.sql.parquet.outputTimestampType"
GROUP_BYTES = 64 * 2**20
"""What is collected before a row group is written: so much memory is needed, whatever the frame's size."""


def local(frame: Any, to: str | Path | None = None) -> duckdb.DuckDBPyRelation:
    """Write the rows of a frame as Parquet beside you, and open them in DuckDB.

    For what Spark has made smaller and one machine can hold on its disk, though not in memory: from here on every
    question is answered by DuckDB, and Spark's executors can go.

    Parameters
    ----------
    frame : native frame
        A Spark frame, classic or Connect, whatever the executors' disks are; a frame of another engine is written as
        well.
    to : str or Path, optional
        The directory to make: it stays, and `duckdb.read_parquet("that/*.parquet")` opens it again. Left out: one in
        your cache directory, which goes when this process ends.

    Returns
    -------
    duckdb.DuckDBPyRelation
        The rows, in the frame's order, on a connection of their own (time zone UTC). Analyses take it as they took
        the frame.

    Raises
    ------
    InvalidInput
        It is no frame; or `to` exists already, or cannot be written: no file of it is left then.

    Examples
    --------
    >>> import pyarrow as pa
    >>> local(pa.table({"run_uuid": ["a", "b"], "generation": [4, 7]})).max("generation").fetchall()
    [(7,)]
    """
    folder = _folder(to)
    part = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        _write(frame, part)
        part.rename(folder)
    except OSError as error:
        raise InvalidInput(
            f"the rows cannot be written to {folder}: {error.strerror or error}; give a directory that is not there "
            "yet, on a disk with room for them, as to="
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # renamed where all went well
    return _open(folder)


def _folder(to: str | Path | None) -> Path:
    if to is None:
        cache = user_cache() / "local"
        try:
            cache.mkdir(parents=True, exist_ok=True)
            own = Path(tempfile.mkdtemp(dir=cache))
        except OSError:  # a home that cannot be written
            own = Path(tempfile.mkdtemp(prefix="gpdata-local-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return own / "rows"
    folder = Path(to).absolute()
    if folder.exists():
        raise InvalidInput(
            f"to={str(to)!r} exists already; name a directory that does not, or remove it: nothing is overwritten"
        )
    return folder


def _write(frame: Any, folder: Path) -> None:
    if not type(frame).__module__.startswith("pyspark.sql"):
        _write_batches(_of_another_engine(frame), folder)
    elif _writes_here(frame):
        # The executors are threads of this machine: all of them write at once.
        with _exact_times(frame.sparkSession):
            frame.write.mode("append").option("compression", "zstd").parquet(folder.absolute().as_uri())
        for file in folder.iterdir():
            if not file.name.endswith(".parquet") or file.name.startswith("."):
                file.unlink()
    else:
        _write_batches(pa.RecordBatchReader.from_batches(arrow_schema(frame), batches(frame)), folder)


@contextmanager
def _exact_times(session: Any) -> Iterator[None]:
    """Let times be written as moments in UTC: Spark's default is an old type, which other readers take for local."""
    before = session.conf.get(_TIMES, None)
    session.conf.set(_TIMES, "TIMESTAMP_MICROS")
    try:
        yield
    finally:
        session.conf.unset(_TIMES) if before is None else session.conf.set(_TIMES, before)


def _writes_here(frame: Any) -> bool:
    """Whether what Spark writes to a directory of this machine is there for us: its disks are ours, and it is us."""
    if is_connect(frame):
        return False
    return str(frame.sparkSession.conf.get("spark.master", "")).startswith("local")


def _of_another_engine(frame: Any) -> pa.RecordBatchReader:
    if type(frame).__module__.startswith(("duckdb", "_duckdb")):
        reader: pa.RecordBatchReader = frame.to_arrow_reader(10_000)
        return reader
    table = to_arrow(frame)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())


def _write_batches(reader: pa.RecordBatchReader, folder: Path) -> None:
    """Write one file, a row group whenever enough rows have come."""
    with pq.ParquetWriter(folder / "part-00000.parquet", reader.schema, compression="zstd") as writer:
        held: list[pa.RecordBatch] = []
        for batch in reader:
            held.append(batch)
            if sum(one.nbytes for one in held) >= GROUP_BYTES:
                _write_group(writer, held)
                held = []
        if held:
            _write_group(writer, held)


def _write_group(writer: pq.ParquetWriter, held: Iterable[pa.RecordBatch]) -> None:
    table = pa.Table.from_batches(held)
    writer.write_table(table, row_group_size=max(table.num_rows, 1))


def _open(folder: Path) -> duckdb.DuckDBPyRelation:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection.read_parquet([str(file) for file in sorted(folder.glob("*.parquet"))])
