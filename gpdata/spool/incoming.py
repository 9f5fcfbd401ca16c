"""Lines on their way in, piece by piece, from a socket or a request into a spool file, in bounded memory.

Of each line two things are learnt as it passes: its key and its length. A `Ledger` says what the key means; where
there is a line of that key already, the SHA-256 of both are compared. Whether the line makes rows is decided later,
by the transform.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, Protocol

import msgspec

from gpdata.spool.meta import Key, Meta
from gpdata.spool.spool import SpoolFile, SpoolWriter
from gpdata.wire import KeyFinder, Limits, Rejection, identify, skim

STORED: Final = "stored"
DUPLICATE: Final = "duplicate"
REFUSED: Final = "refused"
_READ_STRICTLY = 1 << 20
"""A line up to this length is read as the transform will, where its key cannot be told while it passes."""
_READ_WHOLE = 64 << 20
"""A line up to this length is skimmed then; what is odd in it, or missing, the transform finds."""

_ONE_AT_A_TIME = threading.Lock()  # bounds the memory of a server that many such lines reach at once


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one line; the answer to an upload is made of these."""

    line: int
    """From 1; blank lines count."""
    result: Literal["stored", "duplicate", "refused"]
    run_uuid: str | None = None
    generation: int | None = None
    code: str | None = None
    """Why it is refused; `conflict` where it is stored, and will be set aside for another line of its key."""
    detail: str | None = None


class Ledger(Protocol):
    """Knows whose a run is, and which lines are on the disk."""

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        """Say why this owner may not add to this run; None where it is new, or theirs."""

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        """Return the hash of the line that is durable for this key; None where there is none."""


class Anything:
    """The ledger of who knows nothing: every line is taken."""

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        """Return None."""
        return None

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        """Return None."""
        return None


@dataclass(slots=True)
class _Line:
    finder: KeyFinder
    size: int = 0
    blank: bool = True
    held: bytes = b""
    """A carriage return that may belong to the line's end."""


class Incoming:
    """One spool file of lines that come in pieces; `commit` makes them durable, leaving them out drops them.

    Parameters
    ----------
    writer : SpoolWriter
        An empty spool file, opened with `meta`.
    meta : Meta
        What the channel knows of the lines.
    ledger : Ledger
        Says which lines are refused, and which are there already.
    limits : Limits
        What a line may be at most.
    aside : callable, optional
        Takes a refused line's bytes, in pieces, before they are dropped; of a line that is too long the first
        `limits.line_bytes`. Left out where the sender is told and has the line.

    Attributes
    ----------
    outcomes : list of Outcome
        One for each line that ended, blank ones left out.
    bytes : int
        Bytes fed, newlines included.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        meta: Meta,
        ledger: Ledger,
        limits: Limits,
        *,
        aside: Callable[[Rejection, Iterator[bytes]], object] | None = None,
    ) -> None:
        self._writer, self._meta, self._ledger, self._limits = writer, meta, ledger, limits
        self._aside = aside
        self._line: _Line | None = None
        self._too_long = False
        self._number = 0
        self._keys: list[Key | None] = []
        self._own: dict[tuple[str, int], int | str] = {}
        """Where the first line of a key began in the file, or its hash once that was asked for."""
        self.outcomes: list[Outcome] = []
        self.bytes = 0

    @property
    def lines(self) -> int:
        """How many lines ended, blank ones included."""
        return self._number

    @property
    def inside(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._line is not None or self._too_long

    def feed(self, data: bytes) -> None:
        """Take the next bytes, with the newlines among them."""
        self.bytes += len(data)
        view, start = memoryview(data), 0
        while (end := data.find(b"\n", start)) >= 0:
            self._piece(view[start:end])
            self._end(newline=True)
            start = end + 1
        self._piece(view[start:])

    def finish(self) -> None:
        """Take what came last as a line although no newline followed, unless nothing did."""
        if self.inside:
            self._end(newline=False)

    def begun(self) -> Iterator[bytes]:
        """Yield the line that has begun, as far as it came, in pieces; nothing of one that is too long."""
        yield from self._writer.pieces()
        if self._line is not None and self._line.held:
            yield self._line.held

    def whole(self) -> bool:
        """Say whether the line that has begun is a generation as it stands, lacking its newline only."""
        if self._line is None or self._line.size > _READ_WHOLE:
            return False
        return isinstance(self._read(self._line.size, b"".join(self.begun())), tuple)

    def torn(self) -> bytes:
        """Take the line that has begun out again and return it, where its end will never come."""
        raw = b"".join(self.begun())
        self._line, self._too_long = None, False
        self._writer.drop()
        return raw

    def commit(self) -> SpoolFile | None:
        """Make the stored lines durable; None where there is none, and nothing is written then."""
        if not self._writer.lines:
            return None
        keys = tuple(key for key in self._keys if key is not None) if None not in self._keys else None
        return self._writer.commit(msgspec.structs.replace(self._meta, keys=keys))

    def keys(self) -> list[Key]:
        """Return the keys of the stored lines, as far as they could be told."""
        return [key for key in self._keys if key is not None]

    def _piece(self, piece: memoryview) -> None:
        if not len(piece) or self._too_long:
            return
        line = self._line = self._line or _Line(KeyFinder())
        if line.held:
            self._add(line, line.held)
            line.held = b""
        if bytes(piece[-1:]) == b"\r":
            line.held, piece = b"\r", piece[:-1]
        self._add(line, piece)

    def _add(self, line: _Line, piece: bytes | memoryview) -> None:
        if line.size + len(piece) > self._limits.line_bytes:
            self._put_aside(self._long(), bytes(piece[: self._limits.line_bytes - line.size]))
            self._too_long, self._line = True, None
            self._writer.drop()
        elif len(piece):
            line.size += len(piece)
            line.blank = line.blank and not (bytes(piece[:64]).strip() or bytes(piece).strip())
            line.finder.feed(piece)
            self._writer.feed(piece)

    def _end(self, *, newline: bool) -> None:
        self._number += 1
        if (line := self._line) is not None and line.held and not newline:
            self._add(line, line.held)
        line, self._line = self._line, None
        if self._too_long:
            self._too_long = False
            self._refuse(self._long())
        elif line is not None:
            self._judge(line)

    def _judge(self, line: _Line) -> None:
        if line.blank:
            self._writer.drop()
            return
        found = line.finder.key()
        if found is None and line.size <= _READ_WHOLE:
            read = self._read(line.size, self._writer.begun())
            if isinstance(read, Rejection):
                self._put_aside(read)
                self._writer.drop()
                self._refuse(read)
                return
            found = read
        if found is None:
            self._keep(None, None)
            return
        refusal = self._ledger.refusal(*found, self._meta.owner)
        if refusal is not None:
            self._put_aside(refusal)
            self._writer.drop()
            self._refuse(refusal)
        else:
            self._compare(found)

    def _compare(self, key: tuple[str, int]) -> None:
        """Keep a line, unless the one that is there of its key is the same."""
        at = self._writer.at
        assert at is not None
        stored = self._ledger.sha256(*key) or self._before(key)
        if stored is None:
            self._own[key] = at
            self._keep(Key(*key), None)
        elif (sha256 := self._writer.sha256(at)) == stored:
            self._writer.drop()
            self.outcomes.append(Outcome(self._number, DUPLICATE, *key))
        else:
            self._own.setdefault(key, sha256)
            self._keep(Key(*key, sha256), stored)

    def _before(self, key: tuple[str, int]) -> str | None:
        """Return the hash of the first line of a key in this file."""
        found = self._own.get(key)
        if isinstance(found, int):
            found = self._own[key] = self._writer.sha256(found)
        return found

    def _read(self, size: int, line: bytes) -> tuple[str, int] | Rejection | None:
        """Return the key of a line, why it has none, or None where that takes more than a server should spend."""
        with _ONE_AT_A_TIME:
            return identify(line, self._limits) if size <= _READ_STRICTLY else skim(line, self._limits)

    def _keep(self, key: Key | None, stored: str | None) -> None:
        self._writer.end()
        self._keys.append(key)
        outcome = Outcome(self._number, STORED, key.run_uuid if key else None, key.generation if key else None)
        if stored is not None:
            outcome = msgspec.structs.replace(
                outcome,
                code="conflict",
                detail=f"generation {outcome.generation} of run {outcome.run_uuid} is stored with the SHA-256 "
                f"{stored}; the first one stays, this line goes to the quarantine",
            )
        self.outcomes.append(outcome)

    def _long(self) -> Rejection:
        return Rejection(
            "too_long", f"the line is longer than {self._limits.line_bytes:,} bytes; record fewer individuals a line"
        )

    def _put_aside(self, rejection: Rejection, last: bytes = b"") -> None:
        if self._aside is not None:
            self._aside(rejection, chain(self._writer.pieces(), (last,)))

    def _refuse(self, rejection: Rejection) -> None:
        self.outcomes.append(
            Outcome(self._number, REFUSED, rejection.run_uuid, rejection.generation, rejection.code, rejection.detail)
        )
