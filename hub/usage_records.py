"""What the hub keeps of its users' use of the machine, in one small database: JupyterHub itself keeps no history.

**Spans.** A span says that something of a user's ran from a time to another: ``server`` for a notebook server,
``executor`` for one Spark executor. Whoever watches them calls `Records.seen` now and then with what runs at that
moment; `hub/usage.py` does it for servers. On one machine Spark runs inside the user's server, and there is no executor
to watch. On a cluster the watcher of executor pods calls ``seen("executor", ...)``.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SERVER, EXECUTOR = "server", "executor"
_TABLES = """
CREATE TABLE IF NOT EXISTS spans (kind TEXT, user TEXT, name TEXT, began REAL, seen REAL,
                                  PRIMARY KEY (kind, user, name, began));
CREATE TABLE IF NOT EXISTS storage (user TEXT, month TEXT, home INTEGER, lake INTEGER, PRIMARY KEY (user, month));
CREATE TABLE IF NOT EXISTS arrived (user TEXT, month TEXT, runs INTEGER, generations INTEGER,
                                    PRIMARY KEY (user, month));
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, shares TEXT);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user used in one month (UTC).

    Parameters
    ----------
    user : str
        The user's name; "" for runs that belong to nobody.
    home_bytes, lake_bytes : int or None
        The user's home, and the share of the lake's files that the user's runs take, when they were last measured in
        that month; None where they were not.
    runs, generations : int
        Runs that began to arrive in that month, and generations that arrived.
    server_hours, executor_hours : float
        For how long the user's servers, and Spark executors, ran in that month.
    """

    user: str
    home_bytes: int | None = None
    lake_bytes: int | None = None
    runs: int = 0
    generations: int = 0
    server_hours: float = 0.0
    executor_hours: float = 0.0


class Records:
    """The database.

    Parameters
    ----------
    path : Path
        Its file; made where it is missing, for its owner alone.

    Examples
    --------
    >>> import tempfile
    >>> records = Records(Path(tempfile.mkdtemp()) / "usage.sqlite")
    >>> began = datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp()
    >>> records.seen(SERVER, [("ada", "", began)], began + 2 * 3600)
    >>> [row.server_hours for row in records.month("2026-01")], [row.server_hours for row in records.month("2026-02")]
    ([1.0], [1.0])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._open() as database:
            database.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as database, database:
            yield database

    def seen(self, kind: str, running: Iterable[tuple[str, str, float]], now: float) -> None:
        """Take note of what runs now.

        Parameters
        ----------
        kind : str
            "server" or "executor".
        running : iterable of (str, str, float)
            User, name, and when it began, in seconds since the epoch: what has the same three is the same.
        now : float
            Seconds since the epoch.
        """
        with self._open() as database:
            database.executemany(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
                [(kind, user, name, began, max(began, now)) for user, name, began in running],
            )

    def measured(self, month: str, column: str, sizes: Mapping[str, int]) -> None:
        """Keep how many bytes each user has of something, "home" or "lake", as the month's newest measurement."""
        assert column in ("home", "lake")
        with self._open() as database:
            database.execute(f"UPDATE storage SET {column} = NULL WHERE month = ?", [month])
            database.executemany(
                f"INSERT INTO storage (user, month, {column}) VALUES (?, ?, ?) "
                f"ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
                [(user, month, size) for user, size in sizes.items()],
            )

    def arrived(self, rows: Iterable[tuple[str, str, int, int]]) -> None:
        """Keep who had how many runs and generations arrive in which month; rows of (user, month, runs, generations).

        The lake knows all of its history, so these rows replace all that were there.
        """
        with self._open() as database:
            database.execute("DELETE FROM arrived")
            database.executemany("INSERT INTO arrived VALUES (?, ?, ?, ?)", rows)

    def files(self) -> dict[str, dict[str, int]]:
        """Return what is known of the lake's files: the bytes of each user by the file's name and size."""
        with self._open() as database:
            return {name: json.loads(shares) for name, shares in database.execute("SELECT * FROM files")}

    def keep_files(self, files: Mapping[str, Mapping[str, int]]) -> None:
        """Keep what is known of the lake's files, in place of what was."""
        with self._open() as database:
            database.execute("DELETE FROM files")
            database.executemany("INSERT INTO files VALUES (?, ?)", [(n, json.dumps(s)) for n, s in files.items()])

    def fact(self, name: str) -> str | None:
        """Return something small that was kept under a name."""
        with self._open() as database:
            row = database.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def keep_fact(self, name: str, value: str) -> None:
        """Keep something small under a name."""
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    def months(self) -> list[str]:
        """Return the months of which something is known, and this one, newest first."""
        found = {month_of(datetime.now(UTC).timestamp())}
        with self._open() as database:
            found |= {month for table in ("storage", "arrived") for month, in database.execute(
                f"SELECT DISTINCT month FROM {table}")}  # fmt: skip
            for began, seen in database.execute("SELECT began, seen FROM spans"):
                found |= {month_of(began), month_of(seen)}
        return sorted(found, reverse=True)

    def month(self, month: str) -> list[Usage]:
        """Return what each user used in a month, such as "2026-11", by name."""
        first, last = bounds(month)
        found: dict[str, dict[str, int | float | None]] = {}
        with self._open() as database:
            for user, home, lake in database.execute(
                "SELECT user, home, lake FROM storage WHERE month = ? AND (home IS NOT NULL OR lake IS NOT NULL)",
                [month],
            ):
                found.setdefault(user, {}).update(home_bytes=home, lake_bytes=lake)
            for user, runs, generations in database.execute(
                "SELECT user, runs, generations FROM arrived WHERE month = ?", [month]
            ):
                found.setdefault(user, {}).update(runs=runs, generations=generations)
            for user, kind, seconds in database.execute(
                "SELECT user, kind, sum(min(seen, ?) - max(began, ?)) FROM spans WHERE seen > ? AND began < ? "
                "GROUP BY user, kind",
                [last, first, first, last],
            ):
                found.setdefault(user, {})[f"{kind}_hours"] = seconds / 3600
        return [Usage(user, **known) for user, known in sorted(found.items())]  # type: ignore[arg-type]


def month_of(time: float) -> str:
    """Return the month of a time.

    Examples
    --------
    >>> month_of(0)
    '1970-01'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m")


def bounds(month: str) -> tuple[float, float]:
    """Return when a month begins and when the next one does, in seconds since the epoch.

    Examples
    --------
    >>> bounds("1970-01")
    (0.0, 2678400.0)
    """
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), after.timestamp()
