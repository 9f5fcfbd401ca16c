"""What an outbox tells people: what waits, how long, what the server says, what was refused."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec

from gpdata.spool import Entry
from gpdata.upload.outbox import Outbox, State, written_at


class Waiting(msgspec.Struct, frozen=True):
    """What has no answer yet."""

    files: int
    lines: int
    bytes: int
    """As they lie on the disk, compressed."""
    oldest: datetime | None


class Status(msgspec.Struct, frozen=True):
    """An outbox, at one moment."""

    outbox: str
    server: str
    sending: bool
    """Whether some process sends now."""
    waiting: Waiting
    last: State | None
    """What the process that sends, or sent last, says of itself."""
    refused: dict[str, int]
    """How many lines are in the outbox's quarantine, by the reason's code."""
    newest_refusals: list[Entry]


def status_of(outbox: Outbox, server: str, *, refusals: int = 5) -> Status:
    """Return what an outbox tells people.

    Parameters
    ----------
    outbox : Outbox
        The outbox, of this process or of another.
    server : str
        The address that it sends to.
    refusals : int, optional
        How many of the newest refused lines are told in full.

    Returns
    -------
    Status
        What waits and what happened, as the disk tells it.
    """
    entries = list(outbox.quarantine.entries())
    entries.sort(key=lambda entry: entry.time or datetime.min.replace(tzinfo=UTC), reverse=True)
    return Status(
        outbox=str(outbox.path),
        server=server,
        sending=outbox.busy(),
        waiting=waiting_in(outbox),
        last=outbox.state(),
        refused=dict(Counter(entry.code for entry in entries)),
        newest_refusals=entries[:refusals],
    )


def waiting_in(outbox: Outbox) -> Waiting:
    """Return what waits in an outbox.

    Parameters
    ----------
    outbox : Outbox
        The outbox.

    Returns
    -------
    Waiting
        Files, lines, bytes, and when the oldest was written; a file whose lines were not told apart counts as one.
    """
    files = outbox.spool.pending()
    lines = 0
    for file in files:
        try:
            meta = outbox.spool.meta(file)
        except FileNotFoundError:  # sent meanwhile
            continue
        lines += 1 if meta is None or meta.keys is None else len(meta.keys)
    return Waiting(len(files), lines, sum(file.size for file in files), written_at(files[0]) if files else None)
