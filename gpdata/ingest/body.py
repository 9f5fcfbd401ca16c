"""Bodies of requests, decompressed step by step in bounded memory, from threads that hold no step for long."""

from __future__ import annotations

import zlib
from typing import Protocol

from gpdata.spool import zstd

FREE_WINDOW = 1 << 18
"""Window of a zstd frame that needs no reservation: that of spool files."""
MOST_WINDOW = 8 << 20
"""The greatest window of a zstd frame that is taken."""

_WINDOW_LOG = 23
_HEADER_BYTES = 18
_LEAST_SLICE = 1 << 10
_MOST_SLICE = 64 << 10
"""Bytes that a decompressor is given at once: a body of a hundred thousand empty frames costs what others cost."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"


class BadBody(Exception):
    """The body is not what its Content-Encoding says, or breaks off; the message says how."""


class Decoder(Protocol):
    """Turns the bytes of a body into the bytes of its lines."""

    granted: int
    """Bytes of window that may be used."""

    def put(self, data: bytes) -> None:
        """Give the next bytes; what was given before has been read."""

    def read(self, most: int) -> bytes:
        """Return at most so many bytes; none where more must be put, or where `lacks` says so."""

    @property
    def lacks(self) -> int:
        """Bytes of window that must be granted before `read` goes on; 0 where it can."""

    def finish(self) -> None:
        """Say that nothing follows; `read` then raises `BadBody` where something should have."""


def decoder(encoding: str) -> Decoder | None:
    """Return the decoder of a Content-Encoding; None where it is not known.

    Examples
    --------
    >>> body = decoder("gzip")
    >>> body.put(zlib.compress(b"a line", wbits=31))
    >>> body.read(100)
    b'a line'
    >>> decoder("br") is None
    True
    """
    kinds: dict[str, type[Decoder]] = {
        "": _Identity,
        "identity": _Identity,
        "gzip": _Gzip,
        "x-gzip": _Gzip,
        "zstd": _Zstd,
    }
    kind = kinds.get(encoding.strip().lower())
    return None if kind is None else kind()


class _Identity:
    def __init__(self) -> None:
        self.granted = FREE_WINDOW
        self.lacks = 0
        self._data = b""

    def put(self, data: bytes) -> None:
        self._data = data

    def read(self, most: int) -> bytes:
        data, self._data = self._data[:most], self._data[most:]
        return data

    def finish(self) -> None:
        return


class _Framed:
    """What gzip members and zstd frames, one behind the other, have in common."""

    def __init__(self) -> None:
        self.granted = FREE_WINDOW
        self.lacks = 0
        self._input = b""
        self._at = 0
        self._slice = _LEAST_SLICE
        self._ended = False

    def put(self, data: bytes) -> None:
        self._input, self._at = self._input[self._at :] + data, 0

    def finish(self) -> None:
        self._ended = True

    @property
    def _has_input(self) -> bool:
        return self._at < len(self._input)

    def _next(self) -> bytes:
        """Take some input: little where a frame begins, since whoever ends it copies what it did not need."""
        data = self._input[self._at : self._at + self._slice]
        self._at += len(data)
        self._slice = min(2 * self._slice, _MOST_SLICE)
        return data

    def _end(self, unused: bytes) -> None:
        """Give back what stood behind the end of a frame."""
        self._at -= len(unused)
        self._slice = _LEAST_SLICE


class _Gzip(_Framed):
    def __init__(self) -> None:
        super().__init__()
        self._member: zlib._Decompress | None = None

    def read(self, most: int) -> bytes:
        while self._has_input:
            self._member = self._member or zlib.decompressobj(wbits=31)
            try:
                out = self._member.decompress(self._next(), most)
            except zlib.error as error:
                raise BadBody(f"the body is no gzip: {error}") from None
            if self._member.eof:
                self._end(self._member.unused_data)
                self._member = None
            else:
                self._at -= len(self._member.unconsumed_tail)
            if out:
                return out
        if self._ended and self._member is not None:
            raise BadBody("the body breaks off inside a gzip member")
        return b""


class _Zstd(_Framed):
    def __init__(self) -> None:
        super().__init__()
        self._frame: zstd.ZstdDecompressor | None = None

    def read(self, most: int) -> bytes:
        self.lacks = 0
        while self._ready():
            assert self._frame is not None
            try:
                out = self._frame.decompress(self._next() if self._frame.needs_input else b"", most)
            except zstd.ZstdError as error:
                raise BadBody(f"the body is no zstd: {error}") from None
            if self._frame.eof:
                self._end(self._frame.unused_data)
                self._frame = None
            if out:
                return out
        if self._ended and not self.lacks and (self._has_input or self._frame is not None):
            raise BadBody("the body breaks off inside a zstd frame")
        return b""

    def _ready(self) -> bool:
        if self._frame is not None:
            return self._has_input or not self._frame.needs_input
        header = self._input[self._at : self._at + _HEADER_BYTES]
        if not header or (len(header) < _HEADER_BYTES and not self._ended):
            return False
        needed = window(header)
        if needed > MOST_WINDOW:
            raise BadBody(
                f"a zstd frame needs a window of {needed:,} bytes; at most {MOST_WINDOW:,} are taken: "
                "compress with a level of 19 or less, and without --long"
            )
        if needed > self.granted:
            self.lacks = needed - self.granted
            return False
        self._frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        return True


def window(header: bytes) -> int:
    """Return the window that a zstd frame needs, by its first 18 bytes (RFC 8878, section 3.1.1.1).

    Examples
    --------
    >>> window(zstd.compress(b"short"))
    5
    """
    if header[1:4] == _SKIPPABLE and header[0] >> 4 == 5:
        return 0
    if not header.startswith(_ZSTD_MAGIC):
        raise BadBody("the body is no zstd: no frame begins where one should")
    header = header.ljust(_HEADER_BYTES, b"\0")
    descriptor = header[4]
    if not descriptor & 0x20:
        base = 1 << (10 + (header[5] >> 3))
        return base + base // 8 * (header[5] & 7)
    start = 5 + (0, 1, 2, 4)[descriptor & 3]
    width = (1, 2, 4, 8)[descriptor >> 6]
    size = int.from_bytes(header[start : start + width], "little")
    return size + 256 if width == 2 else size
