"""Whole files through a Spark session, classic or Connect: what this process needs of a place that only Spark reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gpdata.errors import GpdataError, InvalidInput, StorageRefused, StorageUnreachable

_ABSENT = re.compile(r"PATH_NOT_FOUND|FileNotFoundException|File does not exist")
_REFUSED = re.compile(
    r"AccessControlException|AuthorizationException|AuthenticationException|GSSException|Permission denied"
)
_AWAY = re.compile(
    r"ConnectException|UnknownHostException|NoRouteToHost|ConnectTimeout|SocketTimeout|StandbyException|SafeMode|"
    r"BlockMissingException|Could not obtain block|End of File Exception between|Failed on local exception|"
    r"Connection (?:refused|reset)|RetriableException"
)
_LONGEST = 300


def read_files(session: Any, addresses: Sequence[str]) -> list[tuple[str, bytes]]:
    """Read whole files through a session.

    Parameters
    ----------
    session : SparkSession
        Classic or Connect.
    addresses : sequence of str
        Files, directories whose files are meant, or patterns of them, as Hadoop names them.

    Returns
    -------
    list of tuple of str and bytes
        The address and the content of each file.

    Raises
    ------
    FileNotFoundError
        One of them is not there.
    StorageUnreachable
        The file system does not answer.
    StorageRefused
        It does not let the session's user read.
    InvalidInput
        Spark cannot read it for another reason, which is said.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        # Names are no columns of partitions here, whatever they look like.
        frame = session.read.format("binaryFile").option("recursiveFileLookup", "true").load(list(addresses))
        found = frame.select("path", "content").toArrow()
    except (PySparkException, Py4JError) as error:
        raise _told(addresses, str(error)) from error
    return list(zip(found.column("path").to_pylist(), found.column("content").to_pylist(), strict=True))


def _told(addresses: Sequence[str], said: str) -> FileNotFoundError | GpdataError:
    """Return what to raise for what Spark said, a long text with the causes in it."""
    if found := _line(_ABSENT, said):
        return FileNotFoundError(found)
    where = addresses[0]
    if found := _line(_REFUSED, said):
        return StorageRefused(
            f"HDFS does not let Spark's user read {where} ({found}); have its owner let that user read "
            "(hdfs dfs -chmod), set HADOOP_USER_NAME, or get a ticket (kinit) before the session starts"
        )
    if found := _line(_AWAY, said):
        return StorageUnreachable(
            f"HDFS does not answer for {where} ({found}); see that name node and data nodes run, and correct host and "
            "port: 'hdfs getconf -confKey fs.defaultFS' names them, on a machine of the cluster"
        )
    return InvalidInput(
        f"Spark cannot read {where} ({said.strip()[:_LONGEST]}); valid is hdfs://HOST:PORT/PATH of a file system that "
        "this session reaches: 'hdfs dfs -ls' on the machine of the driver shows whether it does"
    )


def _line(pattern: re.Pattern[str], said: str) -> str | None:
    """Return the first line of a text in which a pattern is found, without what comes before and after it in Java."""
    for line in said.splitlines():
        if pattern.search(line):
            return re.sub(r"^(?:: |Caused by: )+|; For more details see.*", "", line.strip())[:_LONGEST]
    return None
