"""Trying lines in a process of their own, to find those that kill the one that reads them.

The child makes a lake of its own from the lines, with the code of every other batch, and throws it away.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gpdata.errors import LakeDamaged
from gpdata.lake.child import MEMORY, limit_memory, when_parent_ends
from gpdata.lake.lake import Lake
from gpdata.spool import Damage, Disk, Meta, Spool, SpoolFile
from gpdata.spool.room import FULL
from gpdata.storage import Place, as_place

_SHARE = 0.75
"""Of the memory that the transform has: it holds rows of other lines beside those of the line it reads."""
_TOGETHER = 8 << 20
"""Raw bytes of lines that are tried at a time, before they are tried one by one."""
_DEADLINE = 300.0
"""Seconds for one portion; a process that has no memory left may hang instead of ending."""
_NO_ROOM = 28


def heavy_lines(lake: Lake, file: SpoolFile, *, memory: int | None = None) -> frozenset[int]:
    """Find the lines of a spool file that kill the process which makes rows of them.

    Parameters
    ----------
    lake : Lake
        The lake; its scratch directory is used.
    file : SpoolFile
        The file.
    memory : int, optional
        Bytes that the transform may take.

    Returns
    -------
    frozenset of int
        Positions in the file, from 0; damaged stretches count.

    Raises
    ------
    OSError
        The disk is full.
    LakeDamaged
        Not even a process that reads no line ends well, which says nothing of the lines.
    """
    most = int(_SHARE * (memory or MEMORY))
    heavy: set[int] = set()
    _, status, said = _child(lake, file, sys.maxsize, False, most)
    if status not in (0, _NO_ROOM):
        raise LakeDamaged(
            f"the spool file {file.path} killed the transform twice, and its lines cannot be tried one by one: "
            f"{said[-500:]}; give the transform more memory, or move the file out of the spool to go on without it"
        )
    start, alone = 0, False
    while status != _NO_ROOM:
        reached, status, _ = _child(lake, file, start, alone, most)
        if status == 0:
            return frozenset(heavy)
        if status == _NO_ROOM:
            break
        if alone and reached == start:  # killed by its first line, in a process that had read no other
            heavy.add(start)
            reached, alone = reached + 1, False
        else:
            alone = True
        start = reached
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(lake.scratch))


def _child(lake: Lake, file: SpoolFile, start: int, alone: bool, memory: int) -> tuple[int, int, str]:
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    command += [str(file.path), str(lake.scratch), str(start), str(int(alone))]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen([*command, str(memory)], bufsize=0, stdin=pipe, stdout=pipe, stderr=said) as child,
    ):
        # Standard input stays open and empty: the child ends when this process does.
        assert child.stdout is not None
        reached = start
        while True:
            if not select.select([child.stdout], [], [], _DEADLINE)[0]:
                child.kill()
            if not (text := child.stdout.readline()):
                break
            reached = int(text)
        status = child.wait()
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    for path in lake.scratch.glob(f"trial-{child.pid}-*"):
        shutil.rmtree(path, ignore_errors=True)
    return reached, status, words


class _Unsynced(Disk):
    """Nothing of a trial has to outlive it."""

    def sync(self, file: BinaryIO) -> None:
        """Bring nothing to the disk."""
        file.flush()

    def sync_path(self, path: Place) -> None:
        """Bring nothing to the disk."""


def _try(file: Place, scratch: Path, start: int, alone: bool, memory: int) -> None:
    """Make rows of the lines from `start` on; write to standard output how far it got."""
    # Imported here, because the transform starts trials.
    from gpdata.lake.transform import Transformer

    spool = Spool(file.parent.parent)
    source = SpoolFile(file.name.split(".")[0], file, file.stat().st_size)
    meta = spool.meta(source) or Meta("unknown")
    directory = scratch / f"trial-{os.getpid()}-lake"
    try:
        lake = Lake.create(directory, disk=_Unsynced())
        transformer = Transformer(lake, trials=False)
        transformer.run()  # starts the threads of delta-rs, which hang where they have no memory to start with
        limit_memory(memory)
        for end, lines in _portions(spool.read(source, start), start, 1 if alone else _TOGETHER):
            transformer.spool.write(lines, Meta(meta.source, meta.owner, meta.received_at))
            transformer.run()
            os.write(sys.stdout.fileno(), b"%d\n" % end)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _portions(parts: Iterator[bytes | Damage], start: int, most: int) -> Iterator[tuple[int, list[bytes]]]:
    lines: list[bytes] = []
    end = start
    for position, part in enumerate(parts):
        if position < start:
            continue
        if isinstance(part, bytes):
            lines.append(part)
        end = position + 1
        if sum(map(len, lines)) >= most:
            yield end, lines
            lines = []
    if lines:
        yield end, lines


def main() -> None:
    """Be the child: try the lines that the arguments name."""
    file, scratch, start, alone, memory = sys.argv[1:]
    when_parent_ends(lambda: os._exit(1))
    try:
        _try(as_place(file), Path(scratch), int(start), alone == "1", int(memory))
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(_NO_ROOM)
