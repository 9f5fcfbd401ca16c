"""Whether a lake has changed, seen at the cost of listing a directory, and the lab at its newest version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gpdata.lab import Lab
from gpdata.lab import open as open_lab
from gpdata.lake.lake import Lake
from gpdata.storage import HdfsPath


def engine_of(lab: Lab) -> Any:
    """Return the engine of a lab as `gpdata.open` takes it: a name, or the Spark session."""
    return lab.runs.sparkSession if lab.engine == "spark" else lab.engine


def chosen_runs(lab: Lab) -> list[str] | None:
    """Return the runs that a lab was opened with; None: all."""
    wanted = lab._wanted
    return None if wanted is None else list(wanted)


class Watch:
    """Sees whether a lake has a newer version than a lab.

    A version is a commit to `generations`, and a commit is a new file in that table's log: the log's directory is
    listed, nothing is read before a name is new there. A lake in HDFS is a copy, which nobody records to: there each
    look would be a job of Spark's, and none is made.

    Parameters
    ----------
    lab : Lab
        The lab; its lake, engine and runs stay.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._log = None if isinstance(lab.path, HdfsPath) else Lake.open(lab.path).tables["generations"].log
        self._seen = ""

    def look(self) -> bool:
        """Open the lab again where the lake has a newer version, and say whether it has."""
        if self._log is None:
            return False
        newest = max((path.name for path in self._log.glob("*.json")), default="")
        if newest == self._seen:
            return False
        found = open_lab(self.lab.path, runs=chosen_runs(self.lab), engine=engine_of(self.lab))
        self._seen = newest
        if found.version == self.lab.version:  # compaction commits, too
            return False
        self.lab = found
        return True


def age(lab: Lab) -> float | None:
    """Return the seconds since the newest generation was received, else since it started; None: neither is known."""
    received, started = lab.newest_times
    newest = received or started
    return None if newest is None else max((datetime.now(UTC) - newest).total_seconds(), 0.0)
