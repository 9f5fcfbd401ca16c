"""A lock that is an object: held for a time, renewed while it is held, taken over when its holder is silent.

No clock is compared with another's: who waits sees the object unchanged for as long as it says that it is valid,
and replaces that very version of it, under the condition that nobody else did. A holder that was stopped for
longer than that, and does not know it, can still write: `epoch`, which grows with each holder, is what a table
keeps it out by (`gpdata.lake.objects`).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from gpdata.errors import LakeBusy, LakeDamaged, StorageUnreachable
from gpdata.storage.client import HURRY
from gpdata.storage.place import ObjectPath

_log = logging.getLogger(__name__)

SECONDS = 30.0
"""For which a lease is valid after each renewal: a holder that died elsewhere is waited out so long."""
_LOOK = 0.25


class LeaseLost(LakeBusy):
    """The lease was not renewed in time; another process may have it."""


class Record(msgspec.Struct, frozen=True):
    """What the object says."""

    epoch: int
    """Grows with each holder."""
    held: bool
    nonce: str
    """New with every writing: the tag of an object, that a condition names, is often no more than a hash of it."""
    seconds: float
    host: str
    machine: str
    """Which start of which machine, and which set of process numbers in it."""
    process: int


class Seen(NamedTuple):
    """A version of the object, and when it was first seen, by the clock of who looks."""

    tag: str
    at: float


class Lease:
    """A lease on one object.

    Parameters
    ----------
    place : ObjectPath
        The object; never removed, so that `epoch` only grows.
    seconds : float
        For how long it is valid after each renewal.
    least_epoch : callable, optional
        Asked where there is no such object: epochs begin behind what this returns.
    seen : dict, optional
        What earlier tries of this process saw, by place: one who does not wait learns in time, too, that a holder is
        gone.
    """

    def __init__(
        self,
        place: ObjectPath,
        *,
        seconds: float = SECONDS,
        least_epoch: Callable[[], int] = lambda: 0,
        seen: dict[ObjectPath, Seen] | None = None,
    ) -> None:
        self.place = place
        self.epoch = 0
        self.stolen = False
        """Whether its last holder did not give it back: it may believe that it holds it still."""
        self.seconds = seconds
        self._least_epoch = least_epoch
        self._seen = {} if seen is None else seen
        self._tag = ""
        self._until = 0.0
        self._renewing: threading.Thread | None = None
        self._stop = threading.Event()

    def acquire(self, wait: float | None, busy: Callable[[Record], str]) -> None:
        """Take the lease, and keep it until `release`.

        Parameters
        ----------
        wait : float or None
            Seconds to wait for another holder; None: for ever.
        busy : callable
            Says whose it is, for the error.

        Raises
        ------
        LakeBusy
            Another holder had it all that time.
        """
        deadline = None if wait is None else time.monotonic() + wait
        while (found := self._try()) is not None:
            if deadline is not None and time.monotonic() >= deadline:
                raise LakeBusy(busy(found))
            time.sleep(_LOOK)
        self._renewing = threading.Thread(target=self._renew, name=f"lease of {self.place}", daemon=True)
        self._renewing.start()

    def check(self) -> None:
        """Raise where the lease is not valid any more."""
        if time.monotonic() >= self._until:
            raise LeaseLost(
                f"the lock {self.place} was not renewed for {self.seconds:.0f} s, so another process may hold it; "
                "nothing was written since, and what was recorded is safe in the spool: try again"
            )

    def release(self) -> None:
        """Give the lease back; where the store does not answer it ends by itself."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.join()
        if time.monotonic() >= self._until:
            return
        try:
            self.place.client.put_if(self.place.key, self._record(held=False), self._tag, patience=HURRY)
        except StorageUnreachable as error:
            _log.warning("the lock %s could not be given back, and ends in %.0f s: %s", self.place, self.seconds, error)

    def _try(self) -> Record | None:
        """Take the lease if it can be had; return who has it otherwise."""
        client, now = self.place.client, time.monotonic()
        found = read(self.place)
        if found is None:
            self.epoch, self.stolen = 1 + self._least_epoch(), True
            try:
                client.put_new(self.place.key, self._record(held=True))
            except FileExistsError:
                return self._try()
            record, tag = found_or_raise(self.place)
            self._tag, self._until = tag, now + self.seconds
            return None
        record, tag = found
        seen = self._seen.get(self.place)
        if seen is None or seen.tag != tag:
            seen = self._seen[self.place] = Seen(tag, time.monotonic())
        silent = time.monotonic() - seen.at > record.seconds
        if record.held and not silent and not _is_gone(record):
            return record
        self.epoch, self.stolen = record.epoch + 1, record.held
        new = client.put_if(self.place.key, self._record(held=True), tag)
        if new is None:
            return record
        self._tag, self._until = new, now + self.seconds
        return None

    def _renew(self) -> None:
        while not self._stop.wait(self.seconds / 3):
            began = time.monotonic()
            try:
                tag = self.place.client.put_if(self.place.key, self._record(held=True), self._tag, patience=HURRY)
            except OSError as error:
                _log.warning("the lock %s could not be renewed: %s", self.place, error)
                continue
            if tag is None:
                self._until = 0.0
                return
            self._tag, self._until = tag, began + self.seconds

    def _record(self, *, held: bool) -> bytes:
        nonce = secrets.token_hex(8)
        record = Record(self.epoch, held, nonce, self.seconds, socket.gethostname(), _machine(), os.getpid())
        return msgspec.json.encode(record)


def read(place: ObjectPath) -> tuple[Record, str] | None:
    """Return what a lease's object says and its tag; None where there is none."""
    try:
        content = place.client.get(place.key)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content.data, type=Record), content.tag
    except msgspec.DecodeError as error:
        raise LakeDamaged(
            f"the lock {place} cannot be read ({error}); remove the object where no process uses it"
        ) from None


def found_or_raise(place: ObjectPath) -> tuple[Record, str]:
    """Return what a lease's object says, that was there a moment ago."""
    found = read(place)
    if found is None:
        raise LakeDamaged(f"the lock {place} was removed by another program; nothing of gpdata removes it: try again")
    return found


def holder(place: ObjectPath) -> Record | None:
    """Return who holds a lease, as far as its object says; None where nobody does, or who did is gone."""
    found = read(place)
    return found[0] if found is not None and found[0].held and not _is_gone(found[0]) else None


def _is_gone(record: Record) -> bool:
    """Whether the holder was a process of this machine that is there no more."""
    return record.machine != "" and record.machine == _machine() and not Path(f"/proc/{record.process}").exists()


def _machine() -> str:
    """Return what tells this start of this machine, and this set of process numbers; empty where it cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
