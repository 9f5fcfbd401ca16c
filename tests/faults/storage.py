"""Simulated storage: a `Disk` in a directory that keeps a journal, and whose calls can fail or be left out.

What delta-rs writes beside it is found, and noted, before the next call that concerns the same directory.
`tests.faults.survival` tells from the journal what a crash may leave.

    disk = JournalDisk(directory, skip=lambda step: step.where[0] == "spool/spool.py:SpoolWriter.commit")
    disk.set_fault(Fault(at=7, error=errno.EIO))
    ...                                  # work with Lake.create(directory / "lake", disk=disk)
    model = Model()
    for step in disk.steps:              # a crash behind each step
        model.play(step)
        materialise(model.survive(seed), fresh_directory)
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import gpdata
from gpdata.spool import Disk

_PACKAGE = str(Path(gpdata.__file__ or "").parent) + os.sep
_NEEDS_ROOM = {"create", "write", "sync", "sync_path", "rename", "link", "make_directory"}
_DEPTH = 6
_LOG = "_delta_log"


class Crash(BaseException):
    """The machine stops here; nothing behind it changes the disk."""


@dataclass(slots=True)
class Step:
    """A call that changes what the disk holds, or is to hold."""

    kind: str
    """A method of `Disk`, or `write`, `truncate`, and `foreign` and `vanished` for what delta-rs did itself."""
    path: str
    """Relative to the root."""
    other: str = ""
    """The target of a rename or link."""
    at: int = 0
    data: bytes = b""
    error: int = 0
    """The errno with which the call failed."""
    where: tuple[str, ...] = ()
    """The functions of gpdata that are at it, the innermost first: `spool/disk.py:Disk.write`."""
    phase: str = ""

    def __str__(self) -> str:
        target = f" -> {self.other}" if self.other else ""
        failed = f" failed with {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.phase}: {self.kind} {self.path}{target}{failed} ({', '.join(self.where[:2])})"


@dataclass
class Fault:
    """A call that fails."""

    at: int
    """The number of the call, from 0, counted from when the fault is set."""
    error: int = errno.ENOSPC
    lasting: bool = False
    """Whether whatever needs room fails from then on, until the fault is taken away."""
    cut: bool = False
    """Whether half of a write is made before it fails."""
    hit: bool = False


class JournalDisk(Disk):
    """A disk in a directory, with a journal of all that is done to it.

    Parameters
    ----------
    root : Path
        The directory; what is in it already counts as synced.
    skip : callable, optional
        Switches barriers off: a sync, sync_path or sync_directory for which it returns True is left out.
    stop : int, optional
        The number of the step before which the machine stops.
    watch : callable, optional
        Called behind each step.
    """

    def __init__(
        self,
        root: Path,
        *,
        skip: Callable[[Step], bool] | None = None,
        stop: int | None = None,
        watch: Callable[[Step], None] | None = None,
    ) -> None:
        self.root = root
        self.steps: list[Step] = []
        self.phase = ""
        self.fault: Fault | None = None
        self.dead = False
        self.skipped = 0
        self._skip, self._stop, self.watch = skip, stop, watch
        self._calls = 0
        self._directories = {self._name(Path(path)) for path, _, _ in os.walk(root)}
        self._own: set[str] = set()
        self._foreign = {self._name(path): _marks(path.stat()) for path in root.rglob(f"{_LOG}/*") if path.is_file()}
        """Of each file that delta-rs wrote what shows whether it is still the same."""

    def set_fault(self, fault: Fault | None) -> None:
        """Let a later call fail; None makes the disk whole again."""
        self.fault, self._calls = fault, 0

    def make_directory(self, path: Path) -> None:
        missing = [path, *path.parents]
        missing = missing[: next(i for i, p in enumerate(missing) if p.is_dir())]
        if missing:
            self.sync_directory(missing[-1].parent.parent)
        for directory in reversed(missing):
            self._do(Step("make_directory", self._name(directory)), directory.mkdir)
            self._directories.add(self._name(directory))
            self.sync_directory(directory.parent)

    def create(self, path: Path) -> BinaryIO:
        file = self._do(Step("create", self._name(path)), lambda: _File(self, path))
        self._own.add(self._name(path))
        return file  # type: ignore[no-any-return]

    def sync(self, file: BinaryIO) -> None:
        file.flush()
        assert isinstance(file, _File)
        self._do(Step("sync", file.name))

    def sync_path(self, path: Path) -> None:
        self._look(path.parent)
        self._do(Step("sync_path", self._name(path)))

    def sync_directory(self, path: Path) -> None:
        if not path.is_relative_to(self.root):
            return
        self._look(path)
        self._do(Step("sync_directory", self._name(path)))

    def rename(self, source: Path, target: Path) -> None:
        def act() -> None:
            Disk.rename(self, source, target)
            self._own.discard(self._name(source))
            self._foreign.pop(self._name(source), None)
            self._own.add(self._name(target))

        self._look(source.parent)
        self._do(Step("rename", self._name(source), self._name(target)), act)

    def link(self, source: Path, target: Path) -> None:
        def act() -> None:
            os.link(source, target)
            self._own.add(self._name(target))

        self._look(target.parent)
        self._do(Step("link", self._name(source), self._name(target)), act)

    def remove(self, path: Path) -> None:
        def act() -> None:
            path.unlink()
            self._own.discard(self._name(path))
            self._foreign.pop(self._name(path), None)

        if self.dead:
            raise Crash
        self._look(path.parent)
        if path.exists():
            self._do(Step("remove", self._name(path)), act)

    def written(self, path: str, at: int, data: bytes, write: Callable[[bytes], Any]) -> None:
        """Make a write to a file that was made here."""
        try:
            self._do(Step("write", path, at=at, data=data), lambda: write(data))
        except OSError:
            if self.fault is not None and self.fault.cut:
                half = data[: len(data) // 2]
                write(half)
                self.steps.append(Step("write", path, at=at, data=half, phase=self.phase))
            raise

    def truncated(self, path: str, at: int, act: Callable[[], Any]) -> None:
        """Note that such a file was cut off."""
        self._do(Step("truncate", path, at=at), act)

    def _do(self, step: Step, act: Callable[[], Any] = lambda: None) -> Any:
        """Make a call and note it, unless it is to fail, or everything is to stop."""
        if self.dead or (self._stop is not None and len(self.steps) >= self._stop):
            self.dead = True
            raise Crash
        step.where, step.phase = _where(), self.phase
        if step.kind.startswith("sync") and self._skip is not None and self._skip(step):
            self.skipped += 1
            return None
        if error := self._failure(step.kind):
            step.error = error
            self.steps.append(step)
            raise OSError(error, os.strerror(error), step.path)
        result = act()
        self.steps.append(step)
        if self.watch is not None:
            self.watch(step)
        return result

    def _failure(self, kind: str) -> int:
        fault = self.fault
        if fault is None or kind in ("foreign", "vanished"):
            return 0
        call, self._calls = self._calls, self._calls + 1
        fits = fault.error != errno.ENOSPC or kind in _NEEDS_ROOM
        fails = call >= fault.at and fits and (fault.lasting or not fault.hit)
        fault.hit = fault.hit or fails
        return fault.error if fails else 0

    def _look(self, directory: Path) -> None:
        """Note what came into a directory, changed, or went, without this disk: delta-rs was at it."""
        if self.dead:
            raise Crash
        log = directory if directory.name == _LOG else directory / _LOG
        if not log.is_dir():
            return
        name = self._name(log)
        if name not in self._directories:
            self._do(Step("make_directory", name))
            self._directories.add(name)
        with os.scandir(log) as entries:
            found = {f"{name}/{e.name}": e.stat() for e in entries if e.is_file()}
        for path in sorted(self._foreign.keys() - found.keys()):
            if path.startswith(f"{name}/"):
                self._do(Step("vanished", path))
                del self._foreign[path]
        for path in sorted(found.keys() - self._own):
            if self._foreign.get(path) != _marks(found[path]):
                self._do(Step("foreign", path, data=(self.root / path).read_bytes()))
                self._foreign[path] = _marks(found[path])

    def _name(self, path: Path) -> str:
        name = os.path.relpath(path, self.root)
        return "" if name == "." else name


class _File(io.RawIOBase):
    """A file whose every write is noted; nothing is kept back in this process."""

    def __init__(self, disk: JournalDisk, path: Path) -> None:
        self.name = disk._name(path)
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def write(self, data: Any) -> int:
        content = bytes(data)
        if content and not self._disk.dead:
            self._disk.written(self.name, self.tell(), content, lambda piece: os.write(self._descriptor, piece))
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        if not self._disk.dead:
            self._disk.truncated(self.name, size, lambda: os.ftruncate(self._descriptor, size))
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def _marks(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _where() -> tuple[str, ...]:
    """Return the functions of gpdata that are being executed."""
    found: list[str] = []
    frame = sys._getframe(2)
    while frame is not None and len(found) < _DEPTH:
        code = frame.f_code
        if code.co_filename.startswith(_PACKAGE):
            found.append(f"{code.co_filename[len(_PACKAGE) :]}:{code.co_qualname}")
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)
