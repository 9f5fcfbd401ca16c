"""One batch made by Spark's executors: they decode and write, the driver judges, commits and quarantines.

See docs/decisions/0011-the-lake-decides-not-the-checkpoint.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa

from gpdata.errors import GpdataError, LakeDamaged
from gpdata.lake.batch import Account, Batch, Line
from gpdata.lake.delta import DataFile
from gpdata.lake.index import Index
from gpdata.lake.lake import Lake
from gpdata.lake.transform import BATCH_BYTES, Manifest, Transformer
from gpdata.schema import INDIVIDUALS
from gpdata.sessions.stream_task import (
    ANSWER,
    Answer,
    Chunk,
    Failed,
    Position,
    Span,
    Task,
    Told,
    Work,
    Written,
    answer_of,
    rows_of,
    work,
)
from gpdata.spool import Damage, Meta, Spool, SpoolFile
from gpdata.wire import Decoded, Rejection

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TASK_BYTES = 8 << 20
"""Raw bytes below which a task is not worth its start, nor its data file its place."""
SHARED = (
    "lake and spool must be on storage that the driver and every executor see under the same path and may write, and "
    "the executors need the driver's gpdata"
)

Ask = Callable[[Work, Sequence[Task]], dict[int, list[Answer]]]
"""Has the executors do tasks; returns their answers by the tasks' numbers."""


class SparkTransformer(Transformer):
    """Turns a spool's files into batches of a lake, with the executors of a Spark session.

    Locks, manifests, tries, commits, quarantine and collection are those of `Transformer`; what one began, the
    other finishes. Lake and spool must be on storage that driver and executors see under the same path.

    Parameters
    ----------
    lake : Lake
        The lake.
    session : pyspark.sql.SparkSession
        Classic or Connect; it is borrowed, and never stopped here.
    spool : Spool, optional
        The spool; the lake's own by default.
    tasks : int, optional
        How many tasks a batch has at most; as many as the session has cores by default.
    batch_bytes : int, optional
        Raw JSON of one task; a batch is closed after as much for each of them.
    least_bytes : int, optional
        Raw JSON below which a task is not worth its start.
    grace, memory
        As for `Transformer`.
    """

    def __init__(
        self,
        lake: Lake,
        session: SparkSession,
        spool: Spool | None = None,
        *,
        tasks: int | None = None,
        batch_bytes: int = BATCH_BYTES,
        least_bytes: int = TASK_BYTES,
        grace: float = 0.0,
        memory: int | None = None,
    ) -> None:
        self.tasks = tasks or parallelism(session)
        self.least_bytes = least_bytes
        super().__init__(lake, spool, batch_bytes=self.tasks * batch_bytes, grace=grace, memory=memory)
        self._session = session

    def _batch(self, spool: Spool, manifest: Manifest, index: Index) -> Batch:
        if manifest.heavy is not None:
            # Looked into after it killed who made it, twice: from here on as a single machine does it.
            return Batch(self.lake, spool, manifest.batch, index)
        ask = partial(_ask, self._session)
        return SparkBatch(self.lake, spool, manifest, index, ask, self.tasks, self.least_bytes)


def parallelism(session: SparkSession) -> int:
    """Return how many tasks a session runs at once, on classic and Connect alike.

    Raises
    ------
    GpdataError
        The session runs no task: its cluster gives it no executors, for instance.
    """
    from pyspark.sql import functions

    partition = functions.spark_partition_id().alias("partition")
    try:
        partitions = int(session.range(1 << 12).select(partition).distinct().count())
    except Exception as error:
        if not is_sparks(error):
            raise
        raise GpdataError(
            f"Spark did not run a first small job: {said(error)}; nothing is lost. gpdata.doctor() with the same "
            "preset looks for the cause and says what to do"
        ) from error
    return max(1, partitions)


@dataclass(frozen=True, slots=True)
class _Told(Line):
    """A line that an executor has read; its bytes are read here only where they are needed."""

    file: int = 0


class SparkBatch(Batch):
    """A batch whose lines are decoded, and whose individuals are written, by executors.

    Parameters
    ----------
    lake, spool, index
        As for `Batch`.
    manifest : Manifest
        What the batch is made of.
    ask : callable
        Has the executors do tasks.
    tasks, least_bytes : int
        How many at most, and how much raw JSON each has at least.
    """

    def __init__(
        self, lake: Lake, spool: Spool, manifest: Manifest, index: Index, ask: Ask, tasks: int, least_bytes: int
    ) -> None:
        super().__init__(lake, spool, manifest.batch, index)
        self._ask = ask
        self._tasks, self._least_bytes = tasks, least_bytes
        self._common = Work(str(lake.path), manifest.spool, manifest.batch, INDIVIDUALS.name in self._missing)
        self._files_read: list[SpoolFile] = []
        self._reading: tuple[int, Iterator[tuple[int, bytes | Damage]]] | None = None
        self._new: set[Position] = set()
        self._individuals: list[DataFile] = []

    def make(self, files: list[SpoolFile], heavy: Mapping[str, Collection[int]] | None = None) -> None:
        """Turn the files into committed rows and quarantine entries; all of it is on the disk on return."""
        self._files_read = files
        metas = [self._spool.meta(file) for file in files]
        tasks = [Task(spans, heavy or {}) for spans in plan(files, metas, self._tasks, self._least_bytes)]
        answers = self._ask(self._common, tasks)
        told: list[list[Told]] = []
        with ExitStack() as stack:
            self.accounts = {file.id: Account() for file in files}
            for number in range(len(tasks)):
                told.append([])
                for answer in answers[number]:
                    if isinstance(answer, Chunk):
                        told[-1] += answer.lines
                        lines: list[Line] = [self._line(each, metas) for each in answer.lines]
                        self._chunk(lines, _found(answer), stack)
            if self._common.write:
                self._individuals = self._written(tasks, answers, told)
            self._commit()

    def _line(self, told: Told, metas: list[Meta | None]) -> _Told:
        file, position = told.position
        meta = metas[file] or Meta("unknown")
        return _Told(b"", None, meta, position, self.accounts[self._files_read[file].id], file)

    def _judge(self, line: Decoded, sent: Line, accepted: list[Decoded], stack: ExitStack) -> Rejection | None:
        before = len(accepted)
        refusal = super()._judge(line, sent, accepted, stack)
        if len(accepted) > before:
            assert isinstance(sent, _Told)
            self._new.add((sent.file, sent.position))
        return refusal

    def _store(self, accepted: list[Decoded], stack: ExitStack) -> None:
        self._store_generations(accepted, stack)

    def _written(
        self, tasks: list[Task], answers: Mapping[int, list[Answer]], told: list[list[Told]]
    ) -> list[DataFile]:
        """Return the files of individuals that hold the new lines, and no others."""
        files: list[DataFile] = []
        again: list[Task] = []
        for number, task in enumerate(tasks):
            wanted = frozenset(each.position for each in told[number]) & self._new
            found = list(self._data_files(answers[number]))
            if wanted == {each.position for each in told[number] if each.written}:
                files += found
                continue
            # Lines that the lake has already, or that are refused, are among the others.
            for file in found:
                self._lake.disk.remove(self._lake.tables[INDIVIDUALS.name].path / file.path)
            if wanted:
                again.append(replace(task, keep=wanted))
        if again:
            for each in self._ask(self._common, again).values():
                files += self._data_files(each)
        return files

    def _data_files(self, answers: list[Answer]) -> Iterator[DataFile]:
        folder = self._lake.tables[INDIVIDUALS.name].path
        for answer in answers:
            if isinstance(answer, Written) and (file := answer.data_file()) is not None:
                path = folder / file.path
                if not path.exists() or path.stat().st_size != file.size:
                    raise GpdataError(
                        f"an executor wrote {file.path} ({file.size:,} bytes) for {folder}, where this process does "
                        f"not find it so; {SHARED}. Nothing was committed, and nothing is lost"
                    )
                yield file

    def _files(self) -> dict[str, list[DataFile]]:
        files = super()._files()
        return files | ({INDIVIDUALS.name: self._individuals} if self._individuals else {})

    def _quarantine(self, rejection: Rejection, line: Line) -> None:
        assert isinstance(line, _Told)
        super()._quarantine(rejection, replace(line, raw=self._raw(line)))

    def _raw(self, line: _Told) -> bytes:
        """Read a refused line from its file; such lines come in order, so that a file is read once."""
        if self._reading is None or self._reading[0] != line.file:
            parts = enumerate(self._spool.read(self._files_read[line.file], line.position))
            self._reading = (line.file, parts)
        for position, part in self._reading[1]:
            if position == line.position:
                return part.raw if isinstance(part, Damage) else part
        raise LakeDamaged(
            f"an executor read line {line.position + 1} of the spool file {self._files_read[line.file].path}, which "
            "has fewer here; the storage does not show every machine the same file: nothing was committed"
        )


def plan(
    files: Sequence[SpoolFile], metas: Sequence[Meta | None], tasks: int, least_bytes: int = TASK_BYTES
) -> list[list[Span]]:
    """Share the lines of a batch among tasks: stretches of about equal size, in order.

    Parameters
    ----------
    files : sequence of SpoolFile
        The files, in the order of the batch.
    metas : sequence of Meta or None
        What is known of each; a file whose lines are counted there can be split.
    tasks : int
        About how many tasks at most: what cannot be split may need one more.
    least_bytes : int, optional
        Raw JSON below which a task is not worth its start.

    Returns
    -------
    list of list of Span
        What each task reads; none is empty.

    Examples
    --------
    >>> from pathlib import Path
    >>> one = SpoolFile("a", Path("a"), 10)
    >>> plan([one, one], [Meta("import", raw_bytes=9_000_000)] * 2, 8)
    [[Span(file=0, id='a', start=0, stop=None)], [Span(file=1, id='a', start=0, stop=None)]]
    """
    sizes = [(meta and meta.raw_bytes) or file.size for file, meta in zip(files, metas, strict=True)]
    most = max(least_bytes, -(-sum(sizes) // tasks))
    planned: list[list[Span]] = []
    room = 0
    for place, (file, meta, size) in enumerate(zip(files, metas, sizes, strict=True)):
        for span, part in _spans(place, file, meta, size, most):
            # A stretch goes where the larger part of it has room.
            if not planned or room < part / 2:
                planned.append([])
                room = most
            planned[-1].append(span)
            room -= part
    return planned


def _spans(place: int, file: SpoolFile, meta: Meta | None, size: int, most: int) -> Iterator[tuple[Span, int]]:
    lines = 0 if meta is None else len(meta.keys or meta.line_numbers or ())
    parts = min(lines, -(-size // most))
    if parts <= 1:
        yield Span(place, file.id), size
        return
    ends = [lines * part // parts for part in range(parts)]
    for start, stop in zip(ends, [*ends[1:], None], strict=True):  # the last takes what is there, damage included
        yield Span(place, file.id, start, stop), size // parts


def _found(chunk: Chunk) -> Iterator[Decoded | Rejection]:
    """Yield what an executor found in each line; of the individuals, which it keeps, only their number."""
    generations, runs = rows_of(chunk.generations), rows_of(chunk.runs)
    rows = count()
    for told in chunk.lines:
        if told.individuals is None:
            yield Rejection(told.code, told.detail, *told.key)
            continue
        run_uuid, generation = told.key
        assert run_uuid is not None
        assert generation is not None
        assert generations is not None
        assert runs is not None
        assert told.run is not None
        yield Decoded(
            run_uuid,
            generation,
            told.line_sha256,
            told.config_sha256,
            runs.slice(told.run, 1),
            generations.slice(next(rows), 1),
            pa.record_batch({"location": pa.nulls(told.individuals)}),
        )


def _ask(session: SparkSession, common: Work, tasks: Sequence[Task]) -> dict[int, list[Answer]]:
    do = partial(work, common=common, tasks=tasks)
    try:
        frame = session.range(0, len(tasks), 1, len(tasks)).mapInArrow(do, ANSWER)
        table = frame.toArrow().sort_by([("task", "ascending"), ("part", "ascending")])
    except Exception as error:
        if not is_sparks(error):
            raise
        if died(error):
            raise MemoryError(f"an executor's Python ended while it read batch {common.batch}") from error
        raise GpdataError(
            f"Spark did not finish batch {common.batch} of the lake {common.lake}: {said(error)}; nothing is "
            "lost: run the same command again, or without --engine spark"
        ) from error
    answers: dict[int, list[Answer]] = {number: [] for number in range(len(tasks))}
    for number, told in zip(table.column("task").to_pylist(), table.column("told").to_pylist(), strict=True):
        answers[number].append(answer_of(told))
    for each in answers.values():
        if isinstance(each[-1], Failed):
            raise _failure(each[-1], common)
    return answers


def _failure(failed: Failed, common: Work) -> BaseException:
    if failed.kind == "memory":
        return MemoryError(f"an executor on {failed.host} had not enough memory for batch {common.batch}")
    if failed.kind == "system":
        assert failed.errno is not None
        return OSError(failed.errno, failed.what, common.lake)
    return GpdataError(
        f"an executor on {failed.host} could not work on batch {common.batch}: {failed.what}; {SHARED}. "
        "Nothing was committed, and nothing is lost"
    )


def is_sparks(error: Exception) -> bool:
    """Whether Spark, or what leads to it, raised an error: its classes differ between classic and Connect."""
    from pyspark.errors import PySparkException

    if isinstance(error, (PySparkException, ConnectionError)):
        return True
    return type(error).__module__.split(".")[0] in ("pyspark", "py4j", "grpc")


def died(error: Exception) -> bool:
    """Whether a task's process was ended, as often as Spark tries: by what it read, its memory, or somebody."""
    text = f"{type(error).__name__}: {error}"
    if "PythonException" in text:  # its own exception; all but this one say something of the installation
        return "MemoryError" in text
    return "Job aborted due to stage failure" in text


def said(error: Exception) -> str:
    """Return what an error says in a line; what follows is for who reads Java."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = [line for line in lines if line.startswith("Caused by: ") or "Job aborted" in line]
    return (why or lines or [type(error).__name__])[0].removeprefix("Caused by: ")[:300]
