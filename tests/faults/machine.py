"""Real processes on a machine that can die at any call: the layer of `shim/plug.c`, compiled on the spot.

The layer sits below Python, delta-rs and Arrow (LD_PRELOAD), counts every call that changes what lies under one
directory, and kills, fails or notes it. `nursery.py` starts commands quickly: a process that has loaded gpdata once
forks for each.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from tests.faults.storage import Step

ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).parent
_SOURCE = _HERE / "shim" / "plug.c"
KINDS = ("create", "write", "truncate", "sync", "sync_directory", "rename", "link", "remove", "make_directory")
NEEDS_ROOM = tuple(kind for kind in KINDS if kind not in ("remove", "truncate"))
_FIELDS = ("calls", "kill_at", "machine", "dead", "fault_from", "fault_to", "fault_errno", "fault_kinds", "fault_half",
           "hits", "clock")  # fmt: skip
_RECORD = struct.Struct("<IIIIqIIII")
_MAGIC = 0x47554C50
_EVER = 2**62
_MEMORY = Path("/dev/shm")


def layer() -> Path:
    """Return the compiled layer; skip where there is no compiler."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"gpdata-plug-{os.getuid()}-{digest}.so"
    if not built.exists():
        temporary = built.with_suffix(f".{os.getpid()}")
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", temporary, _SOURCE, "-ldl", "-lpthread"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("the layer below real processes is C, and this machine has no compiler 'cc'")
        assert done.returncode == 0, done.stderr
        temporary.replace(built)
    return built


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory for a while, in memory where there is such a file system."""
    with tempfile.TemporaryDirectory(prefix="gpdata-faults-", dir=_MEMORY if _MEMORY.is_dir() else None) as path:
        yield Path(path)


class Machine:
    """What the processes that work in a directory have in common: one count, one journal, one clock, one death.

    Parameters
    ----------
    root : Path
        The directory that is watched; it exists.
    files : Path
        Where the control file and the journal go; outside of the root.
    journal : bool, optional
        Whether each call is noted, with its bytes.
    """

    def __init__(self, root: Path, files: Path, *, journal: bool = False) -> None:
        files.mkdir(exist_ok=True)
        self.root = root
        self.control, self._journal = files / "control", files / "journal"
        self.control.write_bytes(bytes(4096))
        self._journal.write_bytes(b"")
        ctypes.CDLL(str(layer())).plug_prepare(str(self.control).encode())
        self.attach = {"PLUG_CONTROL": str(self.control), "PLUG_JOURNAL": str(self._journal) if journal else "",
                       "PLUG_ROOT": str(root)}  # fmt: skip
        self.environment = self.attach | {"LD_PRELOAD": str(layer())}

    def __getitem__(self, name: str) -> int:
        """Return a field of the control file."""
        with self.control.open("rb") as file:
            file.seek(8 * _FIELDS.index(name))
            return int.from_bytes(file.read(8), "little", signed=True)

    def __setitem__(self, name: str, value: int) -> None:
        with self.control.open("r+b", buffering=0) as file:
            file.seek(8 * _FIELDS.index(name))
            file.write(value.to_bytes(8, "little", signed=True))

    def fail(self, error: int, *, at: int = 1, count: int = _EVER, kinds: tuple[str, ...] = NEEDS_ROOM) -> None:
        """Let calls of some kinds fail, from the at-th one from now on."""
        self["hits"] = 0
        self["fault_errno"] = error
        self["fault_kinds"] = sum(1 << KINDS.index(kind) for kind in kinds)
        first = self["calls"] + at
        self["fault_to"] = min(_EVER, first + count - 1)
        self["fault_from"] = first

    def mend(self) -> None:
        """Let nothing fail any more."""
        self["fault_from"] = 0

    def kill(self, at: int, *, everything: bool = False) -> None:
        """Let the process die that makes the at-th call from now on, before it; with it every other one."""
        self["machine"] = int(everything)
        self["kill_at"] = self["calls"] + at

    def users(self) -> list[int]:
        """Return the processes that are attached."""
        found = []
        for maps in Path("/proc").glob("[0-9]*/maps"):
            with suppress(OSError):
                if str(self.control) in maps.read_text():
                    found.append(int(maps.parent.name))
        return found

    def steps(self) -> list[Step]:
        """Return the journal: the calls that changed something, or failed because they were made to."""
        return [step for _, step in self.numbered()]

    def numbered(self) -> list[tuple[int, Step]]:
        """Return the journal with the number of each call."""
        return list(_steps(self._journal.read_bytes()))


def _steps(data: bytes) -> Iterator[tuple[int, Step]]:
    position = 0
    while position + _RECORD.size <= len(data):
        magic, kind, error, _, at, *lengths, number = _RECORD.unpack_from(data, position)
        assert magic == _MAGIC
        position += _RECORD.size
        path, other, content = (data[position + sum(lengths[:i]) : position + sum(lengths[: i + 1])] for i in range(3))
        position += sum(lengths)
        yield number, Step(KINDS[kind], path.decode(), other.decode(), at, content, error)
    assert position == len(data), "a process died inside a note"


def name(step: Step) -> str:
    """Return a step's name: the call, and the path without the numbers that differ from run to run.

    >>> name(Step("link", "lake/scratch/runs-3.json.tmp", "lake/runs/_delta_log/00000000000000000003.json"))
    'link scratch/runs-N.json.tmp -> runs/_delta_log/N.json'
    """
    target = f" -> {_plain(step.other)}" if step.other else ""
    return f"{step.kind} {_plain(step.path)}{target}"


def _plain(path: str) -> str:
    path = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b", "N", path.removeprefix("lake/"))
    path = re.sub(r"\d{7}-[0-9a-f]+|\d+(-[0-9a-f]*\d[0-9a-f]*)*|\b[0-9a-f]*\d[0-9a-f]*\b", "N", path)
    return re.sub(r"N([-.]N)+", "N", path)


class Nursery:
    """Runs commands of gpdata in forks of one process that has loaded it already."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._child = 0
        # The layer waits for the fork: the nursery itself is not watched.
        self._process = subprocess.Popen(
            [sys.executable, "-P", _HERE / "nursery.py"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"LD_PRELOAD": str(layer()), "PLUG_LAYER": str(layer())},
        )  # fmt: skip

    def start(self, machine: Machine | None, *args: object, log: Path, **environment: str) -> int:
        """Begin a command; return its process id. The status comes from `wait`."""
        attach = machine.attach if machine is not None else {}
        order = {"args": [str(arg) for arg in args], "log": str(log), "environment": attach | environment}
        self._child = int(self._ask(order)["pid"])
        return self._child

    def wait(self) -> int:
        """Return the status of the command that was begun; minus the signal that killed it."""
        status = int(self._answer()["status"])
        self._child = 0
        return status

    def end(self, pid: int) -> None:
        """End the command that was begun, as an admin would."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def run(self, machine: Machine | None, *args: object, log: Path, **environment: str) -> int:
        """Run a command to its end; return its status. One at a time, whichever thread asks."""
        with self._turn:
            self.start(machine, *args, log=log, **environment)
            return self.wait()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        assert answer, f"the nursery ended with {self._process.wait()}"
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Forked:
    """A command that goes on until it is ended, in a fork of a nursery of its own."""

    def __init__(self, nursery: Nursery, machine: Machine | None, log: Path, *args: object, **environment: str) -> None:
        self.log = log
        self._nursery = nursery
        self._status: int | None = None
        log.touch()
        self.pid = nursery.start(machine, *args, log=log, **environment)

    @property
    def alive(self) -> bool:
        return self._status is None and Path(f"/proc/{self.pid}").exists()

    def stop(self) -> int:
        """End it as an admin would; return the status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it at once."""
        return self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            self._status = self._nursery.wait()
        return self._status


class Running:
    """A process of its own on a machine: a command of gpdata, with frequent checkpoints, or another module."""

    def __init__(
        self,
        machine: Machine | None,
        log: Path,
        *args: object,
        module: str = "nursery.py",
        **environment: str,
    ) -> None:
        command = [sys.executable, "-P", _HERE / module, *(str(arg) for arg in args)]
        chosen = os.environ | environment | (machine.environment if machine is not None else {})
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=chosen)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, *, seconds: float = 60.0) -> int:
        """End it as an admin would; return the status."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(machine: Machine | None, log: Path, *args: object, **environment: str) -> Iterator[Running]:
    """Give a process; what is left of it at the end is killed."""
    process = Running(machine, log, *args, **environment)
    try:
        yield process
    finally:
        if process.alive:
            process.kill()
