"""The embedded transport: lines go into the spool of a lake on this machine, and on into its tables."""

from __future__ import annotations

import time
import warnings
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gpdata.config import settings
from gpdata.errors import LakeBusy
from gpdata.lake import Account, Lake, Transformer
from gpdata.spool import Meta, SpoolFile

SOURCE = "recorder"


class Embedded:
    """Takes lines into a lake on this machine: each is durable when `send` returns.

    Parameters
    ----------
    path : str or Path
        The lake; made where there is none.
    owner : str or None
        Who the run belongs to.
    transform_every : float
        Seconds after which `settle` moves what is in the spool into the lake's tables.

    Attributes
    ----------
    place : Path
        The lake's directory.
    account : Account
        What became of the lines sent, as far as they have left the spool.
    """

    def __init__(self, path: str | Path, *, owner: str | None, transform_every: float) -> None:
        self.lake = Lake.create(path)
        self.place = self.lake.path
        self.account = Account()
        self._owner = owner
        self._every = transform_every
        self._transformer = Transformer(self.lake, batch_bytes=settings().batch_bytes)
        self._last = time.monotonic()
        self._waiting: list[SpoolFile] = []

    def send(self, line: bytes, received_at: datetime) -> None:
        """Store a line durably."""
        meta = Meta(source=SOURCE, owner=self._owner, received_at=received_at, receipt=True)
        self._waiting.append(self._transformer.spool.write([line], meta))

    def settle(self) -> None:
        """Bring what was sent into the lake's tables, when it is time and no other process is at it."""
        if time.monotonic() - self._last >= self._every:
            with suppress(LakeBusy):  # another process is at it; the line waits in the spool
                self._transform(wait=0)
            self._last = time.monotonic()

    def close(self) -> None:
        """Wait for the lake's lock, and bring every line that was sent into the tables."""
        if self._waiting:
            self._transform(wait=None)

    def _transform(self, wait: float | None) -> None:
        self._transformer.run(wait=wait)
        waiting, before = [], self.account.quarantined
        for file in self._waiting:
            account = self._transformer.receipt(file)
            if account is None:
                waiting.append(file)
            else:
                self.account.add(account)
        self._waiting = waiting
        if self.account.quarantined > before:
            warnings.warn(
                f"{self.account.quarantined} of {self.account.lines} generations did not enter the lake "
                f"{self.lake.path}: they are kept in its quarantine with the reason; "
                f"see 'gpdata quarantine list --lake {self.lake.path}'",
                stacklevel=4,
            )
