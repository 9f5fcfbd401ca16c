"""What there is to measure of the hub's users: their running servers, their homes, their share of the lake."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from gpdata.lake import Lake, take_snapshot
from hub.settings import SYSTEM
from hub.usage_records import month_of

NOBODY = ""
"""Stands for the owner of runs that have none."""
_PAGES = "application/jupyterhub-pagination+json"


def users(api: str, token: str) -> list[dict[str, Any]]:
    """Ask the hub for all of its users, page by page.

    Parameters
    ----------
    api : str
        The address of the hub's API.
    token : str
        A token with the scopes ``list:users`` and ``read:servers``.

    Returns
    -------
    list of dict
        The hub's own descriptions.
    """
    found: list[dict[str, Any]] = []
    headers = {"Authorization": f"token {token}", "Accept": _PAGES}
    with httpx.Client(headers=headers, timeout=30, trust_env=False) as client:
        while True:
            answer = client.get(f"{api.rstrip('/')}/users", params={"offset": len(found), "limit": 100})
            answer.raise_for_status()
            page = answer.json()
            found += page["items"]
            if page["_pagination"]["next"] is None:
                return found


def running(people: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, float]]:
    """Return the servers that run now: user, name of the server, when it began.

    Examples
    --------
    >>> server = {"ready": True, "started": "1970-01-01T00:01:00.000000Z"}
    >>> running([{"name": "ada", "servers": {"": server}}, {"name": "bob", "servers": {}}])
    [('ada', '', 60.0)]
    """
    return [
        (person["name"], name, datetime.fromisoformat(server["started"]).timestamp())
        for person in people
        for name, server in person.get("servers", {}).items()
        if server["ready"] and server["started"]
    ]


def home_of(user: str, kind: str, state: Path) -> Path | None:
    """Return the user's home; None where there is none yet."""
    if kind != SYSTEM:
        path = state / "homes" / user
        return path if path.is_dir() else None
    try:
        path = Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return None
    return path if path.is_dir() else None


def bytes_below(path: Path) -> int | None:
    """Return the bytes that a directory takes on its disk, links not followed; None where du cannot tell."""
    command = ["du", "--summarize", "--one-file-system", "--block-size=1", "--", str(path)]
    # It ends with 1 where a file went meanwhile, and counts the rest.
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)
    return int(said[0]) if said else None


def lake_shares(lake: Lake, known: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return the bytes of each owner in each of the lake's files.

    A file that holds runs of several owners counts for each by the rows. What waits in the spool is not counted.

    Parameters
    ----------
    lake : Lake
        The lake.
    known : mapping
        What this returned before; files that it has are not read again.
    """
    snapshot = take_snapshot(lake)
    owners = _owners(snapshot.paths("runs"))
    found: dict[str, dict[str, int]] = {}
    for table, files in snapshot.files.items():
        for file in files:
            name = f"{table}/{file.path} {file.size}"
            if name in known:
                found[name] = dict(known[name])
                continue
            rows: dict[str, int] = {}
            for counted in _rows(snapshot.path / table / file.path):
                owner = owners.get(counted["run_uuid"], NOBODY)
                rows[owner] = rows.get(owner, 0) + counted["rows"]
            found[name] = {owner: round(file.size * count / file.rows) for owner, count in rows.items()}
    return found


def arrivals(lake: Lake) -> list[tuple[str, str, int, int]]:
    """Return rows of (owner, month, runs that began to arrive, generations that arrived).

    What was imported from files says not when it arrived: there the time that the line itself names counts.
    """
    snapshot = take_snapshot(lake)
    owners = _owners(snapshot.paths("runs"))
    first: dict[str, float] = {}
    counted: dict[tuple[str, str], list[int]] = {}
    for path in snapshot.paths("generations"):
        rows = pq.ParquetFile(path).read(columns=["run_uuid", "received_at", "started_at"])
        columns = (_seconds(rows, "received_at"), _seconds(rows, "started_at"))
        for run, arrived, own in zip(rows.column("run_uuid").to_pylist(), *columns, strict=True):
            time = arrived if arrived is not None else own
            if time is not None:
                first[run] = min(time, first.get(run, time))
                counted.setdefault((owners.get(run, NOBODY), month_of(time)), [0, 0])[1] += 1
    for run, time in first.items():
        counted[owners.get(run, NOBODY), month_of(time)][0] += 1
    return [(owner, month, runs, generations) for (owner, month), (runs, generations) in sorted(counted.items())]


def total(shares: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Add the bytes of all files up.

    Examples
    --------
    >>> total({"a": {"ada": 1, "bob": 2}, "b": {"ada": 3}})
    {'ada': 4, 'bob': 2}
    """
    sizes: dict[str, int] = {}
    for file in shares.values():
        for owner, size in file.items():
            sizes[owner] = sizes.get(owner, 0) + size
    return sizes


def _owners(paths: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        rows = pq.ParquetFile(path).read(columns=["run_uuid", "owner"])
        for run, owner in zip(rows.column("run_uuid").to_pylist(), rows.column("owner").to_pylist(), strict=True):
            found[run] = owner or NOBODY
    return found


def _seconds(rows: pa.Table, column: str) -> list[float | None]:
    times = rows.column(column).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return [None if time is None else time / 1e6 for time in times.to_pylist()]


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    file = pq.ParquetFile(path)
    for number in range(file.num_row_groups):
        runs = file.read_row_group(number, columns=["run_uuid"]).column("run_uuid").cast(pa.string())
        yield from ({"run_uuid": each["values"], "rows": each["counts"]} for each in runs.value_counts().to_pylist())
