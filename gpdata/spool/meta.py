"""What the channel knows of the lines of a spool file, and how it stands in the file: before them and behind."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

import msgspec

from gpdata.spool.frames import first_note, note

_HEAD_BYTES = 64 << 10
_LENGTH = b"%010d"
_LENGTH_BYTES = len(note(_LENGTH % 0))


class Key(msgspec.Struct, frozen=True, array_like=True):
    """A line as far as it was read when it was taken in."""

    run_uuid: str
    generation: int
    sha256: str | None = None
    """Of the line without its newline, in hex; None where nobody asked for it yet, see `Spool.keys`."""


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the channel knows about the lines of one spool file."""

    source: str
    """The way in: import, recorder, upload, plain."""
    owner: str | None = None
    received_at: datetime | None = None
    origin: str | None = None
    """Where the lines came from, for people: a file, an address."""
    line_numbers: tuple[int, ...] | None = None
    """The number of each line in its origin, from 1."""
    raw_bytes: int | None = None
    """Size of the lines before compression; the writer fills it in."""
    receipt: bool = False
    """Whether the writer waits for an account of what became of each line."""
    keys: tuple[Key, ...] | None = None
    """The lines, where the channel told them apart; a file that has lines it could not has None."""


def before(meta: Meta) -> bytes:
    """Return what stands before the lines: what is known when the file is opened."""
    return note(msgspec.json.encode(meta))


def behind(meta: Meta) -> bytes:
    """Return what stands behind the lines: what is known at the end, and how long that is, to find it from there."""
    trailer = note(msgspec.json.encode(meta))
    return trailer + note(_LENGTH % len(trailer))


def read_meta(file: BinaryIO, size: int) -> Meta | None:
    """Return what stands behind the lines, else before them; None where neither can be read."""
    return _meta(_trailer(file, size)) or _meta(file.read(_HEAD_BYTES))


def _trailer(file: BinaryIO, size: int) -> bytes:
    """Return the note behind the lines, as far as it can be found; the file is at its beginning afterwards."""
    file.seek(max(0, size - _LENGTH_BYTES))
    length = first_note(file.read())
    found = b""
    if length is not None and length.content.isdigit():
        file.seek(max(0, size - _LENGTH_BYTES - int(length.content)))
        found = file.read(int(length.content))
    file.seek(0)
    return found


def _meta(data: bytes) -> Meta | None:
    found = first_note(data)
    if found is None:
        return None
    try:
        return msgspec.json.decode(found.content, type=Meta)
    except msgspec.DecodeError:
        return None
