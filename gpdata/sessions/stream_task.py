"""What Spark's executors do of a batch: read lines, write a data file of individuals, tell the driver.

The driver decides which lines are new, so an executor writes every line that it can read, but those that repeat a
key of its own; where the driver then wants fewer, it asks again and names them. A data file has a name that
nobody else uses: one that an executor wrote for nothing, or half, is never named in the lake, and goes with the next
cleaning.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import msgspec
import pyarrow as pa

from gpdata.lake.batch import Account, Line, chunks, decode_chunk, lines_of, open_writer
from gpdata.lake.delta import DataFile
from gpdata.lake.encoding import encode_individuals
from gpdata.lake.lake import Lake
from gpdata.lake.parquet import TableWriter
from gpdata.schema import INDIVIDUALS
from gpdata.spool.room import FULL
from gpdata.wire import Decoded, Rejection

ANSWER = "task int, part int, told binary"
"""The schema of what executors answer, as Spark writes it."""

Position = tuple[int, int]
"""A line: the place of its file in the batch, and its own in the file, both from 0."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Lines of a spool file that follow each other."""

    file: int
    """The file's place in the batch."""
    id: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What one executor's task does.

    Parameters
    ----------
    spans : sequence of Span
        What it reads, in the order of the batch.
    heavy : mapping of str to collection of int
        Lines that are set aside unread, by file.
    keep : collection of Position or None
        The lines whose individuals are written; None: all that can be read, and are the first of their key.
    """

    spans: Sequence[Span]
    heavy: Mapping[str, Collection[int]]
    keep: frozenset[Position] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What all tasks of a batch have in common.

    Parameters
    ----------
    lake, spool : str
        Where they are, the spool as the batch's manifest says; the same on the driver and on every executor.
    batch : int
        The batch's number.
    write : bool
        Whether individuals are written; not so where they were committed before a crash.
    """

    lake: str
    spool: str
    batch: int
    write: bool


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What became of a line; its rows are in the chunk's frames, in the order of the lines."""

    position: Position
    individuals: int | None = None
    """How many it has; None where the line is refused."""
    key: tuple[str | None, int | None] = (None, None)
    line_sha256: str = ""
    config_sha256: str = ""
    run: int | None = None
    """The row of its run among the chunk's runs."""
    code: str = ""
    detail: str = ""
    written: bool = False


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag="chunk"):
    """Some lines, and what the driver stores of them: rows of generations and of runs, as Arrow's IPC streams."""

    lines: list[Told]
    generations: bytes
    runs: bytes


class Written(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """The end of a task that went well: its data file, if there was anything to write."""

    file: dict[str, str | int | None] | None

    def data_file(self) -> DataFile | None:
        """Return the data file as the lake's log names it."""
        return None if self.file is None else DataFile(**self.file)  # type: ignore[arg-type]


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """A task that could not go on, for a reason that trying again on another executor would not change."""

    kind: Literal["memory", "system", "other"]
    host: str
    what: str
    errno: int | None = None


Answer = Chunk | Written | Failed
_DECODER = msgspec.msgpack.Decoder(Answer)


def work(batches: Iterable[pa.RecordBatch], common: Work, tasks: Sequence[Task]) -> Iterator[pa.RecordBatch]:
    """Do tasks, given by their numbers, as Spark's `mapInArrow` calls it.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        The numbers, as the column `id`.
    common : Work
        What all tasks have in common.
    tasks : sequence of Task
        All tasks of the batch.

    Yields
    ------
    pyarrow.RecordBatch
        Rows of `ANSWER`: the task's number, a count, and an `Answer` as MessagePack; of each task the last is
        a `Written` or a `Failed`.
    """
    for batch in batches:
        for number in batch.column("id").to_pylist():
            for part, answer in enumerate(_answers(common, tasks[number])):
                yield pa.record_batch(
                    {
                        "task": pa.array([number], pa.int32()),
                        "part": pa.array([part], pa.int32()),
                        "told": pa.array([msgspec.msgpack.encode(answer)], pa.binary()),
                    }
                )


def answer_of(told: bytes) -> Answer:
    """Read an answer."""
    answer: Answer = _DECODER.decode(told)
    return answer


def _answers(common: Work, task: Task) -> Iterator[Answer]:
    try:
        yield from _made(common, task)
    except MemoryError:
        yield Failed("memory", socket.gethostname(), "not enough memory")
    except OSError as error:
        yield Failed("system" if error.errno in FULL else "other", socket.gethostname(), str(error), error.errno)
    except Exception as error:
        yield Failed("other", socket.gethostname(), f"{type(error).__name__}: {error}")


def _made(common: Work, task: Task) -> Iterator[Answer]:
    lake = Lake.open(common.lake)
    seen: set[tuple[str, int]] = set()
    writer: TableWriter | None = None
    with ExitStack() as stack:
        for chunk in chunks(_lines(lake, common, task)):
            found = list(decode_chunk(chunk))
            lines = list(_tell(chunk, found, task.keep, seen))
            kept = [
                each.individuals
                for each, told in zip(found, lines, strict=True)
                if told.written and isinstance(each, Decoded) and each.individuals.num_rows
            ]
            if kept and common.write:
                if writer is None:
                    # Named for this attempt alone: a task may run twice, and the first may still be writing.
                    name = f"batch-{common.batch:012d}-{secrets.token_hex(8)}.parquet"
                    writer = stack.enter_context(open_writer(lake, INDIVIDUALS.name, name))
                writer.add([encode_individuals(pa.concat_batches(kept), common.batch)])
            if task.keep is None:
                yield _chunk(lines, found)
        yield Written(None if writer is None else msgspec.to_builtins(writer.close()))


@dataclass(frozen=True, slots=True)
class _Placed(Line):
    file: int = 0


def _lines(lake: Lake, common: Work, task: Task) -> Iterator[_Placed]:
    spool = lake.spool_at(common.spool)
    for span in task.spans:
        file = spool.file(span.id)
        if file is None:
            raise FileNotFoundError(f"the spool file {span.id} is not in {spool.path}")
        for line in lines_of(spool, file, task.heavy.get(span.id, ()), Account(), span.start, span.stop):
            yield _Placed(line.raw, line.refusal, line.meta, line.position, line.account, span.file)


def _tell(
    lines: Iterable[Line],
    found: Iterable[Decoded | Rejection],
    keep: frozenset[Position] | None,
    seen: set[tuple[str, int]],
) -> Iterator[Told]:
    rows: dict[str, int] = {}
    for line, each in zip(lines, found, strict=True):
        assert isinstance(line, _Placed)
        place = (line.file, line.position)
        if isinstance(each, Rejection):
            yield Told(place, key=(each.run_uuid, each.generation), code=each.code, detail=each.detail)
            continue
        key = (each.run_uuid, each.generation)
        written = key not in seen if keep is None else place in keep
        seen.add(key)
        row = rows.setdefault(each.run_uuid, len(rows))  # the first line of a new run gives its row
        n = each.individuals.num_rows
        yield Told(place, n, key, each.line_sha256, each.config_sha256, row, written=written)


def _chunk(lines: list[Told], found: list[Decoded | Rejection]) -> Chunk:
    rows: dict[int, pa.RecordBatch] = {}
    generations = []
    for told, each in zip(lines, found, strict=True):
        if isinstance(each, Decoded) and told.run is not None:
            rows.setdefault(told.run, each.run)
            generations.append(each.generation_row)
    return Chunk(lines, _stream(generations), _stream(list(rows.values())))


def _stream(batches: list[pa.RecordBatch]) -> bytes:
    if not batches:
        return b""
    rows = pa.concat_batches(batches)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    return bytes(sink.getvalue())


def rows_of(stream: bytes) -> pa.RecordBatch | None:
    """Read the rows of a chunk; None where there are none."""
    if not stream:
        return None
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_next_batch()
