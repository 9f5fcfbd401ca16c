"""The outbox: lines that wait, durably, on the sender's own disk until a server has them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from gpdata.config import user_state
from gpdata.spool import Disk, Outcome, Quarantine, Spool, SpoolFile

TORN: Final = frozenset({"torn", "too_long"})
"""Codes of what never was a line that could be sent: the receiver on this machine set it aside."""

_KEEP_RECEIPTS = 7 * 24 * 3600.0


class State(msgspec.Struct, omit_defaults=True):
    """What the process that sends says of itself, for people; kept in the outbox while it sends, and after."""

    server: str
    pid: int
    since: datetime
    """When this process began to send."""
    answered_at: datetime | None = None
    """When the server last took something."""
    answer: str | None = None
    """What it said then."""
    error: str | None = None
    """Why nothing is taken now; null while all is well."""
    error_code: str = ""
    error_since: datetime | None = None
    lines: int = 0
    """What this process sent, duplicates and refused lines included."""
    duplicates: int = 0
    refused: int = 0


class Outbox:
    """A spool whose files are on their way to one server.

    Any number of processes put lines in; one at a time sends, whoever holds the outbox's lock.

    Parameters
    ----------
    path : Path
        The directory; made where it is missing.
    disk : Disk, optional
        The file system; the real one by default.

    Attributes
    ----------
    spool : Spool
        What waits.
    quarantine : Quarantine
        What the server refused for good, and what cannot be read any more.
    """

    def __init__(self, path: Path, *, disk: Disk | None = None) -> None:
        self.path = Path(path).absolute()
        self.disk = disk or Disk()
        self.spool = Spool(self.path / "spool", disk=self.disk)
        self.quarantine = Quarantine(self.path / "quarantine", disk=self.disk)
        self._receipts = self.path / "receipts"
        self.disk.make_directory(self._receipts)
        self._lock: int | None = None
        # A forked child shares the open lock: the parent's death would not free it.
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def acquire(self) -> bool:
        """Become the one that sends, unless another process is; say whether it is this one now."""
        if self._lock is None:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def release(self) -> None:
        """Let another process send."""
        self._forget()

    def empty(self) -> bool:
        """Say whether nothing waits."""
        with os.scandir(self.path / "spool" / "new") as entries:
            return next(entries, None) is None

    def busy(self) -> bool:
        """Say whether some process sends now."""
        held = self._lock is not None
        if not held and self.acquire():
            self.release()
            return False
        return True

    def sweep(self) -> None:
        """Remove what crashes left: unfinished files, and receipts that nobody took for a week.

        Only the one that sends may do so.
        """
        self.spool.sweep()
        for path in self.path.glob("*.tmp"):
            self.disk.remove(path)
        for path in self._receipts.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _KEEP_RECEIPTS:
                    self.disk.remove(path)

    def leave_receipt(self, id_: str, outcomes: list[Outcome]) -> None:
        """Tell the process that wrote a file what became of its lines."""
        self.disk.write(self._receipts / f"{id_}.json", msgspec.json.encode(outcomes), self.path)

    def take_receipt(self, id_: str) -> list[Outcome] | None:
        """Return what became of a file's lines, once; None while nothing is known."""
        path = self._receipts / f"{id_}.json"
        try:
            outcomes = msgspec.json.decode(path.read_bytes(), type=list[Outcome])
        except FileNotFoundError:
            return None
        self.disk.remove(path)
        return outcomes

    def write_state(self, state: State) -> None:
        """Keep what the sending process says of itself."""
        self.disk.write(self.path / "state.json", msgspec.json.encode(state), self.path)

    def state(self) -> State | None:
        """Return what the sending process last said; None before there was one."""
        try:
            return msgspec.json.decode((self.path / "state.json").read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _forget(self) -> None:
        if self._lock is not None:
            descriptor, self._lock = self._lock, None
            os.close(descriptor)  # not LOCK_UN, which a child would take from its parent, too


def default_outbox(address: str) -> Path:
    """Return where the lines for a server wait: a directory of this user for each address.

    Parameters
    ----------
    address : str
        As `gpdata.upload.http.server_address` returns it.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> default_outbox("https://ingest.lab.org:8470").name
    'ingest.lab.org_8470-6cf14dd0'
    """
    readable = re.sub(r"[^a-z0-9.-]+", "_", address.partition("://")[2].lower())[:100]
    return user_state() / "outbox" / f"{readable}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def written_at(file: SpoolFile) -> datetime | None:
    """Return when a spool file was begun, as its name tells; None where it does not.

    Examples
    --------
    >>> written_at(SpoolFile("01700000000000000000-0000001-ab", Path("f"), 1)).isoformat()
    '2023-11-14T22:13:20+00:00'
    """
    digits = file.id.partition("-")[0]
    try:
        return datetime.fromtimestamp(int(digits) / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None
