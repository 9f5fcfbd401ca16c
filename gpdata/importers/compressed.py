"""What a stream is compressed with, told by its content, and its content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from gpdata.spool import zstd

_PIECE = 1 << 20
_LAYERS = 4
"""A compressed file inside compressed files, at most: a file that unpacks to itself has no end."""
_MAGIC = 10

COMPRESSIONS: dict[str, tuple[bytes, Callable[[BinaryIO], Any]]] = {
    "zst": (b"\x28\xb5\x2f\xfd", lambda stream: zstd.ZstdFile(stream, "rb")),
    "gz": (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream, mode="rb")),
    "xz": (b"\xfd7zXZ\x00", lambda stream: lzma.LZMAFile(stream, "rb")),  # noqa: SIM115
    "bz2": (b"BZh", lambda stream: bz2.BZ2File(stream, "rb")),
}
"""Each compression: what its streams begin with, and what opens them."""

DAMAGE = (zstd.ZstdError, lzma.LZMAError, zlib.error, EOFError, OSError)
"""What reading raises where a compressed stream, or the disk, is damaged."""


# read1 everywhere: what a damaged stream gave before it broke is lost in a read that goes on until it has enough.


class _Begun(io.RawIOBase):
    """A stream of which the beginning was read already, and perhaps what ended it."""

    def __init__(self, head: bytes, rest: Any, error: Exception | None) -> None:
        self._head, self._rest, self._error = head, rest, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from what was read, then from the stream."""
        view = memoryview(buffer)
        if not self._head and self._error is not None:
            raise self._error
        data = self._head[: len(view)] if self._head else self._rest.read1(len(view))
        self._head = self._head[len(data) :]
        view[: len(data)] = data
        return len(data)


def begun(stream: Any, size: int) -> tuple[bytes, BinaryIO]:
    """Return the first bytes of a stream, fewer only where it has no more, and the stream, still whole.

    A stream that is damaged within these bytes raises what it raised when it is read up to there.

    Examples
    --------
    >>> head, whole = begun(io.BytesIO(b"abcdef"), 3)
    >>> head, whole.read()
    (b'abc', b'abcdef')
    """
    head, damage = b"", None
    try:
        while len(head) < size and (piece := stream.read1(size - len(head))):
            head += piece
    except DAMAGE as error:
        damage = error
    return head, io.BufferedReader(_Begun(head, stream, damage), _PIECE)


def compression(head: bytes) -> str | None:
    r"""Return how a stream is compressed that begins so; None where it is not.

    Examples
    --------
    >>> compression(b"\x1f\x8b\x08..."), compression(b"uuid,generation")
    ('gz', None)
    """
    for name, (magic, _) in COMPRESSIONS.items():
        # BZh is followed by the size of its blocks and by 0x314159265359, or 0x177245385090 where it is empty.
        if head.startswith(magic) and (name != "bz2" or head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")):
            return name
    return None


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Return the stream's content, decompressed if it begins as a compressed one does, frame after frame."""
    for layer in range(_LAYERS + 1):
        head, stream = begun(stream, _MAGIC)
        name = compression(head)
        if name is None or layer == _LAYERS:
            break
        stream = COMPRESSIONS[name][1](stream)
    return stream
