"""Where a sweep's runs go, as the processes that run cells must know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpdata.lake import Lake
from gpdata.spool import Spool


@dataclass(frozen=True, slots=True)
class Where:
    """What a process that runs a cell must know of where its run goes; it can be pickled.

    Parameters
    ----------
    place : str
        The lake, or the server's address.
    outbox : str or None
        For a server: the directory where runs wait.
    owner : str or None
        For a lake: whose the runs are.
    """

    place: str
    outbox: str | None = None
    owner: str | None = None

    def spool(self) -> Spool:
        """Return the spool that takes the runs."""
        if self.outbox is None:
            return Lake.open(self.place).spool()
        from gpdata.upload.outbox import Outbox

        return Outbox(Path(self.outbox)).spool
