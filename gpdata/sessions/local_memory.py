"""How much memory this process may still take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gpdata.config import memory_limit

SHARE = 0.6
"""Of the free memory, what one result may take."""
_NO_LIMIT = 2**60
"""As large as this is how version 1 says that there is none."""


def free_memory(root: Path = Path("/")) -> int | None:
    """Return how much memory is free for this process: on the machine, in its container, in its hub server.

    Parameters
    ----------
    root : Path, optional
        Where the kernel's files are.

    Returns
    -------
    int or None
        Bytes; None where the system does not tell.

    Examples
    --------
    >>> free_memory(Path("/nowhere")) is None
    True
    """
    found = list(_free(root))
    return min(found) if found else None


def _free(root: Path) -> Iterator[int]:
    machine = _text(root / "proc/meminfo")
    if "MemAvailable:" in machine:
        yield _number(root / "proc/meminfo", "MemAvailable:") * 1024
    # A container sees its own group at the top; first version 2 of such groups, then version 1.
    for group, limit, used, cache in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        folder = root / "sys/fs/cgroup" / group
        most, now = (_text(folder / name).strip() for name in (limit, used))
        if most.isdecimal() and now.isdecimal() and int(most) < _NO_LIMIT:
            # What is kept of files counts as used, and gives way.
            yield max(int(most) - int(now) + _number(folder / "memory.stat", cache), 0)
    if machine and (given := memory_limit()):
        yield max(given - _number(root / "proc/self/status", "VmRSS:") * 1024, 0)


def _number(path: Path, name: str) -> int:
    """The number after a name in a file of names and numbers; 0 where it is not there."""
    for line in _text(path).splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    return 0


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
