"""The work of an import: units, each a file, and what one that loads them into the spool tells.

A unit may be loaded twice, or half, by whomever: its lines are in the lake once, because the lake has one row for
each run and generation.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gpdata.errors import GpdataError
from gpdata.importers.items import Refused
from gpdata.importers.names import Pattern
from gpdata.importers.sources import Event, Member, Passed, Reading, events
from gpdata.lake import Lake
from gpdata.spool import Meta, SpoolWriter
from gpdata.storage import as_place

STANDARD_INPUT = "-"


class Order(msgspec.Struct, frozen=True):
    """What all units of an import have in common."""

    lake: str
    owner: str | None
    max_line_bytes: int
    file_bytes: int
    """Raw bytes after which a spool file is closed: what is read of a source is safe from there on."""
    pattern: str | None = None
    given: dict[str, Any] = {}
    formats: tuple[str, ...] = ()
    streams_only: bool = False

    def reading(self) -> Reading:
        """Return how sources are read."""
        pattern = None if self.pattern is None else Pattern(self.pattern)
        return Reading(self.max_line_bytes, pattern, self.given, self.formats, self.streams_only)


class Unit(msgspec.Struct, frozen=True):
    """A file to load, or standard input."""

    path: str
    named: bool = True
    """Whether somebody named it, and did not find it in a directory."""
    done: int = 0
    """How many of its lines, in the order of the file, are in the lake or in the quarantine already."""


class Wrote(msgspec.Struct, frozen=True, tag="wrote"):
    """A spool file with the unit's next lines is durable."""

    id: str
    raw_bytes: int
    done: int
    """As in `Unit`, with those of this file."""
    position: int
    """Bytes of the unit's file that are read."""


class SetAside(msgspec.Struct, frozen=True, tag="set-aside"):
    """A line, or a generation, is in the quarantine."""

    origin: str
    line: int
    code: str
    detail: str


class PassedBy(msgspec.Struct, frozen=True, tag="passed-by"):
    """A file, or a file of an archive, is not read, or not to its end."""

    origin: str
    reason: str
    refused: bool


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A file of that format is being read."""

    origin: str
    format: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The unit is read to its end."""

    done: int


class Broke(msgspec.Struct, frozen=True, tag="broke"):
    """The import cannot go on: the disk is full, the lake is damaged."""

    reason: str


Told = Wrote | SetAside | PassedBy | Began | Ended | Broke


def load(unit: Unit, order: Order, lake: Lake, reading: Reading) -> Iterator[Told]:
    """Load a unit into the lake's spool, and tell what happens.

    Parameters
    ----------
    unit : Unit
        The file.
    order : Order
        The import's settings.
    lake : Lake
        The lake.
    reading : Reading
        `order.reading()`, made once.

    Yields
    ------
    Told
        `Ended` as the last; whoever stops before loses nothing, and loads again.
    """
    with ExitStack() as stack:
        try:
            stream: BinaryIO = (
                sys.stdin.buffer if unit.path == STANDARD_INPUT else stack.enter_context(as_place(unit.path).open("rb"))
            )
        except OSError as error:
            yield PassedBy(unit.path, f"it cannot be opened: {error.strerror or error}", True)
            yield Ended(unit.done)
            return
        loader = _Loader(unit, order, lake, stream)
        stack.callback(loader.drop)
        found = _survived(events(stream, unit.path, reading, named=unit.named), unit.path)
        for event in found:
            yield from loader.take(event)
        yield from loader.close()
        yield Ended(max(loader.done, unit.done))


def _survived(found: Iterator[Event], path: str) -> Iterator[Event]:
    """Yield what stands in a file; where gpdata's own code fails on it, say so, and let the other files go on."""
    try:
        yield from found
    except (OSError, MemoryError, GpdataError):
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        reason = f"gpdata failed on it ({type(error).__name__}: {error}, at {place}); what stands behind is not read"
        yield Passed(path, f"{reason}: please report this with the file", True)


class _Loader:
    """Lines of one unit on their way into spool files."""

    def __init__(self, unit: Unit, order: Order, lake: Lake, stream: BinaryIO) -> None:
        self._unit, self._order, self._lake, self._stream = unit, order, lake, stream
        self._spool = lake.spool()
        self._writer: SpoolWriter | None = None
        self._numbers: list[int] = []
        self._origin = unit.path
        self.done = 0

    def take(self, event: Event) -> Iterator[Told]:
        """Take what stands next in the file."""
        if isinstance(event, Member):
            yield from self.close()
            self._origin = event.origin
            yield Began(event.origin, event.format)
            return
        if isinstance(event, Passed):
            yield PassedBy(event.origin, event.reason, event.refused)
            return
        self.done += 1
        if self.done <= self._unit.done:
            if isinstance(event, Refused) and not isinstance(event.raw, bytes):
                for _ in event.raw:  # the pieces must be taken before the next line is read
                    pass
            return
        if isinstance(event, Refused):
            yield self._set_aside(event)
            return
        if self._writer is None:
            self._writer = self._spool.writer(self._meta())
        self._writer.add(event.content)
        self._numbers.append(event.number)
        if self._writer.raw_bytes >= self._order.file_bytes:
            yield from self.close()

    def close(self) -> Iterator[Told]:
        """Make what was taken durable."""
        if self._writer is not None:
            size = self._writer.raw_bytes
            file = self._writer.commit(self._meta())
            self._writer, self._numbers = None, []
            yield Wrote(file.id, size, self.done, self._stream.tell() if self._stream.seekable() else 0)

    def drop(self) -> None:
        """Leave no unfinished file behind."""
        if self._writer is not None:
            self._writer.__exit__(None, None, None)

    def _set_aside(self, refused: Refused) -> SetAside:
        self._lake.quarantine.add(
            refused.raw, code=refused.code, detail=refused.detail, source="import", origin=self._origin,
            line=refused.number, owner=self._order.owner,
        )  # fmt: skip
        return SetAside(self._origin, refused.number, refused.code, refused.detail)

    def _meta(self) -> Meta:
        return Meta(
            source="import", owner=self._order.owner, origin=self._origin, line_numbers=tuple(self._numbers),
            receipt=True,
        )  # fmt: skip
