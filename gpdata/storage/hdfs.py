"""A place in HDFS. Nothing of this process reads or writes there: a Spark session does (`gpdata.lake.mirror`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gpdata.errors import InvalidInput

_SCHEME = "hdfs://"
_MANGLED = "hdfs:/"
"""What `pathlib` makes of the scheme, where a command or a caller wrapped the address into a Path."""
_PATTERN = re.compile(r"[\[\]{}*?\\,]")
"""What Spark would take for a pattern of names."""


@dataclass(frozen=True)
class HdfsPath:
    """A directory or a file in HDFS.

    Attributes
    ----------
    node : str
        The name node, `host:port`, or the name service of a cluster that has several.
    path : str
        The path there, without slashes at its ends.

    Examples
    --------
    >>> str(HdfsPath("namenode:8020", "lab/lake") / "runs")
    'hdfs://namenode:8020/lab/lake/runs'
    """

    node: str
    path: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.node}/{self.path}"

    def __truediv__(self, name: str) -> HdfsPath:
        return HdfsPath(self.node, f"{self.path}/{name}".lstrip("/"))


def in_hdfs(given: object) -> HdfsPath | None:
    """Return the place in HDFS that a person named; None where another kind of place was named.

    Parameters
    ----------
    given : str, Path, or a place
        For example ``hdfs://namenode:8020/lab/lake``.

    Raises
    ------
    InvalidInput
        The address names no name node, no path, or holds letters that Spark takes for a pattern.

    Examples
    --------
    >>> in_hdfs("hdfs://namenode:8020/lab/lake/")
    HdfsPath(node='namenode:8020', path='lab/lake')
    >>> in_hdfs("s3://lab/lake") is None
    True
    """
    if isinstance(given, HdfsPath):
        return given
    text = str(given)
    if not text.startswith(_MANGLED):
        return None
    # A Path has lost one of the two slashes; a text with three names no node.
    rest = text.removeprefix(_MANGLED) if isinstance(given, Path) else text.removeprefix(_MANGLED).removeprefix("/")
    node, _, path = rest.partition("/")
    path = "/".join(part for part in path.split("/") if part not in ("", "."))
    valid = "valid is hdfs://HOST:PORT/PATH, such as hdfs://namenode:8020/lab/lake, or a name service for HOST:PORT"
    if not node or not path:
        raise InvalidInput(f"{text!r} names no {'path' if node else 'name node'}; {valid}")
    if found := _PATTERN.search(node + path):
        raise InvalidInput(
            f"{text!r} has a {found[0]!r}, which Spark takes for part of a pattern of names; {valid}. "
            "Rename the directory: hdfs dfs -mv"
        )
    return HdfsPath(node, path)


def refused(place: HdfsPath) -> InvalidInput:
    """Return what to raise where something else than a Spark session was to read or write in HDFS.

    Examples
    --------
    >>> raise refused(HdfsPath("namenode:8020", "lab/lake"))
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: hdfs://namenode:8020/lab/lake lies in HDFS, which gpdata reads through Spark only...
    """
    return InvalidInput(
        f"{place} lies in HDFS, which gpdata reads through Spark only: gpdata.open('{place}', engine=gpdata.spark()). "
        "Everything else, and all that writes, takes a directory of this machine or s3://BUCKET/PREFIX: keep the lake "
        f"there, and copy it while nothing writes it: hdfs dfs -put LAKE {place} (docs/how-to/hdfs.md)"
    )
