"""What the processes that work on a lake have in common: an end with their parent's, and a limit of memory."""

from __future__ import annotations

import os
import re
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

MEMORY = 3 << 30
"""Bytes that a transform may take by default: lines of 256 MiB pass."""


def limit_memory(size: int) -> None:
    """Let this process take no more than about so many bytes; what goes beyond raises MemoryError.

    The system counts what could be written to (RLIMIT_DATA), the stacks of threads and the pools of Arrow and Rust
    included; what of it is not in use now comes on top. No core file is left.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    size += _reserved()
    size = size if most == resource.RLIM_INFINITY else min(size, most)
    resource.setrlimit(resource.RLIMIT_DATA, (size, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reserved() -> int:
    """Return the bytes that this process could write to and does not use; 0 where the system does not tell."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = dict(re.findall(r"^(VmData|VmRSS):\s+(\d+) kB$", text, re.MULTILINE))
    return max(0, int(found["VmData"]) - int(found["VmRSS"])) << 10


def when_parent_ends(act: Callable[[], object]) -> None:
    """Call a function, in a thread, when standard input ends: it is a pipe that the parent holds open."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()
