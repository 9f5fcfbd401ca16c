"""Trying quarantined lines again."""

from __future__ import annotations

from collections.abc import Iterable

from gpdata.lake.lake import Lake
from gpdata.lake.transform import Transformer
from gpdata.spool import Entry, Meta, SpoolFile


def replay(lake: Lake, entries: Iterable[Entry]) -> int:
    """Send quarantined lines through the spool again; an entry goes once its line is stored.

    Parameters
    ----------
    lake : Lake
        The lake.
    entries : iterable of Entry
        Entries of its quarantine. Bytes with newlines inside are no line and stay.

    Returns
    -------
    int
        How many lines are stored now.
    """
    transformer = Transformer(lake)
    sent: list[tuple[Entry, SpoolFile]] = []
    for entry in entries:
        raw = lake.quarantine.raw(entry)
        if b"\n" not in raw:
            meta = Meta(
                source=entry.source or "replay",
                owner=entry.owner,
                received_at=entry.time,
                origin=entry.origin,
                line_numbers=None if entry.line is None else (entry.line,),
                receipt=True,
            )
            sent.append((entry, transformer.spool.write([raw], meta)))
    transformer.run()
    stored = 0
    for entry, file in sent:
        account = transformer.receipt(file)
        if account is not None and not account.quarantined:
            lake.quarantine.drop(entry)
            stored += 1
    return stored
