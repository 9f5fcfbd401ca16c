"""What stands in a file: its own lines, or those of the files in an archive, read as a stream.

Compression, archives and formats are told by content. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from gpdata.importers.compressed import DAMAGE, begun, decompressed
from gpdata.importers.formats import FORMATS, HEAD_BYTES, Format, format_of
from gpdata.importers.items import Refused, wire_lines
from gpdata.importers.lines import BrokenSource, Line, LongLine, lines
from gpdata.importers.names import Pattern, UnfitName

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BLOCK = 512
_NESTED = 3
"""Archives inside archives, at most."""
_KNOWN = "valid are " + ", ".join(found.title for found in FORMATS.values())


@dataclass(frozen=True, slots=True)
class Member:
    """The lines that follow are of this file."""

    origin: str
    """The file; of an archive, its path and the name inside."""
    format: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A file, or a file of an archive, that is not read, or not to its end."""

    origin: str
    reason: str
    refused: bool
    """Whether somebody should know: it is damaged, or was named and has no known format."""


Event = Member | Line | Refused | Passed


@dataclass(frozen=True, slots=True)
class Reading:
    """How sources are read.

    Parameters
    ----------
    limit : int
        Bytes of the longest line.
    pattern : Pattern, optional
        What names say; formats that say it themselves are not held to it.
    given : dict
        What the command says of every run's configuration.
    formats : collection of str
        The formats that are taken; files of others are passed by.
    """

    limit: int
    pattern: Pattern | None = None
    given: dict[str, Any] | None = None
    formats: Collection[str] = tuple(FORMATS)
    streams_only: bool = False
    """Whether everything is a recorder stream, compressed or not, whatever it looks like."""


def events(stream: BinaryIO, origin: str, reading: Reading, *, named: bool, depth: int = 0) -> Iterator[Event]:
    """Yield what stands in a file.

    Parameters
    ----------
    stream : binary file
        As it lies on the disk; a zip archive must be seekable.
    origin : str
        What it is called, for people, and for the pattern.
    reading : Reading
        How it is read.
    named : bool
        Whether somebody named it: then it is an error that its format is not known.
    depth : int
        In how many archives it lies.

    Yields
    ------
    Event
        In the order of the file.
    """
    if reading.streams_only:
        yield Member(origin, "recorder")
        yield from _content(stream, FORMATS["recorder"], origin, reading)
        return
    try:
        seekable = depth == 0 and stream.seekable()
        head, stream = begun(stream, _BLOCK) if not seekable else (_peek(stream), stream)
        if head.startswith(_ZIP):
            yield from _zip(stream, origin, reading, depth, seekable)
            return
        head, content = begun(decompressed(stream), HEAD_BYTES)
        if head.startswith(_ZIP):
            yield from _zip(content, origin, reading, depth, False)
        elif _is_tar(head):
            yield from _tar(content, origin, reading, depth)
        elif not head.strip(b"\0 \r\n\t"):
            _whole(head, content)
            yield Passed(origin, "it is empty", False)
        elif (found := format_of(head)) is None:
            _whole(head, content)
            yield Passed(origin, f"its content is of no known format; {_KNOWN}", named)
        elif found.name not in reading.formats:
            yield Passed(origin, f"it is a {found.title}, which is not asked for", False)
        else:
            yield Member(origin, found.name)
            yield from _content(content, found, origin, reading)
    except DAMAGE as error:
        yield Passed(origin, f"it is damaged: {type(error).__name__}: {error}; get the file again", True)


def _whole(head: bytes, content: BinaryIO) -> None:
    """Raise where a file gives so little because it is damaged."""
    if len(head) < HEAD_BYTES:
        content.read()


def _peek(stream: BinaryIO) -> bytes:
    head = stream.read(_BLOCK)
    stream.seek(0)
    return head


def _content(content: BinaryIO, found: Format, origin: str, reading: Reading) -> Iterator[Event]:
    if found.read is None:
        for line in lines(content, limit=reading.limit):
            yield line if isinstance(line, Line) else _refused(line, origin, reading.limit)
        return
    given = dict(reading.given or {})
    if reading.pattern is not None:
        try:
            said = reading.pattern.read(origin)
        except UnfitName as error:
            yield Passed(origin, str(error), True)
            return
        given = said | given | {"argmap": said.get("argmap", {}) | given.get("argmap", {})}
    yield from wire_lines(found.read(content, reading.limit), tag=found.name, given=given, limit=reading.limit)


def _refused(line: LongLine | BrokenSource, origin: str, limit: int) -> Refused:
    if isinstance(line, LongLine):
        detail = (
            f"the line is longer than {limit:,} bytes; "
            "raise GPDATA_MAX_LINE_BYTES and import the file again if it is right"
        )
        return Refused(line.number, line.pieces, "too_long", detail)
    detail = (
        f"{origin} is damaged within line {line.number}: {line.reason}; "
        "what follows cannot be read: get the file again and import it again"
    )
    return Refused(line.number, line.content, "source_damaged", detail)


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _too_deep(origin: str, depth: int) -> Passed | None:
    if depth < _NESTED:
        return None
    return Passed(origin, f"it is an archive inside {_NESTED} others; valid are at most {_NESTED}: unpack it", True)


def _tar(content: BinaryIO, origin: str, reading: Reading, depth: int) -> Iterator[Event]:
    if (passed := _too_deep(origin, depth)) is not None:
        yield passed
        return
    try:
        with tarfile.open(fileobj=cast(Any, content), mode="r|") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would remember every name for ever
                opened = archive.extractfile(member) if member.isreg() else None
                if opened is not None:
                    name = f"{origin}/{member.name}"
                    yield from events(cast(BinaryIO, opened), name, reading, named=False, depth=depth + 1)
    except tarfile.TarError as error:
        yield Passed(origin, f"the archive is damaged: {error}; get it again: what follows cannot be read", True)


def _zip(content: BinaryIO, origin: str, reading: Reading, depth: int, seekable: bool) -> Iterator[Event]:
    if not seekable:
        reason = "a zip archive that is compressed, or inside another archive, cannot be read as a stream: unpack it"
        yield Passed(origin, reason, True)
        return
    try:
        with zipfile.ZipFile(content) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                name = f"{origin}/{member.filename}"
                try:
                    with archive.open(member) as opened:
                        yield from events(cast(BinaryIO, opened), name, reading, named=False, depth=depth + 1)
                except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                    yield Passed(name, f"it cannot be unpacked: {error}", True)
    except zipfile.BadZipFile as error:
        yield Passed(origin, f"the archive is damaged: {error}; get it again", True)
