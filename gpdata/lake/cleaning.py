"""Removing what a lake no longer names, after a time that no clock can cut short.

See docs/decisions/0007-ages-are-counted-not-computed.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gpdata.lake.delta import Table
from gpdata.lake.lake import Lake
from gpdata.storage import ObjectPath, Place, listed

_DAY = 24 * 3600.0
KEEP = 7 * _DAY
"""Seconds for which replaced files stay, so that open labs and cited versions of open sessions read on."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Moment(msgspec.Struct, frozen=True):
    """A time, told by two clocks."""

    boot: str | None
    """Which start of the machine it was; None where the system does not tell."""
    uptime: float
    """Seconds since that start, those of sleep included; nobody can set this clock."""
    wall: float
    """Seconds since the epoch, as the machine believes."""

    def since(self, earlier: Moment) -> float:
        """Return the seconds that have passed for certain.

        Within one start of the machine the uptime tells. Over a restart there is only the clock that may be
        wrong: it counts for a day at most.
        """
        if self.boot is not None and self.boot == earlier.boot:
            return max(0.0, self.uptime - earlier.uptime)
        return min(max(0.0, self.wall - earlier.wall), _DAY)


def now() -> Moment:
    """Return this moment."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else None
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    return Moment(boot if uptime else None, uptime, time.time())


class _Ages(msgspec.Struct, frozen=True):
    """For how long each file was seen to be of no use."""

    at: Moment
    seconds: dict[str, float]


def clean(lake: Lake, keep: float = KEEP, *, moment: Moment | None = None) -> list[Place]:
    """Remove replaced files, log entries before a checkpoint, and forgotten receipts and scratch files.

    The caller holds the lake's lock and that of compaction: no file of a batch under way is seen then.

    Parameters
    ----------
    lake : Lake
        The lake.
    keep : float
        Seconds for which a file must have been of no use: for data files as given, for the others a day at least.
    moment : Moment, optional
        The time; now where left out.

    Returns
    -------
    list of Path or ObjectPath
        What was removed.
    """
    moment = moment or now()
    path = lake.path / "ages.json"
    before = _read(path)
    passed = moment.since(before.at) if before is not None else 0.0
    known = before.seconds if before is not None else {}
    seconds: dict[str, float] = {}
    removed = []
    for file, least in _useless(lake, keep):
        # A file that is written anew under its name starts anew.
        key = f"{str(file).removeprefix(f'{lake.path}/')} {file.stat().st_mtime_ns}"
        age = known[key] + passed if key in known else 0.0
        if age >= least:
            removed.append(file)
        else:
            seconds[key] = age
    if removed:
        # What makes them needless must be on the disk, though its writer may have been killed before its last sync.
        for table in lake.tables.values():
            table.settle()
    for file in removed:
        lake.disk.remove(file)
    for folder in {str(file.parent): file.parent for file in removed}.values():
        lake.disk.sync_directory(folder)
    lake.disk.write(path, msgspec.json.encode(_Ages(moment, seconds)), lake.scratch)
    return removed


def _read(path: Place) -> _Ages | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Ages)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # every age begins anew: files stay longer


def _useless(lake: Lake, keep: float) -> Iterator[tuple[Place, float]]:
    """Yield the files that nothing names any more, each with the age at which it goes."""
    for table in lake.tables.values():
        used = {file.path for file in table.files()}
        for path in listed(table.path, "*.parquet"):
            if path.name not in used:
                yield path, keep
        for path in _old_log(table):
            yield path, max(keep, _DAY)
    # A store has no unfinished files, and those beside it go with their process.
    folders = [lake.path / "receipts"] if isinstance(lake.path, ObjectPath) else [lake.scratch, lake.path / "receipts"]
    for folder in folders:
        for path in listed(folder, "*"):
            if path.is_file():
                yield path, max(keep, _DAY)
    for path in listed(lake.quarantine.path, "*.tmp"):
        yield path, max(keep, _DAY)


def _old_log(table: Table) -> Iterator[Place]:
    """Yield the entries of a log, oldest first, that are needless even where the newest checkpoint is torn."""
    checkpoints = sorted(table.log.glob("[0-9]*.checkpoint.parquet"))
    if len(checkpoints) < 2:
        return
    safe = int(checkpoints[-2].name.split(".")[0])
    for path in listed(table.log, "[0-9]*"):
        if int(path.name.split(".")[0]) < safe:
            yield path
