"""Copying files of a lake so that a copy is whole or not there, and earlier copies are used again."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gpdata.lake.lake import MARKER

_PIECE = 1 << 20
_PART = ".part"


def marker_last(name: Path) -> tuple[bool, str]:
    """Order names so that the lake's marker comes last: without it a copy is no lake."""
    return str(name) == MARKER, str(name)


class Copier:
    """Copies files of one tree into another.

    Parameters
    ----------
    source : Path
        The top of what is copied; read with its owner's rights where root copies.
    target : Path
        Where to; made where it is missing. What a broken-off copy left there is used.
    earlier : sequence of Path, optional
        Complete copies on the same file system, whose files are used again.

    Attributes
    ----------
    files, size : int
        What the copy has.
    copied : int
        Bytes that were written.
    """

    def __init__(self, source: Path, target: Path, earlier: Sequence[Path] = ()) -> None:
        self.source, self.target = source, target
        self._earlier = earlier
        self._sizes: dict[str, int] = {}
        self.copied = 0
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(stat.S_IMODE(source.stat().st_mode))

    @property
    def files(self) -> int:
        """How many files the copy has."""
        return len(self._sizes)

    @property
    def size(self) -> int:
        """The bytes of the copy's files."""
        return sum(self._sizes.values())

    def folder(self, name: str, mode: int | None = None) -> None:
        """Make a folder with the mode of the source's."""
        path = self.target / name
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), as_owner_of(self.source):
            mode = stat.S_IMODE((self.source / name).stat().st_mode) if mode is None else mode
        if mode is not None:
            path.chmod(mode)

    def read(self, path: Path) -> bytes:
        """Return what is in a file of the source."""
        with os.fdopen(self._open(path), "rb") as file:
            return file.read()

    def write(self, data: bytes, name: str) -> None:
        """Write a file of the copy that the source has otherwise."""
        target = self.target / name
        part = target.with_name(target.name + _PART)
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
        self._sizes[name] = len(data)
        self.copied += len(data)

    def copy(self, path: Path, name: str, *, frozen: bool = False) -> None:
        """Copy a file, durably, with its times and its mode.

        Parameters
        ----------
        path : Path
            The file; a symbolic link is refused.
        name : str
            Its name in the copy.
        frozen : bool, optional
            Whether it never changes under that name: a copy of the same size and time is then used again.
        """
        target = self.target / name
        with os.fdopen(self._open(path), "rb") as file:
            found = os.fstat(file.fileno())
            self._sizes[name] = found.st_size
            if frozen and self._again(name, found):
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + _PART)
            with suppress(FileNotFoundError):
                part.unlink()
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                shutil.copyfileobj(file, out, _PIECE)
                out.flush()
                os.fchmod(out.fileno(), stat.S_IMODE(found.st_mode))
                os.utime(out.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
                os.fsync(out.fileno())
            part.replace(target)
            self.copied += found.st_size

    def leave_out_the_rest(self) -> None:
        """Remove what a broken-off copy left and this one did not bring."""
        for path in sorted(self.target.rglob("*")):
            if not path.is_dir() and str(path.relative_to(self.target)) not in self._sizes:
                path.unlink()

    def _open(self, path: Path) -> int:
        with as_owner_of(self.source):
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)

    def _again(self, name: str, found: os.stat_result) -> bool:
        target = self.target / name
        if _same(target, found):
            return True
        for folder in self._earlier:
            if _same(folder / name, found):
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    target.unlink()
                with suppress(OSError):  # a file system without hard links, or too many: it is copied instead
                    os.link(folder / name, target)
                    return True
        return False


def _same(path: Path, found: os.stat_result) -> bool:
    try:
        other = path.stat()
    except FileNotFoundError:
        return False
    return (other.st_size, other.st_mtime_ns) == (found.st_size, found.st_mtime_ns)


@contextmanager
def as_owner_of(path: Path) -> Iterator[None]:
    """Where root does it, go on with the rights of a file's owner only.

    So no link that the owner put there leads root to what the owner may not read or write, and what is made belongs
    to the owner.

    Parameters
    ----------
    path : Path
        The file or directory.
    """
    found = path.stat()
    if os.geteuid() != 0 or found.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def sync_tree(path: Path, *, deep: bool = True) -> None:
    """Bring the names in a directory to the disk, and those in all below it."""
    for folder, _, _ in os.walk(path, topdown=False) if deep else [(path, None, None)]:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
