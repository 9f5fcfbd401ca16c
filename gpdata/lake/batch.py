"""One batch: spool files in, rows of three tables out, every line accounted for.

A batch is a pure function of its manifest's spool files and of the batches before it, so that it can be done
again after a crash, to the same rows in the same files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import msgspec
import pyarrow as pa

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
class _Line:
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
            for chunk in _chunks(self._lines(files, heavy or {})):
                self._chunk(chunk, stack)
            self._commit()

    def _lines(self, files: list[SpoolFile], heavy: Mapping[str, Collection[int]]) -> Iterator[_Line]:
        for file in files:
            account = self.accounts[file.id] = Account()
            meta = self._spool.meta(file)
            for position, line in enumerate(self._spool.read(file)):
                raw, refusal = line.raw if isinstance(line, Damage) else line, None
                if isinstance(line, Damage):
                    refusal = Rejection("spool_damaged", f"the spool file {file.id} is damaged here: {line.reason}")
                elif meta is None:
                    detail = f"the spool file {file.id} no longer says who sent this line"
                    refusal = Rejection("spool_damaged", detail)
                elif position in heavy.get(file.id, ()):
                    refusal = Rejection("too_heavy", f"{REFUSALS['too_heavy']} ({len(raw):,} bytes)")
                yield _Line(raw, refusal, meta or Meta("unknown"), position, account)

    def _chunk(self, lines: list[_Line], stack: ExitStack) -> None:
        """Store the lines that are new, and set aside those that are refused."""
        decoded = iter(_decode([line for line in lines if line.refusal is None]))
        accepted: list[Decoded] = []
        for line in lines:
            line.account.lines += 1
            found = line.refusal or next(decoded)
            refusal = self._judge(found, line, accepted, stack) if isinstance(found, Decoded) else found
            if refusal is not None:
                line.account.quarantined += 1
                self._quarantine(refusal, line)
        if accepted:
            individuals = pa.concat_batches([line.individuals for line in accepted])
            generations = pa.concat_batches([line.generation_row for line in accepted])
            self._add(INDIVIDUALS.name, encode_individuals(individuals, self._number), stack)
            self._add(GENERATIONS.name, encode_generation(generations, self._number), stack)

    def _judge(self, line: Decoded, sent: _Line, accepted: list[Decoded], stack: ExitStack) -> Rejection | None:
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
            self._writers[table] = stack.enter_context(
                TableWriter(
                    table,
                    self._lake.tables[table].path,
                    f"batch-{self._number:012d}.parquet",
                    Profile(QUICK),
                    self._lake.disk,
                    self._lake.scratch,
                )
            )
        self._writers[table].add([rows])

    def _commit(self) -> None:
        files = {table: writer.close() for table, writer in self._writers.items()}
        for table in COMMIT_ORDER:
            if table in files:
                self._lake.tables[table].commit("WRITE", add=[files[table]], batch=self._number)

    def _quarantine(self, rejection: Rejection, line: _Line) -> None:
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


def _chunks(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield lines in stretches that are worth reading at once."""
    chunk: list[_Line] = []
    size = 0
    for line in lines:
        if chunk and size + len(line.raw) > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line.raw)
    if chunk:
        yield chunk


def _decode(lines: list[_Line]) -> list[Decoded | Rejection]:
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
