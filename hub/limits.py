"""What holds a user's server to its memory, processors and processes, and what of it this machine can enforce.

Three ways, the first that works: systemd (a unit per server), control groups that root makes itself, limits of each
process. Whichever it is, ``limits_in_force`` says so in a sentence, which the hub writes into its log.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEMD, CGROUPS, PROCESSES = "systemd", "cgroups", "processes"
CGROUP_ROOT = Path("/sys/fs/cgroup")
GROUP = "gpdata-hub"
MOST_TASKS = 4096
"""Threads and processes of one user: Spark and JupyterLab take some hundreds; a fork bomb ends here."""
PERIOD = 100_000
"""Microseconds over which the kernel counts a group's use of the processors."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one user's server with all that it starts.

    Parameters
    ----------
    memory : int or None
        Bytes; None: no limit.
    cpus : float or None
        Processors; None: no limit.
    """

    memory: int | None
    cpus: float | None

    @property
    def data(self) -> int | None:
        """The bytes that a single process may have of its own: a tenth less, so that it fails before the group does.

        A process that asks for more gets an error that it can show (Python: MemoryError). Only what several processes
        take together is ended by the kernel without a word.
        """
        return None if self.memory is None else self.memory * 9 // 10


def has_systemd() -> bool:
    """Say whether systemd runs this machine, as sd_booted(3) finds out."""
    return Path("/run/systemd/system").is_dir()


def way(*, root: bool, cgroup_root: Path = CGROUP_ROOT) -> str:
    """Find how limits are kept on this machine.

    Parameters
    ----------
    root : bool
        Whether root runs the hub, with an account of the machine for each user.
    cgroup_root : Path, optional
        Where the control groups are mounted.

    Returns
    -------
    str
        "systemd", "cgroups" or "processes".

    Examples
    --------
    >>> way(root=False)
    'processes'
    """
    if not root:
        return PROCESSES
    if has_systemd():
        return SYSTEMD
    return CGROUPS if controllers(cgroup_root) else PROCESSES


def controllers(cgroup_root: Path) -> dict[str, Path]:
    """Find where groups can be made that limit memory, processors and tasks.

    Parameters
    ----------
    cgroup_root : Path
        Where the control groups are mounted.

    Returns
    -------
    dict of str to Path
        For "memory", "cpu" and "pids" the folder that groups are made in: three with version 1, one and the same with
        version 2. Empty: this process may not make any, or the kernel leaves them to somebody else.
    """
    names = ("memory", "cpu", "pids")
    if (cgroup_root / "cgroup.controllers").exists():
        folder = cgroup_root / GROUP
        try:
            folder.mkdir(exist_ok=True)
            for place in (cgroup_root, folder):
                (place / "cgroup.subtree_control").write_text("+memory +cpu +pids")
        except OSError:  # a container that was given none, or a group that has processes of its own
            return {}
        return dict.fromkeys(names, folder)
    found = {}
    for name in names:
        folder = cgroup_root / name / GROUP
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            return {}
        found[name] = folder
    return found


class ServerGroup:
    """The control group of one user's server.

    Parameters
    ----------
    name : str
        The name of the group; that of the user, after the hub's own.
    cgroup_root : Path, optional
        Where the control groups are mounted.
    """

    def __init__(self, name: str, cgroup_root: Path = CGROUP_ROOT) -> None:
        self.folders = {controller: folder / name for controller, folder in controllers(cgroup_root).items()}
        self.unified = len(set(self.folders.values())) == 1

    def limit(self, limits: Limits) -> None:
        """Make the group, or give the one that is there these limits."""
        for folder in self.folders.values():
            folder.mkdir(exist_ok=True)
        memory = "max" if limits.memory is None else str(limits.memory)
        quota = None if limits.cpus is None else str(math.ceil(limits.cpus * PERIOD))
        if self.unified:
            self._write("memory", "memory.max", memory)
            self._write("memory", "memory.swap.max", "0", optional=True)
            self._write("cpu", "cpu.max", f"{quota or 'max'} {PERIOD}")
        else:
            self._write("memory", "memory.limit_in_bytes", "-1" if memory == "max" else memory)
            self._write("memory", "memory.swappiness", "0")
            self._write("cpu", "cpu.cfs_period_us", str(PERIOD))
            self._write("cpu", "cpu.cfs_quota_us", quota or "-1")
        self._write("pids", "pids.max", str(MOST_TASKS))

    def _write(self, controller: str, file: str, text: str, *, optional: bool = False) -> None:
        path = self.folders[controller] / file
        if not optional or path.exists():
            path.write_text(text)

    def enter(self) -> None:
        """Put this process into the group; what it starts from here on is in it too."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text("0")

    def processes(self) -> list[int]:
        """List the processes in the group."""
        folder = self.folders["pids"]
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()] if folder.is_dir() else []

    def kill(self, rounds: int = 10) -> None:
        """End what is left in the group, such as a kernel that outlived its server, and what that starts meanwhile."""
        for _ in range(rounds):
            left = self.processes()
            if not left:
                return
            for process in left:
                try:
                    handle = os.pidfd_open(process)
                except ProcessLookupError:
                    continue
                try:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], 1)  # readable: it has ended
                except ProcessLookupError:
                    continue
                finally:
                    os.close(handle)

    def remove(self) -> bool:
        """Remove the group; False: something in it is still ending."""
        try:
            for folder in set(self.folders.values()):
                if folder.is_dir():
                    folder.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise
        return True


def limit_process(limits: Limits, *, alone: bool = False, spread: int = 0) -> Callable[[], None]:
    """Return what limits the process that calls it, and all that it starts, each by itself.

    Parameters
    ----------
    limits : Limits
        The limits. Processors are whole ones here.
    alone : bool, optional
        Whether the user has an account of this machine alone, so that its processes can be counted.
    spread : int, optional
        Which processors: users with different numbers get different ones, as far as there are enough.

    Returns
    -------
    callable
        To be called in a new process before it becomes another program. It does nothing that can wait.
    """
    mine = sorted(os.sched_getaffinity(0))
    wanted = len(mine) if limits.cpus is None else min(math.ceil(limits.cpus), len(mine))
    chosen = {mine[(spread * wanted + place) % len(mine)] for place in range(wanted)}

    def apply() -> None:
        if limits.data is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limits.data, limits.data))
        if alone:
            resource.setrlimit(resource.RLIMIT_NPROC, (MOST_TASKS, MOST_TASKS))
        os.sched_setaffinity(0, chosen)

    return apply


def limits_in_force(limits: Limits, kept_by: str) -> str:
    """Say in a sentence what holds a user's server to which limits.

    Parameters
    ----------
    limits : Limits
        The limits.
    kept_by : str
        What `way` found.

    Returns
    -------
    str
        The sentence.

    Examples
    --------
    >>> limits_in_force(Limits(None, 2), "processes")
    'each server: any memory, 2 processors (per process: there is neither systemd nor a writable control group)'
    """
    memory = "any memory" if limits.memory is None else f"{limits.memory / 2**30:.3g} GiB of memory"
    cpus = "all processors" if limits.cpus is None else f"{limits.cpus:g} processors"
    how = {
        SYSTEMD: "all its processes together, by systemd",
        CGROUPS: "all its processes together, by control groups",
        PROCESSES: "per process: there is neither systemd nor a writable control group",
    }[kept_by]
    return f"each server: {memory}, {cpus} ({how})"
