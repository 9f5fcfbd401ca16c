"""The bytes of a spool file: each line its own zstd frame with a checksum, between two frames of notes.

`zstdcat` reads the file as plain newline-delimited JSON: the notes, what the channel knows of the lines, are
in skippable frames. A damaged frame costs its own line only: the next frame is found by its magic number.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gpdata.spool import zstd

_LINE = b"\x28\xb5\x2f\xfd"
_NOTE = b"\x57\x2a\x4d\x18"  # one of the sixteen magic numbers of a skippable frame
_MAGIC = re.compile(b"|".join(map(re.escape, (_LINE, _NOTE))))
_HEAD = struct.Struct("<4sII")  # magic, length of what follows, CRC-32 of the note
_CRC_BYTES = 4

# A window of 256 KiB keeps a compressor below half a megabyte, for some hundred uploads at once.
QUICK: dict[int, int] = zstd.CHECKED | {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.window_log: 18,
}
"""Options of a line's frame."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a spool file that are no readable frame."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a skippable frame holds."""

    content: bytes


def frame(line: bytes) -> bytes:
    """Compress one line (without its newline) into a frame of its own.

    Examples
    --------
    >>> list(frames(frame(b"one") + note(b"about") + frame(b"two")))
    [b'one', Note(content=b'about'), b'two']
    """
    return zstd.compress(line + b"\n", options=QUICK)


def note(content: bytes) -> bytes:
    """Wrap bytes into a skippable frame with a checksum."""
    return _HEAD.pack(_NOTE, len(content) + _CRC_BYTES, zlib.crc32(content)) + content


def frames(data: bytes, skip: int = 0) -> Iterator[bytes | Note | Damage]:
    """Yield the lines and notes of a spool file in order, and its damaged stretches where they stand.

    Of the first `skip` lines and damaged stretches empty bytes are yielded: no memory is needed for them.
    """
    view = memoryview(data)
    position = 0
    while position < len(data):
        if (found := first_note(view[position:])) is not None:
            end = position + _HEAD.size + len(found.content)
            yield found
        else:
            try:
                end = position + zstd.get_frame_size(view[position:])
                content = zstd.decompress(view[position:end]) if skip <= 0 else b"\n"
            except zstd.ZstdError as error:
                end = _next(data, position)
                yield Damage(data[position:end], str(error))
            else:
                # An empty frame is a skippable one whose checksum is wrong: a line has at least its newline.
                yield content.removesuffix(b"\n") if content else Damage(data[position:end], "a damaged note")
            skip -= 1
        position = end


def first_note(data: bytes | memoryview) -> Note | None:
    """Return the note with which the data begin; None where they begin otherwise, or it is damaged."""
    if len(data) < _HEAD.size:
        return None
    magic, length, crc = _HEAD.unpack_from(data)
    content = bytes(data[_HEAD.size : 8 + length])
    if magic != _NOTE or len(content) != length - _CRC_BYTES or zlib.crc32(content) != crc:
        return None
    return Note(content)


def _next(data: bytes, position: int) -> int:
    found = _MAGIC.search(data, position + 1)
    return len(data) if found is None else found.start()
