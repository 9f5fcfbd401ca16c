"""One batch: spool files in, rows of three tables out, every line accounted for.

A batch is a pure function of its manifest's spool files and of the batches before it, so that it can be done
again after a crash, to the same rows in the same files.
"""

from __future__ import annotations

from contextlib import ExitStack

import msgspec
import pyarrow as pa

from gpdata.lake.encoding import encode_generation, encode_individuals, encode_run
from gpdata.lake.index import Index
from gpdata.lake.lake import Lake
from gpdata.lake.parquet import QUICK, Profile, TableWriter
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS
from gpdata.spool import Damage, Meta, Spool, SpoolFile
from gpdata.wire import Decoded, Limits, Origin, Rejection, decode
from gpdata.wire.limits import MOST_LINE_BYTES

COMMIT_ORDER = (INDIVIDUALS.name, RUNS.name, GENERATIONS.name)
"""A generation that a reader sees has its individuals and its run."""

REFUSALS = {
    "conflict": "another line is stored for this generation of this run; the first one stays",
    "other_owner": "the run belongs to somebody else, its first uploader",
    "spool_damaged": "these bytes of a spool file cannot be read",
    "internal_error": "gpdata failed on this line; replay it after an upgrade",
}
"""Codes with which a batch sets a line aside, beside those of `gpdata.wire.REJECTIONS`."""

# How long a line may be was the intake's to say; here only what Arrow can hold counts.
_LIMITS = Limits(line_bytes=MOST_LINE_BYTES)


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
        self.accounts: dict[str, Account] = {}

    def make(self, files: list[SpoolFile]) -> None:
        """Turn the files into committed rows and quarantine entries; all of it is on the disk on return."""
        with ExitStack() as stack:
            for file in files:
                self.accounts[file.id] = self._file(file, stack)
            self._commit()

    def _file(self, file: SpoolFile, stack: ExitStack) -> Account:
        meta = self._spool.meta(file)
        origin = Origin(source=meta.source, owner=meta.owner, received_at=meta.received_at)
        account = Account()
        refusal: Rejection | None
        for position, line in enumerate(self._spool.read(file)):
            account.lines += 1
            if isinstance(line, Damage):
                detail = f"the spool file {file.id} is damaged here: {line.reason}"
                refusal, raw = Rejection("spool_damaged", detail), line.raw
            else:
                decoded, raw = _decode(line, origin), line
                refusal = self._judge(decoded, meta, account, stack) if isinstance(decoded, Decoded) else decoded
            if refusal is not None:
                account.quarantined += 1
                self._quarantine(refusal, raw, meta, position)
        return account

    def _judge(self, line: Decoded, meta: Meta, account: Account, stack: ExitStack) -> Rejection | None:
        """Store a line that is new; say why where it is refused."""
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
        row = line.generation_row
        if known.config_sha256 is None:
            known.config_sha256, known.owner = bytes.fromhex(line.config_sha256), meta.owner
            self._add(RUNS.name, encode_run(line.run, line.config_sha256, self._number), stack)
            account.runs += 1
        elif known.config_sha256.hex() != line.config_sha256:
            row = _flag(row, "config_differs")
        self._add(INDIVIDUALS.name, encode_individuals(line.individuals, self._number), stack)
        self._add(GENERATIONS.name, encode_generation(row, self._number), stack)
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

    def _quarantine(self, rejection: Rejection, raw: bytes, meta: Meta, position: int) -> None:
        numbers = meta.line_numbers
        self._lake.quarantine.add(
            raw,
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


def _decode(line: bytes, origin: Origin) -> Decoded | Rejection:
    try:
        return decode(line, origin, _LIMITS)
    except Exception as error:
        # A line that trips over a fault of ours must not stop those behind it: it waits in the quarantine,
        # whole, and can be replayed when the fault is mended.
        return Rejection("internal_error", f"gpdata failed on this line: {type(error).__name__}: {error}")


def _flag(row: pa.RecordBatch, flag: str) -> pa.RecordBatch:
    position = row.schema.get_field_index("flags")
    flags = [sorted({*row.column(position)[0].as_py(), flag})]
    return row.set_column(position, row.schema.field(position), pa.array(flags, row.schema.field(position).type))
