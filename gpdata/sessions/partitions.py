"""How many pieces a lake is read and moved in: from its size and the session's cores, so that nobody tunes it.

See docs/decisions/0009-partitions-from-the-lake.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gpdata.sessions.diagnose_plan import explained

SPLIT = "spark.sql.files.maxPartitionBytes"
MOVED = "spark.sql.adaptive.coalescePartitions.initialPartitionNum"
_LEAST_SPLIT, _MOST_SPLIT = 4 * 2**20, 32 * 2**20
_TASKS = 3
"""Tasks of a core that reads a whole table: with one each, all would wait for the slowest."""
_WIDER = 8
"""How many times larger rows are when they are moved than in the files; seldom all of their columns are."""
_MOVED_BYTES = 64 * 2**20
_MOST_MOVED = 4096


@dataclass(frozen=True, slots=True)
class Pieces:
    """In how many pieces to work.

    Parameters
    ----------
    split_bytes : int
        Bytes of files that one task reads at most.
    moved : int
        Partitions that rows are moved into; Spark joins small ones afterwards, and cannot part large ones.
    """

    split_bytes: int
    moved: int


def pieces(stored_bytes: int, cores: int) -> Pieces:
    """Return in how many pieces to read and move a table.

    Parameters
    ----------
    stored_bytes : int
        Bytes of its files, as the Delta log has them.
    cores : int
        Cores of all executors.

    Returns
    -------
    Pieces
        A few tasks for each core, none of them too large to hold.

    Examples
    --------
    >>> pieces(300 * 2**20, cores=4)
    Pieces(split_bytes=26214400, moved=38)
    >>> pieces(5 * 2**20, cores=4)
    Pieces(split_bytes=4194304, moved=4)
    >>> pieces(10**12, cores=64).moved
    4096
    """
    split = min(max(stored_bytes // (_TASKS * cores), _LEAST_SPLIT), _MOST_SPLIT)
    moved = min(max(-(-stored_bytes * _WIDER // _MOVED_BYTES), cores), _MOST_MOVED)
    return Pieces(split, moved)


def fit(session: Any, stored_bytes: int) -> Pieces | None:
    """Fit a session that gpdata started to a lake: the numbers of `pieces`, for the largest table opened so far.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Classic or Connect. One that somebody else started stays as it is, and so does a setting that was given to
        `gpdata.spark` or was changed since.
    stored_bytes : int
        Bytes of the table's files.

    Returns
    -------
    Pieces or None
        What was worked out; None where the session is somebody else's.
    """
    from gpdata.sessions.session import plan_of

    plan = plan_of(session)
    if plan is None:
        return None
    known = getattr(session, "_gpdata_fitted", None)
    if known is None:
        known = session._gpdata_fitted = {"bytes": 0, "cores": session_cores(session)}
    known["bytes"] = max(known["bytes"], stored_bytes)
    found = pieces(known["bytes"], known["cores"])
    for name, value in ((SPLIT, found.split_bytes), (MOVED, found.moved)):
        if name not in plan.given and session.conf.get(name, None) == known.get(name):
            session.conf.set(name, str(value))
            known[name] = session.conf.get(name)
    return found


def session_cores(session: Any) -> int:
    """Return how many cores a session's executors have, or may have where they come and go.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Classic or Connect; no job is run.
    """
    most = session.conf.get("spark.dynamicAllocation.maxExecutors", None)
    each = session.conf.get("spark.executor.cores", None)
    if most and each and session.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        return int(most) * int(each)
    # Both kinds of session tell it in the plan of numbers: one piece for each core.
    found = re.search(r"splits=(?:Some\()?(\d+)", explained(session.range(1)))
    return int(found[1]) if found else 2
