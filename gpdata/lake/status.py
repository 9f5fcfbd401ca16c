"""How a spool and the transform behind it are doing."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from gpdata.lake.lake import Lake
from gpdata.spool import Spool
from gpdata.spool.room import Room
from gpdata.storage import Place

LATE = 60.0
"""Seconds after which a file that waits is a sign that something is wrong."""
_DAY = 24 * 3600.0


class State(msgspec.Struct, frozen=True):
    """What `gpdata spool status` tells."""

    spool: str
    pending_files: int
    pending_bytes: int
    oldest_seconds: float | None
    """For how long the oldest complete file has waited: how far readers are behind."""
    retired_files: int
    retired_bytes: int
    quarantined: int
    quarantined_today: int
    free: int
    keep_free: int
    follower: int | None
    """The process that follows the spool; None where none does."""
    writer: int | None
    """The process that writes to the lake at this moment."""
    compaction: int | None
    batch: int
    batch_seconds: float | None
    """Since the table of generations was last changed."""


def state(lake: Lake, spool: Spool, room: Room) -> State:
    """Look at a lake and a spool.

    Parameters
    ----------
    lake : Lake
        The lake.
    spool : Spool
        The spool that is transformed into it.
    room : Room
        The disk of the spool.
    """
    now = time.time()
    pending, retired = spool.pending(), spool.retired()
    ages = list(_ages((file.path for file in pending), now))
    entries = list(_ages(lake.quarantine.path.glob("*.json"), now))
    generations = lake.tables["generations"]
    batch = max((file.batch_max for file in generations.files()), default=0)
    commits = list(_ages(generations.log.glob("[0-9]*.json"), now))
    return State(
        spool=str(spool.path),
        pending_files=len(pending),
        pending_bytes=sum(file.size for file in pending),
        oldest_seconds=max(ages, default=None),
        retired_files=len(retired),
        retired_bytes=sum(file.size for file in retired),
        quarantined=len(entries),
        quarantined_today=sum(age < _DAY for age in entries),
        free=room.free(),
        keep_free=room.keep_free,
        follower=lake.holder("follow.lock"),
        writer=lake.holder(),
        compaction=lake.holder("compaction.lock"),
        batch=batch,
        batch_seconds=min(commits, default=None) if batch else None,
    )


def problems(found: State) -> list[str]:
    """Say what is wrong, each with what to do.

    Parameters
    ----------
    found : State
        What `state` returned.
    """
    wrong = []
    late = found.oldest_seconds is not None and found.oldest_seconds > LATE
    if found.free < found.keep_free:
        wrong.append(
            f"the disk has {found.free:,} bytes left: the service refuses uploads below {found.keep_free:,}, and "
            "clients keep their lines. Free some space; 'gpdata compact' makes a lake smaller"
        )
    if found.pending_files and found.follower is None and found.writer is None:
        wrong.append("files wait and no transform is running: start 'gpdata ingest', or 'gpdata transform --follow'")
    elif late:
        wrong.append(
            f"the oldest file has waited for {found.oldest_seconds:,.0f} s: see what the transform writes to its log "
            "(a full disk, another writer, a batch that fails)"
        )
    if found.quarantined_today:
        wrong.append(
            f"{found.quarantined_today:,} lines went to the quarantine in the last 24 hours: "
            "see 'gpdata quarantine list' for the reasons, and docs/quarantine.md for what to do"
        )
    return wrong


def _ages(paths: Iterable[Place], now: float) -> Iterable[float]:
    for path in paths:
        try:
            yield max(0.0, now - path.stat().st_mtime)
        except FileNotFoundError:
            continue  # moved on meanwhile
