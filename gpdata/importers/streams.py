"""`gpdata import`: recorder streams from files into a lake, restartable, exactly once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gpdata.errors import InvalidInput, LakeDamaged
from gpdata.importers.lines import BrokenSource, Line, LongLine, lines
from gpdata.lake import Account, Lake, Transformer
from gpdata.lake.lake import MARKER
from gpdata.spool import Meta, SpoolFile, SpoolWriter

STANDARD_INPUT = "-"
_ENDINGS = (".jsonl", ".ndjson", ".raw")
_COMPRESSED = (".zst", ".gz")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    source: str
    sources_done: int
    sources: int
    bytes_done: int
    """Bytes read of all sources, as they lie on the disk."""
    bytes: int
    """Bytes of all sources; standard input counts as none."""
    account: Account


def find_streams(paths: Iterable[str | Path]) -> list[str]:
    """Return the recorder streams that the paths name, directories searched through.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, taken whatever their name; directories, in which ``*.jsonl``, ``*.ndjson`` and ``*.raw``, plain
        or ``.zst`` or ``.gz``, are taken in the order of their names; ``-`` for standard input.

    Raises
    ------
    InvalidInput
        A path does not exist, or a directory holds no stream.
    """
    found: list[str] = []
    for path in map(str, paths):
        if path == STANDARD_INPUT:
            found.append(path)
        elif Path(path).is_dir():
            inside = sorted(_streams_below(Path(path)))
            if not inside:
                raise InvalidInput(
                    f"the directory {path} holds no recorder stream; streams end in "
                    f"{', '.join(_ENDINGS)}, plain or with {' or '.join(_COMPRESSED)}: name the files to import"
                )
            found += inside
        elif Path(path).exists():
            found.append(path)
        else:
            raise InvalidInput(f"{path} does not exist; name files, directories, or - for standard input")
    return found


def import_paths(
    paths: Iterable[str | Path],
    lake: Lake,
    *,
    owner: str | None = None,
    max_line_bytes: int = 256 << 20,
    batch_bytes: int = 64 << 20,
    progress: Callable[[Progress], None] | None = None,
) -> Account:
    """Import recorder streams into a lake.

    Killed at any moment and run again, it ends in the same lake: what is stored already counts as a duplicate.

    Parameters
    ----------
    paths : iterable of str or Path
        As `find_streams` takes them.
    lake : Lake
        The lake.
    owner : str, optional
        Who the runs belong to.
    max_line_bytes : int, optional
        A longer line goes to the quarantine.
    batch_bytes : int, optional
        Raw bytes after which what was read is committed; bounds memory.
    progress : callable, optional
        Called now and then with a `Progress`.

    Returns
    -------
    Account
        What became of the lines of these streams.

    Raises
    ------
    InvalidInput
        A path cannot be used; nothing is imported then.
    """
    sources = find_streams(paths)
    sizes = {source: 0 if source == STANDARD_INPUT else Path(source).stat().st_size for source in sources}
    run = _Import(lake, owner, max_line_bytes, batch_bytes)
    done = 0
    for number, source in enumerate(sources):
        for at in run.source(source):
            if progress is not None:
                progress(Progress(source, number, len(sources), done + at, sum(sizes.values()), run.account))
        done += sizes[source]
    run.flush()
    if progress is not None and sources:
        progress(Progress(sources[-1], len(sources), len(sources), done, sum(sizes.values()), run.account))
    return run.account


class _Import:
    def __init__(self, lake: Lake, owner: str | None, max_line_bytes: int, batch_bytes: int) -> None:
        self._lake = lake
        self._owner = owner
        self._limit = max_line_bytes
        self._batch_bytes = batch_bytes
        self._transformer = Transformer(lake, batch_bytes=batch_bytes)
        self._waiting: list[SpoolFile] = []
        self._waiting_bytes = 0
        self.account = Account()

    def source(self, source: str) -> Iterator[int]:
        """Import one source; yield the bytes of it that are read, at every spool file."""
        with ExitStack() as stack:
            stream: BinaryIO = (
                sys.stdin.buffer if source == STANDARD_INPUT else stack.enter_context(Path(source).open("rb"))
            )
            chunk = _Chunk(self, stack, source)
            for line in lines(stream, limit=self._limit):
                if isinstance(line, Line):
                    if chunk.add(line) >= self._batch_bytes:
                        self._take(chunk.commit())
                        yield _position(stream)
                else:
                    self._set_aside(line, source)
            self._take(chunk.commit())
        yield 0

    def flush(self) -> None:
        """Transform what waits in the spool, and account for it."""
        self._transformer.run()
        for file in self._waiting:
            account = self._transformer.receipt(file)
            if account is None:
                raise LakeDamaged(
                    f"the spool file {file.id} was transformed without a receipt; import the same files again: "
                    "what is stored already counts as a duplicate"
                )
            self.account.add(account)
        self._waiting, self._waiting_bytes = [], 0

    def _take(self, written: tuple[SpoolFile, int] | None) -> None:
        if written is not None:
            self._waiting.append(written[0])
            self._waiting_bytes += written[1]
        if self._waiting_bytes >= self._batch_bytes:
            self.flush()

    def _set_aside(self, line: LongLine | BrokenSource, source: str) -> None:
        if isinstance(line, LongLine):
            raw: bytes | Iterator[bytes] = line.pieces
            code, detail = (
                "too_long",
                (
                    f"the line is longer than {self._limit:,} bytes; "
                    "raise GPDATA_MAX_LINE_BYTES and import the file again if it is right"
                ),
            )
        else:
            raw, code = line.content, "source_damaged"
            detail = (
                f"{source} is damaged within line {line.number}: {line.reason}; "
                "what follows cannot be read: get the file again and import it again"
            )
        self._lake.quarantine.add(
            raw, code=code, detail=detail, source="import", origin=source, line=line.number, owner=self._owner
        )
        self.account.lines += 1
        self.account.quarantined += 1

    def meta(self, source: str, numbers: list[int]) -> Meta:
        """Return what is known of lines of a source."""
        return Meta(source="import", owner=self._owner, origin=source, line_numbers=tuple(numbers), receipt=True)

    def writer(self, stack: ExitStack, source: str) -> SpoolWriter:
        """Open a spool file for lines of a source."""
        return stack.enter_context(self._transformer.spool.writer(self.meta(source, [])))


class _Chunk:
    """Lines of one source on their way into one spool file."""

    def __init__(self, run: _Import, stack: ExitStack, source: str) -> None:
        self._run, self._stack, self._source = run, stack, source
        self._writer: SpoolWriter | None = None
        self._numbers: list[int] = []

    def add(self, line: Line) -> int:
        """Add a line; return the raw bytes so far."""
        if self._writer is None:
            self._writer = self._run.writer(self._stack, self._source)
        self._writer.add(line.content)
        self._numbers.append(line.number)
        return self._writer.raw_bytes

    def commit(self) -> tuple[SpoolFile, int] | None:
        """Finish the spool file; return it and its raw bytes, or None where no line came."""
        if self._writer is None:
            return None
        size = self._writer.raw_bytes
        file = self._writer.commit(self._run.meta(self._source, self._numbers))
        self._writer, self._numbers = None, []
        return file, size


def _streams_below(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        if MARKER in names:
            folders.clear()  # a lake's own files are no recorder streams
            continue
        for name in names:
            stem = name
            for ending in _COMPRESSED:
                stem = stem.removesuffix(ending)
            if stem.endswith(_ENDINGS):
                yield str(Path(folder) / name)


def _position(stream: BinaryIO) -> int:
    return stream.tell() if stream.seekable() else 0
