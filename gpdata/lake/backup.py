"""Backups of a lake, made while it is written, and their return.

A backup is a directory that is complete by itself; a data file that an earlier backup has is a hard link to it. Data
files, which never change, are copied first. Then whoever writes to the lake waits, for as long as copying what came
meanwhile takes: what is acknowledged is by then in the spool or in the tables, and both are copied as they stand.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gpdata.errors import InvalidInput
from gpdata.lake.copying import Copier, as_owner_of, marker_last, sync_tree
from gpdata.lake.delta import Table
from gpdata.lake.lake import MARKER, Lake
from gpdata.lake.snapshot import take_snapshot
from gpdata.lake.transform import Manifest
from gpdata.lake.verify import verify
from gpdata.spool import Damage, Spool
from gpdata.storage import as_place, local

NOTE = "backup.json"
"""Written last: a directory without it is no backup."""
UNFINISHED = "unfinished"
_LOCK = ".lock"
_FORMAT = "gpdata backup"
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?", re.ASCII)
_LOG = re.compile(r"\d{20}\.(json|checkpoint(\.\w+)*\.parquet)", re.ASCII)
_FOLDERS = ("scratch", "manifests", "receipts", "quarantine", "spool", *(f"spool/{name}" for name in
            ("tmp", "new", "done", "trash")))  # fmt: skip


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a backup; kept in it as ``backup.json``.

    Attributes
    ----------
    made_at : datetime
        When it began: whatever was acknowledged before is in it.
    lake : str
        The lake's directory.
    version : int
        The newest batch in its tables; what waited in the spool is in it beside.
    files, size : int
        How many files it has, and their bytes.
    copied : int
        The bytes that no earlier backup had.
    faults : list of str or None
        What a check of the copy found; None where it was not checked.
    """

    format: str = _FORMAT
    made_at: datetime
    lake: str
    version: int
    files: int
    size: int
    copied: int
    faults: list[str] | None


def back_up(
    lake: Lake,
    destination: Path,
    *,
    spool: Spool | None = None,
    keep: int | None = None,
    check: bool = True,
    wait: float | None = None,
    also: Callable[[Path], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Path, Backup]:
    """Make a backup of a lake while it is written.

    Parameters
    ----------
    lake : Lake
        The lake. Readers and uploads go on; the transform waits for moments, and compaction until the end.
    destination : Path
        The directory of all backups, for its owner alone: tokens are in them. Made where it is missing.
    spool : Spool, optional
        What the lake is fed from, where that is not its own spool; in the backup it is.
    keep : int, optional
        Remove the oldest backups beyond so many, where this one has no faults; all stay by default.
    check : bool, optional
        Whether the copy is read whole, and every invariant checked.
    wait : float, optional
        Seconds to wait for a compaction, or a batch, that is under way; for ever by default.
    also : callable, optional
        Puts more into the backup before it counts as one; called with its directory.
    progress : callable, optional
        Called with what is done now.

    Returns
    -------
    tuple of (Path, Backup)
        The backup's directory, and what is known of it.

    Raises
    ------
    InvalidInput
        The destination is no place for backups, or another backup is being made there.
    LakeBusy
        The lake's locks were held by others all that time.
    """
    say = progress or (lambda text: None)
    destination = local(as_place(destination), "a backup")
    with _held(lake, destination):
        began = datetime.now(UTC)
        folder = destination / UNFINISHED
        earlier = [path / "lake" for path, note in backups(destination) if not note.faults]
        copier = Copier(_at(lake), folder / "lake", earlier[-1:])
        with ExitStack() as stack:
            with as_owner_of(_at(lake)):
                stack.enter_context(lake.lock(wait, "compaction.lock"))
            say("copying data files")
            for table in lake.tables.values():
                _data(table, copier)
            version = _rest(lake, spool, copier, wait, say)
        copier.leave_out_the_rest()
        if also is not None:
            also(folder)
        faults = None
        if check:
            say("checking the copy")
            faults = list(check_copy(Lake.open(folder / "lake")))
        note = Backup(
            made_at=began,
            lake=str(_at(lake)),
            version=version,
            files=copier.files,
            size=copier.size,
            copied=copier.copied,
            faults=faults,
        )
        (folder / NOTE).write_bytes(msgspec.json.format(msgspec.json.encode(note)) + b"\n")
        sync_tree(folder)
        path = _name(destination, began)
        folder.rename(path)
        sync_tree(destination, deep=False)
        if keep is not None and not faults:
            _prune(destination, keep, path)
        return path, note


def backups(destination: Path) -> list[tuple[Path, Backup]]:
    """Return the backups of a directory, oldest first.

    Parameters
    ----------
    destination : Path
        The directory of all backups.

    Returns
    -------
    list of tuple of (Path, Backup)
        Each with what is known of it. Unfinished ones do not count.
    """
    found = []
    for path in sorted(destination.iterdir()) if destination.is_dir() else []:
        if _NAME.fullmatch(path.name) and (path / NOTE).is_file():
            found.append((path, read_note(path)))
    return found


def read_note(path: Path) -> Backup:
    """Return what is known of a backup.

    Raises
    ------
    InvalidInput
        The directory is no backup.
    """
    try:
        note = msgspec.json.decode((path / NOTE).read_bytes(), type=Backup)
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"{path} is no backup of gpdata: its {NOTE} cannot be read ({error}); name a directory that 'gpdata "
            "backup' made, such as BACKUPS/20260101T000000Z"
        ) from None
    if note.format != _FORMAT:
        raise InvalidInput(f"{path / NOTE} says that it is {note.format!r}; a backup's is {_FORMAT!r}")
    return note


def restore(backup: Path, target: Path, *, progress: Callable[[str], None] | None = None) -> Lake:
    """Bring a backup's lake back, to where nothing is.

    Parameters
    ----------
    backup : Path
        The backup's directory; it stays as it is.
    target : Path
        The lake's directory: one that does not exist, or is empty.
    progress : callable, optional
        Called with the name of each file.

    Returns
    -------
    Lake
        The lake, whole. What waited in its spool is transformed by the next writer.

    Raises
    ------
    InvalidInput
        The directory is no backup, or the target holds something.
    """
    target = local(as_place(target), "a lake that is restored")
    read_note(backup)
    must_be_empty(target)
    source = backup / "lake"
    copier = Copier(source, target)
    names = [path.relative_to(source) for path in sorted(source.rglob("*"))]
    for name in names:
        if (source / name).is_dir():
            copier.folder(str(name))
    for name in sorted((name for name in names if not (source / name).is_dir()), key=marker_last):
        if progress is not None:
            progress(str(name))
        copier.copy(source / name, str(name))
    sync_tree(target)
    return Lake.open(target)


def check_copy(lake: Lake) -> Iterator[str]:
    """Read a lake whole, its spool too, and yield what is wrong with it."""
    for finding in verify(lake):
        if finding.kind == "error":
            yield f"{finding.where}: {finding.what}"
    spool = lake.spool()
    for file in spool.pending():
        for part in spool.read(file):
            if isinstance(part, Damage):
                yield f"spool/new/{file.path.name}: {part.reason}"


def must_be_empty(target: Path) -> None:
    """Refuse to restore to where something is.

    Raises
    ------
    InvalidInput
        The path is a file, or a directory that holds something.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(
            f"{target} is there already; a backup is restored to a directory that does not exist or is empty. Move "
            "what is there away, or name another one."
        )


def _data(table: Table, copier: Copier) -> None:
    with as_owner_of(copier.source):
        files = table.files()
    copier.folder(table.name)
    copier.folder(f"{table.name}/_delta_log")
    for file in files:
        copier.copy(table.path / file.path, f"{table.name}/{file.path}", frozen=True)


def _rest(lake: Lake, spool: Spool | None, copier: Copier, wait: float | None, say: Callable[[str], None]) -> int:
    """Copy what may change, and what came meanwhile, while nobody writes to the tables."""
    with ExitStack() as stack:
        with as_owner_of(_at(lake)):
            stack.enter_context(lake.lock(wait))
            for table in lake.tables.values():
                table.repair()  # a killed writer may have left a torn entry, and nobody has written since
            version = take_snapshot(lake).version
        say("copying what is new, while no batch is made")
        for name in _FOLDERS:
            copier.folder(name)
        for table in lake.tables.values():
            _data(table, copier)
            for path in _listed(lake, table.log, "*"):
                if _LOG.fullmatch(path.name) or path.name == "_last_checkpoint":
                    copier.copy(path, f"{table.name}/_delta_log/{path.name}", frozen=path.name[0] != "_")
        for source in filter(None, (lake.spool(), spool)):
            # Complete files are only ever added while the lock is held.
            with as_owner_of(_at(lake)):
                pending = source.pending()
            for file in pending:
                copier.copy(local(file.path, "a backup of a spool"), f"spool/new/{file.path.name}")
        _manifests(lake, copier)
        for path in _listed(lake, _at(lake) / "quarantine", "*.json"):
            with suppress(FileNotFoundError):  # dropped by a person just now
                copier.copy(path.with_suffix(".raw.zst"), f"quarantine/{path.stem}.raw.zst", frozen=True)
                copier.copy(path, f"quarantine/{path.name}", frozen=True)
        if (_at(lake) / "tokens").is_dir():
            copier.folder("tokens", 0o700)
            for path in _listed(lake, _at(lake) / "tokens", "*"):
                if not path.name.endswith(".tmp"):
                    with suppress(FileNotFoundError):
                        copier.copy(path, f"tokens/{path.name}")
        with suppress(FileNotFoundError):
            copier.copy(_at(lake) / "ages.json", "ages.json")
        copier.copy(_at(lake) / MARKER, MARKER)
        return version


def _manifests(lake: Lake, copier: Copier) -> None:
    """Copy what a batch that was broken off needs to be made again, from the spool that the copy has."""
    for path in _listed(lake, _at(lake) / "manifests", "*"):
        if path.suffix == ".json":
            manifest = msgspec.json.decode(copier.read(path), type=Manifest)
            copier.write(msgspec.json.encode(msgspec.structs.replace(manifest, spool="spool")),
                         f"manifests/{path.name}")  # fmt: skip
        elif path.name == "suspects":
            copier.copy(path, f"manifests/{path.name}")


def _at(lake: Lake) -> Path:
    return local(lake.path, "a backup")


def _listed(lake: Lake, folder: Path, pattern: str) -> list[Path]:
    with as_owner_of(_at(lake)):
        return sorted(path for path in folder.glob(pattern) if path.is_file())


@contextmanager
def _held(lake: Lake, destination: Path) -> Iterator[None]:
    """Be the only one who makes a backup in a directory that is fit for it."""
    inside, place = _at(lake).resolve(), destination.resolve()
    if place == inside or inside in place.parents or place in inside.parents:
        raise InvalidInput(f"backups of {_at(lake)} cannot be made in {destination}: one lies inside the other")
    destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = destination.stat()
    if found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise InvalidInput(
            f"{destination} has mode {found.st_mode & 0o777:04o} and belongs to uid {found.st_uid}; backups hold "
            "tokens and need a directory of your own with mode 0700. If it is that: chmod 700 "
            f"{destination}. If not, name another one."
        )
    own = {UNFINISHED, _LOCK, "lost+found"}
    if foreign := sorted(p.name for p in destination.iterdir() if p.name not in own and not _NAME.fullmatch(p.name)):
        raise InvalidInput(
            f"{destination} holds other things than backups ({', '.join(foreign[:3])}); name a directory for them alone"
        )
    with (destination / _LOCK).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another backup is being made in {destination}; wait for it") from None
        yield


def _name(destination: Path, began: datetime) -> Path:
    first = path = destination / began.strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while path.exists():
        number += 1
        path = first.with_name(f"{first.name}-{number}")
    return path


def _prune(destination: Path, keep: int, newest: Path) -> None:
    """Remove the oldest; whatever the clock says, not the newest."""
    complete = [path for path, _ in backups(destination) if path != newest]
    for path in complete[: max(0, len(complete) - keep + 1)]:
        (path / NOTE).unlink()
    for path in destination.iterdir():
        if _NAME.fullmatch(path.name) and not (path / NOTE).exists():
            shutil.rmtree(path)
