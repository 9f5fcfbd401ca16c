"""The one spool file of a run: its commit is the moment from which on the run is there, whole.

Until then its lines are in a file that no reader sees and that nobody finishes: a run that is killed half-way never
was. What is there of a cell is therefore one whole run, or nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gpdata.lake import Account
from gpdata.spool import Key, Meta, Spool, SpoolFile
from gpdata.storage import Place
from gpdata.upload import Recorder
from gpdata.upload.embedded import SOURCE
from gpdata.upload.transport import Transport
from gpdata.wire import KeyFinder


class OneFile:
    """Takes a run's lines into one spool file, which `commit` makes durable and visible.

    Leaving the ``with`` block without `commit` drops them.

    Parameters
    ----------
    spool : Spool
        Where the file belongs.
    meta : Meta
        What is known of the lines.
    place : Path or str
        What a Recorder calls its lake.
    """

    def __init__(self, spool: Spool, meta: Meta, place: Place | str) -> None:
        self.account = Account()
        self._place, self._meta = place, meta
        self._writer = spool.writer(meta)
        self._keys: list[Key] = []

    @property
    def place(self) -> Place | str:
        """Where the lines go."""
        return self._place

    @property
    def generations(self) -> int:
        """How many lines there are."""
        return len(self._keys)

    def __enter__(self) -> OneFile:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)

    def send(self, line: bytes, received_at: datetime) -> None:
        """Take a line."""
        finder = KeyFinder()
        finder.feed(line)
        found = finder.key()
        assert found is not None, "a Recorder's line names its run and generation"
        self._writer.add(line)
        self._keys.append(Key(*found, hashlib.sha256(line).hexdigest()))

    def settle(self) -> None:
        """Do nothing: the lines are not there before they are all there."""

    def close(self) -> None:
        """Do nothing: `commit` is for who started the run and knows how it ended."""

    def commit(self) -> SpoolFile:
        """Make the run durable and visible."""
        return self._writer.commit(
            msgspec.structs.replace(self._meta, received_at=datetime.now(UTC), keys=tuple(self._keys))
        )


class CellRecorder(Recorder):
    """The Recorder of one run of a sweep; what it is told beyond a `gpdata.Recorder`'s arguments is where lines go.

    Parameters
    ----------
    file : OneFile
        What takes the lines.
    **about : object
        As for `gpdata.Recorder`.
    """

    def __init__(self, file: OneFile, **about: Any) -> None:
        self._file = file
        super().__init__(str(file.place), **about)

    def _open(self, lake: str | Path, owner: str | None, transform_every: float, remote: dict[str, Any]) -> Transport:
        return self._file


def recording(spool: Spool, place: Place | str, owner: str | None) -> OneFile:
    """Return a new file of a run in a spool.

    Parameters
    ----------
    spool : Spool
        A lake's, or that of an outbox.
    place : Path or str
        The lake, or the server.
    owner : str or None
        Whose run it is; a server knows.

    Returns
    -------
    OneFile
        Nothing of it is visible yet.
    """
    return OneFile(spool, Meta(source=SOURCE, owner=owner, receipt=True), place)
