"""The bytes of a spool file: each line its own zstd frame with a checksum.

`zstdcat` reads the file as plain newline-delimited JSON. A damaged frame costs its own line only: the next
frame is found by its magic number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpdata.spool import zstd

MAGIC = b"\x28\xb5\x2f\xfd"
_QUICK = zstd.CHECKED | {zstd.CompressionParameter.compression_level: 1}


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a spool file that are no readable frame."""

    raw: bytes
    reason: str


def frame(line: bytes) -> bytes:
    """Compress one line (without its newline) into a frame of its own.

    Examples
    --------
    >>> list(lines(frame(b"one") + frame(b"two")))
    [b'one', b'two']
    """
    return zstd.compress(line + b"\n", options=_QUICK)


def lines(data: bytes) -> Iterator[bytes | Damage]:
    """Yield the lines of a spool file in order, and its damaged stretches where they stand."""
    view = memoryview(data)
    position = 0
    while position < len(data):
        try:
            end = position + zstd.get_frame_size(view[position:])
            content = zstd.decompress(view[position:end])
        except zstd.ZstdError as error:
            end = data.find(MAGIC, position + 1)
            end = len(data) if end < 0 else end
            yield Damage(data[position:end], str(error))
        else:
            yield content.removesuffix(b"\n")
        position = end
