"""One batch: spool files in, rows of three tables out, every line accounted for.

A batch is a pure function of its manifest's spool files and of the batches before it, so that it can be done
again after a crash, to the same rows in the same files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

import msgspec
import pyarrow as pa

from gpdata.lake.delta import DataFile
from gpdata.lake.encoding import encode_generation, encode_individuals, encode_run
from gpdata.lake.index import Index
from gpdata.lake.lake import Lake
from gpdata.lake.parquet import QUICK, Profile, TableWriter
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS
from gpdata.spool import Damage, Meta, Spool, SpoolFile
from gpdata.wire import Decoded, Limits, Origin, Rejection, decode_lines
from gpdata.wire.limits import MOST_LINE_BYTES

COMMIT_ORDER = (INDIVIDUALS.name, RUNS.name, GENERATIONS.name)
"""A generation that a reader sees has its individuals and its run."""

REFUSALS = {
    "conflict": "another line is stored for this generation of this run; the first one stays",
    "other_owner": "the run belongs to somebody else, its first uploader",
    "spool_damaged": "these bytes of a spool file cannot be read",
    "internal_error": "gpdata failed on this line; replay it after an upgrade",
    "too_heavy": "making rows of this line takes more memory than the transform has, or kills it",
}
"""Codes with which a batch sets a line aside, beside those of `gpdata.wire.REJECTIONS`."""

UNAUTHENTICATED = "plain"
"""The source of lines that came by plain TCP, from nobody knows whom."""

# How long a line may be was the intake's to say; here only what Arrow can hold counts.
_LIMITS = Limits(line_bytes=MOST_LINE_BYTES)
_CHUNK_BYTES = 4 << 20  # lines are read together up to here: beyond, more gains little and takes memory


class Account(msgspec.Struct):
    """What became of some lines; all but `lines`, `duplicates` and `quarantined` count what is new."""

    lines: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    runs: int = 0
    generations: int = 0
    individuals: int = 0

    def add(self, other: Account) -> None:
        """Add another account to this one."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a spool file, and what is known of it before it is read."""

    raw: bytes
    refusal: Rejection | None
    meta: Meta
    position: int
    account: Account


class Batch:
    """A batch that is being made.

    Parameters
    ----------
    lake : Lake
        The lake, whose lock is held.
    spool : Spool
        Where the files lie.
    number : int
        The batch's number.
    index : Index
        The keys of all earlier batches; updated by what this one stores.
    """

    def __init__(self, lake: Lake, spool: Spool, number: int, index: Index) -> None:
        self._lake = lake
        self._spool = spool
        self._number = number
        self._index = index
        self._missing = [t for t in COMMIT_ORDER if lake.tables[t].committed_batch() < number]
        self._writers: dict[str, TableWriter] = {}
        self._heavy: Mapping[str, Collection[int]] = {}
        self.accounts: dict[str, Account] = {}

    def make(self, files: list[SpoolFile], heavy: Mapping[str, Collection[int]] | None = None) -> None:
        """Turn the files into committed rows and quarantine entries; all of it is on the disk on return.

        `heavy` has the positions, by file, of lines that are set aside unread: they killed the reader.
        """
        with ExitStack() as stack:
            for chunk in chunks(self._lines(files, heavy or {})):
                self._chunk(chunk, decode_chunk(chunk), stack)
            self._commit()

    def _lines(self, files: list[SpoolFile], heavy: Mapping[str, Collection[int]]) -> Iterator[Line]:
        for file in files:
            account = self.accounts[file.id] = Account()
            yield from lines_of(self._spool, file, heavy.get(file.id, ()), account)

    def _chunk(self, lines: list[Line], found: Iterable[Decoded | Rejection], stack: ExitStack) -> None:
        """Store the lines that are new, and set aside those that are refused."""
        accepted: list[Decoded] = []
        for line, each in zip(lines, found, strict=True):
            line.account.lines += 1
            refusal = self._judge(each, line, accepted, stack) if isinstance(each, Decoded) else each
            if refusal is not None:
                line.account.quarantined += 1
                self._quarantine(refusal, line)
        if accepted:
            self._store(accepted, stack)

    def _store(self, accepted: list[Decoded], stack: ExitStack) -> None:
        """Add the rows of lines that are new."""
        individuals = pa.concat_batches([line.individuals for line in accepted])
        self._add(INDIVIDUALS.name, encode_individuals(individuals, self._number), stack)
        self._store_generations(accepted, stack)

    def _store_generations(self, accepted: list[Decoded], stack: ExitStack) -> None:
        generations = pa.concat_batches([line.generation_row for line in accepted])
        self._add(GENERATIONS.name, encode_generation(generations, self._number), stack)

    def _judge(self, line: Decoded, sent: Line, accepted: list[Decoded], stack: ExitStack) -> Rejection | None:
        """Accept a line that is new; say why where it is refused."""
        meta, account = sent.meta, sent.account
        known = self._index.run(line.run_uuid)
        sha256 = bytes.fromhex(line.line_sha256)
        stored = known.lines.get(line.generation)
        if stored == sha256:
            account.duplicates += 1
            return None
        if known.config_sha256 is not None and known.owner != meta.owner:
            detail = (
                f"run {line.run_uuid} belongs to {known.owner or 'nobody'}, its first uploader; "
                f"this line came from {meta.owner or 'nobody'}"
            )
            return Rejection("other_owner", detail, line.run_uuid, line.generation)
        if stored is not None:
            detail = (
                f"generation {line.generation} of run {line.run_uuid} is stored with the SHA-256 {stored.hex()}; "
                f"this line has {line.line_sha256}: the first one stays"
            )
            return Rejection("conflict", detail, line.run_uuid, line.generation)
        known.lines[line.generation] = sha256
        if known.config_sha256 is None:
            known.config_sha256, known.owner = bytes.fromhex(line.config_sha256), meta.owner
            self._add(RUNS.name, encode_run(line.run, line.config_sha256, self._number), stack)
            account.runs += 1
        elif known.config_sha256.hex() != line.config_sha256:
            line = _flagged(line, "config_differs")
        if meta.source == UNAUTHENTICATED:
            line = _flagged(line, "auth=none")
        accepted.append(line)
        account.accepted += 1
        account.generations += 1
        account.individuals += line.individuals.num_rows
        return None

    def _add(self, table: str, rows: pa.RecordBatch, stack: ExitStack) -> None:
        if table not in self._missing:
            return  # committed before a crash; this is the same batch again
        if table not in self._writers:
            writer = open_writer(self._lake, table, f"batch-{self._number:012d}.parquet")
            self._writers[table] = stack.enter_context(writer)
        self._writers[table].add([rows])

    def _commit(self) -> None:
        files = self._files()
        for table in COMMIT_ORDER:
            if table in files:
                self._lake.tables[table].commit("WRITE", add=files[table], batch=self._number)

    def _files(self) -> dict[str, list[DataFile]]:
        """Finish the data files; return them by table, on the disk."""
        return {table: [writer.close()] for table, writer in self._writers.items()}

    def _quarantine(self, rejection: Rejection, line: Line) -> None:
        meta, numbers, position = line.meta, line.meta.line_numbers, line.position
        self._lake.quarantine.add(
            line.raw,
            code=rejection.code,
            detail=rejection.detail,
            source=meta.source,
            origin=meta.origin,
            line=numbers[position] if numbers and position < len(numbers) else None,
            run_uuid=rejection.run_uuid,
            generation=rejection.generation,
            owner=meta.owner,
            time=meta.received_at,
        )


def chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines in stretches that are worth reading at once."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and size + len(line.raw) > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line.raw)
    if chunk:
        yield chunk


def lines_of(
    spool: Spool, file: SpoolFile, heavy: Collection[int], account: Account, start: int = 0, stop: int | None = None
) -> Iterator[Line]:
    """Yield the lines of a spool file, or those from position `start` up to `stop`, with what is known of them."""
    meta = spool.meta(file)
    for position, line in enumerate(islice(spool.read(file, start), stop)):
        if position < start:
            continue
        raw, refusal = line.raw if isinstance(line, Damage) else line, None
        if isinstance(line, Damage):
            refusal = Rejection("spool_damaged", f"the spool file {file.id} is damaged here: {line.reason}")
        elif meta is None:
            detail = f"the spool file {file.id} no longer says who sent this line"
            refusal = Rejection("spool_damaged", detail)
        elif position in heavy:
            refusal = Rejection("too_heavy", f"{REFUSALS['too_heavy']} ({len(raw):,} bytes)")
        yield Line(raw, refusal, meta or Meta("unknown"), position, account)


def decode_chunk(lines: list[Line]) -> Iterator[Decoded | Rejection]:
    """Yield what each line says, or why it is refused, in their order."""
    decoded = iter(_decode([line for line in lines if line.refusal is None]))
    return (line.refusal or next(decoded) for line in lines)


def open_writer(lake: Lake, table: str, name: str) -> TableWriter:
    """Open a data file of a batch for writing."""
    return TableWriter(table, lake.tables[table].path, name, Profile(QUICK), lake.disk, lake.scratch)


def _decode(lines: list[Line]) -> list[Decoded | Rejection]:
    given = [(line.raw, Origin(line.meta.source, line.meta.owner, line.meta.received_at)) for line in lines]
    try:
        return decode_lines(given, _LIMITS)
    except MemoryError:
        raise  # says something of the batch, not yet of the line
    except Exception as error:
        if len(lines) > 1:
            half = len(lines) // 2
            return [*_decode(lines[:half]), *_decode(lines[half:])]
        # A line that trips over a fault of ours must not stop those behind it: it waits in the quarantine,
        # whole, and can be replayed when the fault is mended.
        return [Rejection("internal_error", f"gpdata failed on this line: {type(error).__name__}: {error}")]


def _flagged(line: Decoded, flag: str) -> Decoded:
    row = line.generation_row
    position = row.schema.get_field_index("flags")
    flags = pa.array([sorted({*row.column(position)[0].as_py(), flag})], row.schema.field(position).type)
    return replace(line, generation_row=row.set_column(position, row.schema.field(position), flags))
