"""The lines of a recorder stream: plain, zstd or gzip, told by content, of any length, in bounded memory."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gpdata.spool import zstd

_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its newline."""

    number: int
    """From 1; blank lines count."""
    content: bytes


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line longer than the limit: its pieces must be taken before the next line is asked for."""

    number: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class BrokenSource:
    """The end of what could be read: decompression failed within this line."""

    number: int
    content: bytes
    """What was read of the line; it can be empty."""
    reason: str


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Return the stream's content, decompressed if it begins as zstd or gzip does, frame after frame."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    head = buffered.peek(4)[:4]
    if head.startswith(_ZSTD):
        return zstd.ZstdFile(buffered, "rb")  # type: ignore[return-value]
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=buffered, mode="rb")  # type: ignore[return-value]
    return buffered


def lines(stream: BinaryIO, *, limit: int) -> Iterator[Line | LongLine | BrokenSource]:
    """Yield the lines of a stream that are not blank, a torn last one included.

    Parameters
    ----------
    stream : binary file
        As it comes: compressed or not.
    limit : int
        Bytes of the longest line that is held in memory.

    Yields
    ------
    Line, LongLine or BrokenSource
        In order; `BrokenSource` only as the last.
    """
    reader = _Reader(decompressed(stream))
    number = 0
    while True:
        number += 1
        content, ended = reader.line(limit)
        if reader.broken is not None and not ended:
            yield BrokenSource(number, content, reader.broken)
            return
        if len(content) > limit:
            rest = reader.rest(content) if not ended else iter([content])
            yield LongLine(number, rest)
            continue
        if content.strip():
            yield Line(number, content.removesuffix(b"\r") if ended else content)
        if not ended:
            return


class _Reader:
    """Pieces of a stream joined into lines."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._position = 0
        self.broken: str | None = None

    def line(self, limit: int) -> tuple[bytes, bool]:
        """Return a line and True, or what was read of it when the limit or the stream's end came, and False."""
        parts: list[bytes] = []
        size = 0
        while size <= limit:
            end = self._buffer.find(b"\n", self._position)
            part = self._buffer[self._position : end if end >= 0 else None]
            parts.append(part)
            size += len(part)
            if end >= 0:
                self._position = end + 1
                return b"".join(parts), True
            if not self._more():
                break
        return b"".join(parts), False

    def rest(self, begun: bytes) -> Iterator[bytes]:
        """Yield the pieces of a line of which the beginning was read already."""
        yield begun
        ended = False
        while not ended:
            piece, ended = self.line(_PIECE)
            yield piece
            if not piece and not ended:
                return

    def _more(self) -> bool:
        self._position = 0
        try:
            self._buffer = self._stream.read(_PIECE)
        except (zstd.ZstdError, gzip.BadGzipFile, EOFError, OSError) as error:
            self._buffer = b""
            self.broken = f"{type(error).__name__}: {error}"
        return bool(self._buffer)
