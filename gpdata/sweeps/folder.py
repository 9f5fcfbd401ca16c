"""A sweep's folder: its lock, what it was, how often each cell was tried, and what commands printed.

Nothing here decides that a function's cell is done: the lake does. Of a command that records under a uuid of its own
the folder says which run would be the cell's, before that run is there.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from gpdata.config import user_state
from gpdata.errors import InvalidInput, LakeBusy
from gpdata.spool import Disk
from gpdata.storage import as_place
from gpdata.upload.transport import is_server

WAIT: Final = 15.0
"""Seconds in which the processes of a sweep that was killed must have ended."""
_POLL = 0.05


class Tried(msgspec.Struct, omit_defaults=True):
    """What the folder knows of a cell."""

    params: dict[str, Any]
    repeat: int
    seed: int
    attempts: int = 0
    error: str | None = None
    """Why the last attempt failed, as far as it could still be said."""


class Folder:
    """A sweep's folder; made where it is missing.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._disk = Disk()
        for name in ("cells", "runs", "logs", "scratch"):
            self._disk.make_directory(self.path / name)

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the sweep's lock, and give its descriptor.

        Processes that run cells inherit it: whoever gets the lock knows that none of an earlier sweep is alive.

        Raises
        ------
        LakeBusy
            The sweep is running.
        """
        path = self.path / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        holder = os.pread(descriptor, 20, 0).decode() or "?"
                        raise LakeBusy(
                            f"the sweep of {self.path} is running: process {holder} started it, and it or a run of it "
                            "is alive; wait for it, or end it, and run the same sweep again"
                        ) from None
                    time.sleep(_POLL)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def check(self, identity: Mapping[str, object]) -> None:
        """Keep what the sweep is, or refuse another one of that name.

        Raises
        ------
        InvalidInput
            The folder is that of a sweep of something else.
        """
        path = self.path / "sweep.json"
        try:
            before = msgspec.json.decode(path.read_bytes())
        except FileNotFoundError:
            self._disk.write(path, msgspec.json.encode(identity), self.path / "scratch")
            return
        now = msgspec.json.decode(msgspec.json.encode(identity))
        if differing := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
            name = differing[0]
            raise InvalidInput(
                f"the sweep of {self.path} has {name}={before.get(name)!r}, and {name}={now.get(name)!r} was given; "
                "give another name for another sweep, or the same arguments to go on with this one"
            )

    def tried(self, key: str) -> Tried | None:
        """Return what is known of a cell; None before its first attempt."""
        with suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode((self.path / "cells" / f"{key}.json").read_bytes(), type=Tried)
        return None

    def note(self, key: str, tried: Tried) -> None:
        """Keep what is known of a cell."""
        self._disk.write(self.path / "cells" / f"{key}.json", msgspec.json.encode(tried), self.path / "scratch")

    def intend(self, key: str, run_uuid: str) -> None:
        """Say, durably, under which uuid a cell's run is about to be committed."""
        self._disk.write(self.path / "runs" / key, run_uuid.encode(), self.path / "scratch")

    def intended(self, key: str) -> str | None:
        """Return the uuid under which a cell's run was about to be committed; None where nothing was said."""
        with suppress(FileNotFoundError):
            return (self.path / "runs" / key).read_text() or None
        return None

    def log(self, key: str, number: int) -> Path:
        """Return the file for what an attempt prints."""
        return self.path / "logs" / f"{key}-{number}.log"


def folder_of(lake: str, name: str) -> Path:
    """Return where the folder of a sweep is: beside a lake on this machine, else among this user's own files.

    Parameters
    ----------
    lake : str
        The lake, or the server's address.
    name : str
        The sweep's name.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> folder_of("/data/lake/", "pilot").as_posix()
    '/data/lake.sweeps/pilot'
    """
    if is_server(lake) or not isinstance(as_place(lake), Path):
        return user_state() / "sweeps" / re.sub(r"[^A-Za-z0-9.-]+", "_", lake.partition("://")[2]) / name
    place = Path(lake).absolute()
    return place.with_name(place.name + ".sweeps") / name
