"""Ingest through Spark: a stream of the spool's files wakes the transform, executors do its work.

Spark's checkpoint remembers which files were announced; the lake knows which lines it has. Where the two disagree
the lake is right: a checkpoint that is lost, stale or torn costs a look at files, never a line.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gpdata import errors
from gpdata.errors import GpdataError
from gpdata.lake.batch import Account
from gpdata.lake.lake import Lake
from gpdata.lake.transform import BATCH_BYTES
from gpdata.sessions.stream_batch import TASK_BYTES, SparkTransformer, is_sparks, said
from gpdata.spool import Spool

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

_log = logging.getLogger(__name__)

_SUFFIX = ".ndjson.zst"
_BINARY_FILE = "path string, modificationTime timestamp, length long, content binary"
_POLL = 0.2
"""Seconds between two looks at a running query."""
_EVER = "36500d"
"""Spark passes over files that are so much older than the newest; a spool may wait as long as it likes."""


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process that makes batches tells the one that started it."""

    account: Account | None = None
    kind: Literal["", "memory", "system", "gpdata"] = ""
    name: str = ""
    message: str = ""
    errno: int | None = None


@dataclass
class Announced:
    """Makes batches of a spool's files when Spark announces new ones, as `foreachBatch` calls it.

    It runs in this process on classic, and in one beside the server on Connect, so it is told all it needs, and
    answers through a file in the checkpoint's directory.

    Parameters
    ----------
    lake, spool, folder : str
        The lake, the spool, and the directory for its answers.
    tasks, batch_bytes, least_bytes, grace, memory
        As for `SparkTransformer`.
    wait : float or None
        Seconds to wait for another holder of the lake's lock.
    """

    lake: str
    spool: str
    folder: str
    tasks: int
    batch_bytes: int
    least_bytes: int
    grace: float
    memory: int | None
    wait: float | None
    _transformer: SparkTransformer | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what belongs to this process."""
        return self.__dict__ | {"_transformer": None}

    def __call__(self, frame: DataFrame, epoch: int) -> None:
        """Make batches of what is in the spool, where any of the announced files still is."""
        try:
            transformer = self._made(frame.sparkSession)
            names = {row.path.rpartition("/")[2].removesuffix(_SUFFIX) for row in frame.collect()}
            if names.isdisjoint(file.id for file in transformer.spool.pending()):
                return  # made already: this is an epoch that was cut short, or its files went with an earlier one
            with transformer.lake.lock(self.wait):
                drain(transformer, lambda account: self._tell(_Note(account)), self._stopped)
        except MemoryError as error:
            self._tell(_Note(kind="memory", message=str(error)))
            raise
        except GpdataError as error:
            self._tell(_Note(kind="gpdata", name=type(error).__name__, message=str(error)))
            raise
        except OSError as error:
            self._tell(_Note(kind="system", message=str(error), errno=error.errno))
            raise

    def _made(self, session: SparkSession) -> SparkTransformer:
        if self._transformer is None:
            lake = Lake.open(self.lake)
            spool = lake.spool_at(self.spool)
            self._transformer = SparkTransformer(
                lake,
                session,
                spool,
                tasks=self.tasks,
                batch_bytes=self.batch_bytes,
                least_bytes=self.least_bytes,
                grace=self.grace,
                memory=self.memory,
            )
        return self._transformer

    def _tell(self, note: _Note) -> None:
        with (Path(self.folder) / "told").open("ab") as file:
            file.write(msgspec.json.encode(note) + b"\n")

    def _stopped(self) -> bool:
        return (Path(self.folder) / "stop").exists()


class StreamTransformer(SparkTransformer):
    """A transformer whose runs are Structured Streaming queries over the spool, one after the other.

    Each run starts from the checkpoint of the last one and ends when all files that were there are in the lake.

    Parameters
    ----------
    lake, session, spool, tasks, batch_bytes, least_bytes, grace, memory
        As for `SparkTransformer`.
    checkpoint : Path, optional
        Spark's checkpoint: a directory that the driver sees; below the lake's scratch by default. It may be lost.
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
        checkpoint: Path | None = None,
    ) -> None:
        super().__init__(
            lake,
            session,
            spool,
            tasks=tasks,
            batch_bytes=batch_bytes,
            least_bytes=least_bytes,
            grace=grace,
            memory=memory,
        )
        where = str(self.spool.path.absolute())
        named = hashlib.sha256(where.encode()).hexdigest()[:12]
        self.checkpoint = (checkpoint or lake.scratch / f"stream-{named}").absolute()
        self._announced = Announced(
            lake=str(lake.path),
            spool=where,
            folder=str(self.checkpoint),
            tasks=self.tasks,
            batch_bytes=batch_bytes,
            least_bytes=least_bytes,
            grace=grace,
            memory=memory,
            wait=None,
        )

    def run(
        self,
        *,
        wait: float | None = None,
        progress: Callable[[Account], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Account:
        """Transform the complete spool files that are there, as `Transformer.run` does.

        Raises
        ------
        LakeBusy
            Another process feeds the lake through Spark, or held the lake's lock all that time.
        GpdataError
            Spark ended, or could not go on; the files stay in the spool.
        """
        total = Account()

        def told(account: Account) -> None:
            total.add(account)
            if progress is not None:
                progress(account)

        with self.lake.lock(wait, "stream.lock"):
            waiting = {file.id for file in self.spool.pending()}
            self._announced.wait = wait
            try:
                self._stream(told, stop)
            except _CheckpointDoubted as doubt:
                _log.warning("Spark's checkpoint %s is made anew: %s", self.checkpoint, doubt)
                shutil.rmtree(self.checkpoint)
                self._stream(told, stop, doubt=False)
            passed_over = not stop() and waiting.intersection(file.id for file in self.spool.pending())
            if passed_over or any((self.lake.path / "manifests").glob("*.json")):
                # Files that an old checkpoint takes for announced: put back from a backup, or by a collector. Or
                # a batch that a crash left with nothing to do but to forget it.
                with self.lake.lock(wait):
                    drain(self, told, stop if passed_over else lambda: True)
        return total

    def _stream(self, told: Callable[[Account], None], stop: Callable[[], bool], *, doubt: bool = True) -> None:
        """Run one query to its end; `doubt` says whether the checkpoint may be why it fails."""
        for name in ("told", "stop"):
            (self.checkpoint / name).unlink(missing_ok=True)
        self.lake.disk.make_directory(self.checkpoint)
        notes = _Notes(self.checkpoint / "told")
        asked = False
        try:
            query = self._start()
            try:
                while not query.awaitTermination(_POLL):
                    notes.read(told)
                    if not asked and stop():
                        (self.checkpoint / "stop").touch()
                        asked = True
            finally:
                if query.isActive:
                    query.stop()
        except Exception as error:
            notes.read(told)
            if notes.failure is not None:
                raise notes.failure from error
            if not is_sparks(error):
                raise
            if notes.any or not doubt:
                raise GpdataError(
                    f"Spark stopped reading the spool {self.spool.path}: {said(error)}; nothing is lost: "
                    "run the same command again, or without --engine spark"
                ) from error
            raise _CheckpointDoubted(said(error)) from error
        notes.read(told)

    def _start(self) -> StreamingQuery:
        names = (
            self._session.readStream.format("binaryFile")
            .schema(_BINARY_FILE)
            .option("pathGlobFilter", f"*{_SUFFIX}")
            .option("cleanSource", "off")  # files go when the lake has their lines, not when Spark has seen them
            .option("ignoreMissingFiles", "true")
            .option("maxFileAge", _EVER)
            .load(_uri(self.spool.path.absolute() / "new", glob=True))
            .select("path")  # names only: the content is for the executors
        )
        return (
            names.writeStream.foreachBatch(self._announced)
            .option("checkpointLocation", _uri(self.checkpoint))
            .trigger(availableNow=True)
            .start()
        )


def drain(transformer: SparkTransformer, told: Callable[[Account], None], stop: Callable[[], bool]) -> None:
    """Transform what is in the spool now; account for each batch, and in the end for what earlier ones had left."""
    counted = Account()

    def progress(account: Account) -> None:
        counted.add(account)
        told(account)

    total = transformer.drain(progress, stop)
    left = {name: getattr(total, name) - getattr(counted, name) for name in total.__struct_fields__}
    if any(left.values()):
        told(Account(**left))


class _CheckpointDoubted(Exception):
    """The query failed before it did anything, and there is a checkpoint that may be why."""


class _Notes:
    """Reads what `Announced` tells, as it comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.any = False
        self.failure: BaseException | None = None

    def read(self, told: Callable[[Account], None]) -> None:
        data = b""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self.any = True
            note = msgspec.json.decode(line, type=_Note)
            if note.account is not None:
                told(note.account)
            else:
                self.failure = _error(note)


def _error(note: _Note) -> BaseException:
    if note.kind == "memory":
        return MemoryError(note.message)
    if note.kind == "system":
        return OSError(note.errno, note.message) if note.errno is not None else OSError(note.message)
    kind: type[GpdataError] = getattr(errors, note.name, GpdataError)
    return kind(note.message)


def _uri(path: object, *, glob: bool = False) -> str:
    """Write a path, or an address in a bucket, as Hadoop reads it; where it takes patterns, so that it means itself."""
    text = re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path)) if glob else str(path)
    return re.sub(r"^s3://", "s3a://", text) if "://" in text else f"file:{text}"
