"""The transport to a server: lines go into an outbox on this machine, and from there over HTTPS in the background."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import warnings
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from gpdata.config import settings
from gpdata.errors import InvalidInput
from gpdata.lake import Account
from gpdata.spool import Key, Meta, Outcome
from gpdata.spool.incoming import DUPLICATE, REFUSED
from gpdata.upload.embedded import SOURCE
from gpdata.upload.http import REFUSED_TOKEN, Client, checked_token, server_address
from gpdata.upload.outbox import Outbox, State, default_outbox
from gpdata.upload.sender import Sender
from gpdata.wire import KeyFinder

_LOOK_EVERY: Final = 1.0
_CLOSE_LOOKS_EVERY: Final = 0.1
_LOOK_AT: Final = 100
"""Receipts of another process's sending are looked for this often, and for so many of the oldest lines."""

_log = logging.getLogger(__name__)


class Remote:
    """Takes lines for a server: each is durable on this machine when `send` returns.

    Parameters
    ----------
    address : str
        The server's address.
    token : str or None
        What tells the server who records; GPDATA_TOKEN where it is None.
    close_timeout : float
        Seconds for which `close` waits until the server has everything.
    ca : str, Path or None
        Certificates of a private authority.
    outbox : str, Path or None
        Where lines wait; this user's own directory for the address where it is None.

    Attributes
    ----------
    place : str
        The server's address.
    account : Account
        What became of the lines sent, as far as the server said.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None,
        close_timeout: float,
        ca: str | Path | None,
        outbox: str | Path | None,
    ) -> None:
        if not close_timeout >= 0:
            raise InvalidInput(f"close_timeout={close_timeout}; valid is a number of seconds, 0 or more")
        self.place = server_address(address)
        found = checked_token(settings().token if token is None else token, "GPDATA_TOKEN or the argument token")
        client = Client(self.place, lambda: found, ca=None if ca is None else Path(ca))
        self.account = Account()
        self._outbox = _outbox(default_outbox(self.place) if outbox is None else Path(outbox))
        self._sender = Sender(self._outbox, client, settled=self._settled, changed=self._changed)
        self._close_timeout = close_timeout
        self._condition = threading.Condition()
        self._waiting: dict[str, None] = {}
        self._refused: Outcome | None = None
        self._looked = time.monotonic()
        self._closed = False
        self._process = os.getpid()
        self._sender.start()

    def send(self, line: bytes, received_at: datetime) -> None:
        """Store a line durably; it is sent in the background."""
        if os.getpid() != self._process:
            raise InvalidInput(
                f"this Recorder belongs to process {self._process}, and a process forked from it would record; "
                "valid is to record in the process that made the Recorder, or with another Recorder made after the fork"
            )
        finder = KeyFinder()
        finder.feed(line)
        found = finder.key()
        keys = None if found is None else (Key(*found, hashlib.sha256(line).hexdigest()),)
        meta = Meta(source=SOURCE, received_at=received_at, receipt=True, keys=keys)
        with self._condition:  # held until the file is known as ours, or its answer might come before
            self._waiting[self._outbox.spool.write([line], meta).id] = None
        self._sender.wake()

    def settle(self) -> None:
        """Look now and then what another process, which sends for this one, wrote of our lines."""
        if time.monotonic() - self._looked >= _LOOK_EVERY and not self._sender.holding:
            self._look()

    def close(self) -> None:
        """Wait until the server has every line that was sent; warn where it does not get there in time."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        deadline = time.monotonic() + self._close_timeout
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            self._look()
            with self._condition:
                if self._waiting:
                    self._condition.wait(min(left, _CLOSE_LOOKS_EVERY))
        self._sender.stop()
        if self._waiting:
            why = f" ({error})" if (error := self._sender.state.error) else ""
            warnings.warn(
                f"{len(self._waiting)} generations have not reached {self.place} yet{why}; they are safe in "
                f"{self._outbox.path}: the next Recorder to that server sends them, "
                f"or 'gpdata forward --to {self.place} --outbox {self._outbox.path} --drain'",
                stacklevel=3,
            )
        if self._refused is not None:
            why = self._refused.detail or self._refused.code or "no reason given"
            warnings.warn(
                f"{self.account.quarantined} of {self.account.lines} generations were not taken by {self.place}: "
                f"{why}; refused ones are kept in {self._outbox.quarantine.path}, conflicting ones in the "
                "server's quarantine",
                stacklevel=3,
            )

    def _look(self) -> None:
        self._looked = time.monotonic()
        with self._condition:
            for id_ in list(islice(self._waiting, _LOOK_AT)):
                gone = self._outbox.spool.file(id_) is None
                outcomes = self._outbox.take_receipt(id_)
                if outcomes is not None or gone:
                    self._count(id_, outcomes or [])

    def _settled(self, id_: str, outcomes: list[Outcome]) -> bool:
        with self._condition:
            if id_ not in self._waiting:
                return False
            self._count(id_, outcomes)
            self._condition.notify_all()
            return True

    def _count(self, id_: str, outcomes: list[Outcome]) -> None:
        self._waiting.pop(id_)
        for outcome in outcomes:
            self.account.lines += 1
            if outcome.result == REFUSED or outcome.code is not None:
                self.account.quarantined += 1
                self._refused = self._refused or outcome
            elif outcome.result == DUPLICATE:
                self.account.duplicates += 1
            else:
                self.account.accepted += 1

    def _changed(self, state: State) -> None:
        if state.error is None:
            _log.info("%s takes what is recorded", self.place)
            return
        hint = "; record with another token" if state.error_code in REFUSED_TOKEN else ""
        _log.warning("%s; what is recorded waits in %s and is sent again%s", state.error, self._outbox.path, hint)


def _outbox(path: Path) -> Outbox:
    try:
        return Outbox(path)
    except OSError as error:
        raise InvalidInput(
            f"the outbox {path} cannot be made ({error.strerror}); valid is a directory on this machine's disk: "
            "name one with outbox=DIR, or set XDG_STATE_HOME"
        ) from None
