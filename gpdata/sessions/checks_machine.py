"""Checks of this machine: Java, the versions of Python and Spark, ports, memory."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpdata.config import memory_limit
from gpdata.errors import InvalidInput
from gpdata.sessions.checks import Finding, Situation, State, gib, in_bytes
from gpdata.sessions.java import OLDEST, find_java_home, java_version

_ANSWER_SECONDS = 20.0
_LISTENS = "0A"
_PORTS = {
    "spark.driver.port": "the driver",
    "spark.driver.blockManager.port": "the driver's blocks",
    "spark.ui.port": "Spark's page",
    "spark.connect.grpc.binding.port": "the Spark Connect server",
}


def java(situation: Situation) -> Iterator[Finding]:
    """Whether there is a Java that runs Spark."""
    if not situation.drives:
        return
    try:
        home = find_java_home(situation.environment.java_home)
    except InvalidInput as error:
        cause, _, mend = str(error).partition("; ")
        yield Finding("Java", "failed", cause, mend)
        return
    program = home / "bin" / "java" if home else Path(shutil.which("java") or "java")
    found = java_version(program)
    if found is None:  # the packaged one: JAVA_HOME's and the PATH's were asked already
        yield Finding(
            "Java",
            "failed",
            f"the Java that came with gpdata does not run here ({program})",
            f"install a Java {OLDEST} or newer and name its directory in JAVA_HOME",
        )
        return
    whose = "of JAVA_HOME" if situation.environment.java_home else "that came with gpdata" if home else "of the PATH"
    yield Finding("Java", "ok", f"Java {found} {whose}")


def versions(situation: Situation) -> Iterator[Finding]:
    """Whether Python, pyspark and what they need fit together."""
    import pyspark

    own = f"Python {platform.python_version()}, pyspark {pyspark.__version__}"
    wrong = []
    for package, valid in (("pandas", "2.2 to 2.3"), ("pyarrow", "18 or newer"), ("grpcio", "1.67 or newer")):
        if package == "grpcio" and situation.drives and not situation.plan.own_server:
            continue
        try:
            found = version(package)
        except PackageNotFoundError:
            wrong.append(f"{package} is not installed (valid is {valid})")
            continue
        if package == "pandas" and not found.startswith("2."):
            wrong.append(f"pandas is {found}, which breaks pyspark.pandas (valid is {valid})")
    if wrong:
        yield Finding(
            "versions", "failed", "; ".join(wrong), "install gpdata whole again: pip install --upgrade gpdata"
        )
        return
    home = situation.environment.spark_home
    release = Path(home) / "RELEASE" if home else None
    said = re.search(r"Spark (\d+\.\d+)\S*", release.read_text()) if release and release.is_file() else None
    if said and said[1] != ".".join(pyspark.__version__.split(".")[:2]):
        yield Finding(
            "versions",
            "failed",
            f"SPARK_HOME is {home!r}, a {said[0]}, and {own} was imported",
            "unset SPARK_HOME to use the installed pyspark, or restart Python so that gpdata.spark() finds the site's "
            "own first",
        )
        return
    yield Finding("versions", "ok", own)


def worker_python(situation: Situation) -> Iterator[Finding]:
    """Whether the Python that PYSPARK_PYTHON names is this one's version."""
    named = situation.environment.python
    if not situation.drives or not named or named == sys.executable:
        return
    check, own = "Python of the workers", f"{sys.version_info.major}.{sys.version_info.minor}"
    mend = f"unset PYSPARK_PYTHON, or set it to {sys.executable} (a Python {own}) on all machines"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([named, "-c", code], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        # The workers of a cluster may have what this machine has not.
        state: State = "failed" if situation.plan.master.startswith("local") else "warning"
        yield Finding(check, state, f"PYSPARK_PYTHON is {named!r}, which does not run: {error}", mend)
        return
    found = done.stdout.strip()
    if found != own:
        what = f"a Python {found}" if found else f"which fails: {done.stderr.strip()[-200:]}"
        cause = f"PYSPARK_PYTHON is {named!r}, {what}; the driver is a Python {own}"
        yield Finding(check, "failed", cause, mend)
        return
    yield Finding(check, "ok", f"{named}, a Python {found}")


def ports(situation: Situation) -> Iterator[Finding]:
    """Whether the ports that the settings name are free, and the addresses this machine's."""
    if not situation.drives or situation.session is not None:
        return
    settings = situation.effective
    address = settings.get("spark.driver.bindAddress") or settings.get("spark.driver.host") or "0.0.0.0"
    tries = int(settings.get("spark.port.maxRetries", "16")) if not situation.plan.own_server else 0
    looked = []
    for name, what in _PORTS.items():
        if name == "spark.ui.port" and settings.get("spark.ui.enabled", "true") == "false":
            continue
        port = settings.get(name, "4040" if name == "spark.ui.port" else "0")
        if not port.isdecimal() or int(port) > 65535:
            yield Finding("ports", "failed", f"{name} is {port!r}", "valid is a number from 0 (any) to 65535")
            continue
        if port == "0":
            continue
        at = settings.get("spark.connect.grpc.binding.address", "127.0.0.1") if "connect" in name else address
        looked.append(port)
        if (problem := _taken(at, int(port))) is None:
            continue
        cause = f"port {port} for {what} ({name}) is taken by {_holder(int(port), situation.root)}"
        if problem:
            cause = f"{what} cannot listen at {at}, port {port} ({name}): {problem}"
        spare = not problem and tries > 0 and name != "spark.connect.grpc.binding.port"
        yield Finding(
            "ports",
            "warning" if spare else "failed",
            cause + (f"; Spark tries the next {tries}" if spare else ""),
            "end that process (gpdata.stop() in another notebook), or name another port: "
            f"{name.replace('.', '__')}='0' takes any that is free",
        )
        return
    if (problem := _taken(address, 0)) is not None:
        yield Finding(
            "ports",
            "failed",
            f"the driver cannot listen at {address}: {problem}",
            "spark.driver.bindAddress must be an address of this machine; spark.driver.host what executors reach it by",
        )
        return
    yield Finding("ports", "ok", f"{', '.join(looked)} free at {address}" if looked else f"any free one at {address}")


def _taken(address: str, port: int) -> str | None:
    """Say why nothing can listen there: empty where somebody else does, None where it can."""
    try:
        kind, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java binds
            probe.bind(place)
            probe.listen()
    except OSError as error:
        return "" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return None


def _holder(port: int, root: Path) -> str:
    """Name the process that listens on a port, where the system tells."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        path = root / "proc/net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for process in (root / "proc").glob("[0-9]*"):
        try:
            if any(str(file.readlink()) in sockets for file in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"process {process.name} ({name})" + (", this one" if process.name == str(os.getpid()) else "")
        except OSError:  # of another user, or ended meanwhile
            continue
    return "a process of another user"


def memory(situation: Situation) -> Iterator[Finding]:
    """Whether there is as much memory as the driver asks for."""
    if not situation.drives:
        return
    text = situation.effective.get("spark.driver.memory", "1g")
    wanted = in_bytes(text)
    if wanted is None:
        yield Finding("memory", "failed", f"spark.driver.memory is {text!r}", "valid is for instance '4g' or '900m'")
        return
    limit, whose = _limit(situation.root)
    free = _meminfo(situation.root, "MemAvailable")
    smaller = f"ask for less: spark__driver__memory='{max(512, int((limit or 0) / 2**20 * 0.6))}m'"
    if limit is not None and wanted > limit * 0.9:
        cause = f"the driver asks for {gib(wanted)} (spark.driver.memory), and {whose} {gib(limit)}"
        yield Finding("memory", "failed", cause, f"{smaller}, or have more memory given to this {_place(whose)}")
    elif free is not None and situation.session is None and wanted > free:
        cause = f"the driver asks for {gib(wanted)} (spark.driver.memory), and {gib(free)} are free now"
        yield Finding("memory", "warning", cause, "end other programs and notebooks, or ask for less")
    elif wanted < 900 << 20:
        cause = f"the driver has {gib(wanted)} (spark.driver.memory)"
        yield Finding("memory", "warning", cause, "it may run out; give 1g or more")
    else:
        beside = f" of {gib(limit)}" if limit is not None else ""
        yield Finding("memory", "ok", f"{gib(wanted)}{beside} for the driver")


def _place(whose: str) -> str:
    return "machine" if whose.startswith("the machine") else "server or container"


def _limit(root: Path) -> tuple[int | None, str]:
    """Return the least of what machine, container and hub allow, in bytes, and which that is."""
    limits: list[tuple[int, str]] = []
    if (total := _meminfo(root, "MemTotal")) is not None:
        limits.append((total, "the machine has"))
    groups = root / "sys/fs/cgroup"
    own = _group(root)
    for file in (
        groups / "memory.max",
        groups / own / "memory.max",
        groups / "memory" / "memory.limit_in_bytes",
        groups / "memory" / own / "memory.limit_in_bytes",
    ):
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            limits.append((int(text), "this container (cgroup) may take"))
    if (hub := memory_limit()) is not None:
        limits.append((hub, "the hub gives your server"))
    return min(limits) if limits else (None, "")


def _group(root: Path) -> str:
    file = root / "proc/self/cgroup"
    lines = file.read_text().splitlines() if file.is_file() else []
    paths = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    found = [path for _, kinds, path in paths if not kinds or "memory" in kinds.split(",")]
    return found[0].lstrip("/") if found else ""


def _meminfo(root: Path, name: str) -> int | None:
    file = root / "proc/meminfo"
    found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE) if file.is_file() else None
    return int(found[1]) << 10 if found else None
