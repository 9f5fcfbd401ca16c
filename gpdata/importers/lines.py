"""The lines of a stream, compressed or not, told by content, of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from gpdata.importers.compressed import DAMAGE, decompressed

__all__ = ["BrokenSource", "Line", "LongLine", "Unreadable", "decompressed", "lines", "text_lines"]

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


class Unreadable(Exception):
    """A text of lines cannot be read further.

    Parameters
    ----------
    number : int
        The line in which it ends, from 1.
    begun : bytes
        What was read of that line.
    code, reason : str
        Why: `source_damaged` or `too_long`, and in words.
    """

    def __init__(self, number: int, begun: bytes, code: str, reason: str) -> None:
        super().__init__(reason)
        self.number, self.begun, self.code, self.reason = number, begun, code, reason


def text_lines(stream: BinaryIO, *, limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield each line of a stream with its number, from 1, newline and blank lines included.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest line.

    Raises
    ------
    Unreadable
        The stream is damaged, or a line is too long.
    """
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(limit + 1)
        except DAMAGE as error:
            raise Unreadable(number, b"", "source_damaged", f"{type(error).__name__}: {error}") from error
        if not line:
            return
        if len(line) > limit and not line.endswith(b"\n"):
            raise Unreadable(number, line, "too_long", f"the line is longer than {limit:,} bytes")
        yield number, line


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

    def __init__(self, stream: Any) -> None:
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
            self._buffer = self._stream.read1(_PIECE)
        except DAMAGE as error:
            self._buffer = b""
            self.broken = f"{type(error).__name__}: {error}"
        return bool(self._buffer)
