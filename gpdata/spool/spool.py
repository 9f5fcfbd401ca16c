"""The spool: a Maildir of compressed newline-delimited JSON, durable before anything is promised.

`tmp/` holds unfinished files, `new/` complete ones, `done/` those whose lines are stored in the lake and that
wait for the end of a grace period, `trash/` what is being removed. What the channel knows of a file's lines
stands in the file, before them and, with what is known at the end only, behind them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from gpdata.errors import InvalidInput
from gpdata.spool import zstd
from gpdata.spool.disk import Disk
from gpdata.spool.frames import QUICK, Damage, Note, frame, frames
from gpdata.spool.meta import Key, Meta, before, behind, read_meta
from gpdata.spool.object_disk import ObjectDisk, disk_of
from gpdata.storage import ObjectPath, Place, as_place

_SUFFIX = ".ndjson.zst"
_FOLDERS = ("tmp", "new", "done", "trash")
_STAMP = 20
"""Digits of the nanoseconds with which an id begins."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A complete spool file."""

    id: str
    path: Place
    size: int
    """Bytes as they lie on the disk."""


class Spool:
    """A spool directory.

    Parameters
    ----------
    path : Path or ObjectPath
        The directory, made where it is missing, or a prefix of a bucket.
    disk : Disk, optional
        The file system; the real one by default.
    clock : callable, optional
        Nanoseconds since the epoch; names and orders files.
    """

    def __init__(self, path: Place, *, disk: Disk | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = as_place(path)
        # A lake and its spool may lie in different places.
        self.disk = disk if disk is not None and _fits(disk, self.path) else disk_of(self.path)
        self.tmp = self.disk.scratch(self.path / "tmp")
        self._clock = clock
        self._newest: int | None = None
        self._naming = threading.Lock()
        for folder in () if isinstance(self.path, ObjectPath) else _FOLDERS:
            if not (self.path / folder).is_dir():
                self.disk.make_directory(self.path / folder)

    @property
    def room(self) -> Path:
        """The directory whose file system must have room for what comes in."""
        return self.tmp if isinstance(self.path, ObjectPath) else self.path

    def writer(self, meta: Meta) -> SpoolWriter:
        """Open a new spool file for writing.

        Parameters
        ----------
        meta : Meta
            What the channel knows about its lines beforehand.
        """
        return SpoolWriter(self, meta)

    def write(self, data: Iterable[bytes], meta: Meta) -> SpoolFile:
        """Store lines durably: when this returns, they survive a crash.

        Parameters
        ----------
        data : iterable of bytes
            The lines, without their newlines.
        meta : Meta
            What the channel knows about them.

        Returns
        -------
        SpoolFile
            The complete file.
        """
        with self.writer(meta) as writer:
            for line in data:
                writer.add(line)
            return writer.commit()

    def next_id(self) -> str:
        """Return the id of a file that is committed now: behind those that are pending, also where the clock went back.

        Of two lines of one key the first that was acknowledged stays, so the order of commits counts.
        """
        if self._newest is None:
            self._newest = max((int(file.id[:_STAMP]) for file in self.pending()), default=0)
        with self._naming:
            self._newest = max(self._clock(), self._newest + 1)
            # The random part keeps the writers of several processes apart.
            return f"{self._newest:0{_STAMP}d}-{os.getpid():07d}-{secrets.token_hex(4)}"

    def pending(self) -> list[SpoolFile]:
        """Return the complete files, oldest first."""
        return self._files("new")

    def settle(self) -> None:
        """Bring the names of the complete files to the disk: a writer may have been killed before its last sync."""
        self.disk.sync_directory(self.path / "new")

    def retired(self) -> list[SpoolFile]:
        """Return the files that wait for the end of their grace period, oldest first."""
        return self._files("done")

    def file(self, id_: str, *, retired: bool = False) -> SpoolFile | None:
        """Return the complete file of that id, or a retired one where these count, too; None where there is none."""
        for folder in ("new", "done") if retired else ("new",):
            path = self._path(folder, id_)
            with suppress(FileNotFoundError):
                return SpoolFile(id_, path, path.stat().st_size)
        return None

    def read(self, file: SpoolFile, skip: int = 0) -> Iterator[bytes | Damage]:
        """Yield the lines of a file, and its damaged stretches where they stand; nothing of the first `skip`."""
        return (part for part in frames(file.path.read_bytes(), skip) if not isinstance(part, Note))

    def keys(self, file: SpoolFile) -> tuple[Key, ...] | None:
        """Return the keys of a file's lines with their hashes; where the note lacks these, the lines are read.

        None where the channel could not tell the lines apart, or the file is damaged. Memory is bounded.
        """
        meta = self.meta(file)
        if meta is None or meta.keys is None or all(key.sha256 is not None for key in meta.keys):
            return None if meta is None else meta.keys
        try:
            found = list(_hashes(file.path))
        except (zstd.ZstdError, EOFError):
            return None
        if len(found) != len(meta.keys):
            return None
        return tuple(Key(key.run_uuid, key.generation, sha256) for key, sha256 in zip(meta.keys, found, strict=True))

    def meta(self, file: SpoolFile) -> Meta | None:
        """Return what the channel knew of the lines; None where no note of the file can be read.

        The note behind the lines says most; where it is damaged, the one before them stands in.
        """
        with file.path.open("rb") as opened:
            return read_meta(opened, file.size)

    def retire(self, ids: Iterable[str]) -> None:
        """Set files aside whose every line is stored elsewhere for good, until their grace period is over."""
        moved = [self._path("new", id_) for id_ in ids]
        moved = [path for path in moved if path.exists()]
        for path in moved:
            self.disk.rename(path, self.path / "done" / path.name)
        if moved:
            self.disk.sync_directory(self.path / "done")
            self.disk.sync_directory(self.path / "new")

    def collect(self, ids: Iterable[str]) -> None:
        """Remove files whose every line is stored elsewhere for good: rename, make durable, then unlink."""
        if isinstance(self.path, ObjectPath):
            for id_ in ids:  # an object goes at once, and no rename could come first
                self.disk.remove(self._path("new", id_))
                self.disk.remove(self._path("done", id_))
            return
        trash = self.path / "trash"
        moved = []
        for id_ in ids:
            for folder in ("new", "done"):
                path = self._path(folder, id_)
                if path.exists():
                    self.disk.rename(path, trash / path.name)
                    moved.append(trash / path.name)
        if not moved:
            return
        self.disk.sync_directory(self.path / "new")
        self.disk.sync_directory(self.path / "done")
        self.disk.sync_directory(trash)
        for path in moved:
            self.disk.remove(path)

    def sweep(self, *, older_than: float = 24 * 3600.0) -> None:
        """Finish interrupted collections, and remove what writers that are gone left unfinished long ago."""
        if isinstance(self.path, ObjectPath):
            return  # nothing is left there: an object goes at once, and unfinished files lie elsewhere
        for path in (self.path / "trash").iterdir():
            self.disk.remove(path)
        limit = self._clock() / 1e9 - older_than
        for path in (self.path / "tmp").iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit and not _writer_is_alive(path):
                    self.disk.remove(path)

    def _files(self, folder: str) -> list[SpoolFile]:
        found = []
        for path in (self.path / folder).iterdir():
            if path.name.endswith(_SUFFIX):
                with suppress(FileNotFoundError):  # moved on in between by the lock's holder
                    found.append(SpoolFile(path.name.removesuffix(_SUFFIX), path, path.stat().st_size))
        return sorted(found, key=lambda file: file.id)

    def _path(self, folder: str, id_: str) -> Place:
        return self.path / folder / (id_ + _SUFFIX)


class SpoolWriter:
    """A spool file that is being written; leaving the `with` block without `commit` drops it.

    Lines come whole (`add`) or in pieces (`feed`, then `end` or `drop`).
    """

    def __init__(self, spool: Spool, meta: Meta) -> None:
        self._spool = spool
        self._meta = meta
        self._path = spool.tmp / f"{os.getpid():07d}-{secrets.token_hex(8)}{_SUFFIX}"
        self._file: BinaryIO | None = spool.disk.create(self._path)
        self._compressor: zstd.ZstdCompressor | None = None
        self._begun: int | None = None
        self._size = 0
        """Bytes of the file so far: asking the file is a system call, and a turn among threads."""
        self._fed = 0
        self.lines = 0
        self.raw_bytes = 0
        self._write(before(meta))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # on a full disk closing fails, too; nothing of the file is wanted
                self._file.close()
            self._spool.disk.remove(self._path)

    def add(self, line: bytes) -> None:
        """Append one line, given without its newline."""
        if b"\n" in line:
            raise InvalidInput("a spool line was given with a newline inside it; give one line at a time")
        self._write(frame(line))
        self.lines += 1
        self.raw_bytes += len(line) + 1

    def feed(self, piece: bytes | memoryview) -> None:
        """Append a piece, which holds no newline, to the line that is being written."""
        self._open()
        if self._begun is None:
            self._begun, self._fed = self._size, 0
            self._compressor = self._compressor or zstd.ZstdCompressor(options=QUICK)
        assert self._compressor is not None
        self._write(self._compressor.compress(piece))
        self._fed += len(piece)

    def end(self) -> None:
        """End the line that is being written."""
        assert self._compressor is not None
        self._write(self._compressor.compress(b"\n", zstd.ZstdCompressor.FLUSH_FRAME))
        self._begun = None
        self.lines += 1
        self.raw_bytes += self._fed + 1

    def drop(self) -> None:
        """Take the line that is being written out again."""
        if self._begun is not None:
            assert self._compressor is not None
            self._compressor.flush()
            self._open().seek(self._begun)
            self._open().truncate()
            self._size, self._begun = self._begun, None

    @property
    def at(self) -> int | None:
        """Where in the file the line that is being written began; None between lines."""
        return self._begun

    def begun(self) -> bytes:
        """Return the line that is being written, as far as it was fed."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the line that is being written, as far as it was fed, in pieces of bounded size."""
        if self._begun is not None:
            yield from self._content(self._begun)

    def sha256(self, at: int) -> str:
        """Return the hash, in hex, of the line that began at a place: one that ended, or the one that is written."""
        found = hashlib.sha256()
        for piece in self._content(at):
            found.update(piece.removesuffix(b"\n"))
        return found.hexdigest()

    def _content(self, at: int) -> Iterator[bytes]:
        file = self._open()
        if self._begun is not None:
            assert self._compressor is not None
            self._write(self._compressor.flush(zstd.ZstdCompressor.FLUSH_BLOCK))
        file.flush()
        decompressor = zstd.ZstdDecompressor()
        with self._path.open("rb") as written:
            written.seek(at)
            while not decompressor.eof and (data := written.read(_PIECE)):
                yield decompressor.decompress(data, max_length=_PIECE)
                while not (decompressor.eof or decompressor.needs_input):
                    yield decompressor.decompress(b"", max_length=_PIECE)

    def commit(self, meta: Meta | None = None) -> SpoolFile:
        """Make the file durable and visible; after this returns its lines survive a crash.

        Parameters
        ----------
        meta : Meta, optional
            What is known at the end; what was known at the beginning where it is left out.
        """
        spool, file = self._spool, self._open()
        if self._begun is not None:
            raise InvalidInput("a spool file was committed inside a line; end or drop the line first")
        trailer = behind(msgspec.structs.replace(meta or self._meta, raw_bytes=self.raw_bytes))
        self._write(trailer)
        # A failed sync leaves the `with` block by its exception: the file is dropped, never synced again.
        spool.disk.sync(file)
        file.close()
        self._file = None
        id_ = spool.next_id()
        target = spool.path / "new" / (id_ + _SUFFIX)
        spool.disk.publish(self._path, target)
        spool.disk.sync_directory(target.parent)
        return SpoolFile(id_, target, self._size)

    def _write(self, data: bytes) -> None:
        if data:
            self._open().write(data)
            self._size += len(data)

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise InvalidInput("this spool file is committed; open another writer for more lines")
        return self._file


def is_alive(process: int) -> bool:
    """Whether a process of this machine has that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _writer_is_alive(path: Place) -> bool:
    """Whether the process that a file of `tmp/` is named for lives; the clock may be wrong about the file's age."""
    process = path.name.partition("-")[0]
    return process.isdecimal() and is_alive(int(process))


def _fits(disk: Disk, place: Place) -> bool:
    return isinstance(disk, ObjectDisk) == isinstance(place, ObjectPath)


def _hashes(path: Place) -> Iterator[str]:
    """Yield the hash of each line of a file; raises where it is damaged."""
    found = hashlib.sha256()
    with path.open("rb") as file, zstd.ZstdFile(file) as opened:
        while piece := opened.read(_PIECE):
            *ends, rest = piece.split(b"\n")
            for end in ends:
                found.update(end)
                yield found.hexdigest()
                found = hashlib.sha256()
            found.update(rest)
