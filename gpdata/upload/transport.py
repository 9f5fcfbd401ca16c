"""What takes a Recorder's lines: a lake on this machine, a server, or the one file of a sweep's run."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gpdata.lake import Account
from gpdata.storage import Place


class Transport(Protocol):
    """Takes lines, one for each generation."""

    account: Account
    """What became of the lines sent, as far as it is known."""

    @property
    def place(self) -> Place | str:
        """Where the lines go: a directory, or an address."""

    def send(self, line: bytes, received_at: datetime) -> None:
        """Take a line."""

    def settle(self) -> None:
        """Called after each line: do what is due now and then."""

    def close(self) -> None:
        """Called when no further line comes."""


def is_server(lake: str) -> bool:
    """Say whether what a Recorder takes as its lake is a server's address.

    Examples
    --------
    >>> is_server("https://ingest.lab.org"), is_server("lake"), is_server("s3://lab/lake")
    (True, False, False)
    """
    # HDFS is refused as a lake that is written, not as a server.
    return not lake.startswith(("s3:/", "hdfs:/")) and ("://" in lake or lake.startswith(("https:/", "http:/")))
