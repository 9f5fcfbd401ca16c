"""A real Spark standalone cluster and a real Connect server for the tests: processes of this machine, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from gpdata.sessions import conf_directory
from gpdata.sessions.cluster_connect import ConnectServer, listens
from gpdata.sessions.cluster_files import private
from gpdata.sessions.java import find_java_home
from tests.support import free_port, until

DRIVER = {
    "spark__driver__memory": "1g",
    "spark__executor__cores": "1",
    "spark__executor__memory": "700m",
    "spark__sql__shuffle__partitions": "2",
}
"""What a session asks of these small workers, as overrides for gpdata.spark."""


@dataclass
class Cluster:
    """A master, its workers, and the executors that they start.

    Attributes
    ----------
    master : str
        Its address.
    log : Path
        The directory of all logs.
    """

    master: str
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def executors(self) -> list[int]:
        """Return the processes of all executors now."""
        workers = {process.pid for process in self.processes[1:]}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in workers and b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def kill(self, executor: int) -> None:
        """End an executor as a node that goes away does."""
        os.kill(executor, signal.SIGKILL)
        until(lambda: executor not in self.executors(), what=f"the end of executor {executor}")

    def said(self) -> str:
        """Return the ends of the logs."""
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-1500:]}" for file in self.log.glob("*.log"))


def environment(conf: Path) -> dict[str, str]:
    """Return the variables of a process of Spark."""
    home = find_java_home(os.environ.get("JAVA_HOME"))
    own = {"SPARK_CONF_DIR": str(conf), "PYSPARK_PYTHON": sys.executable, "SPARK_DAEMON_MEMORY": "256m"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    return kept | own | ({"JAVA_HOME": str(home)} if home else {})


@contextmanager
def standalone(
    folder: Path, *, workers: int = 2, secret: str | None = None, cores: int = 1, memory: str = "1g"
) -> Iterator[Cluster]:
    """Start a master and its workers, and end them with all of their executors.

    Parameters
    ----------
    folder : Path
        For logs and what the workers write.
    workers : int
        How many; 0 is a cluster without capacity.
    secret : str, optional
        What master, workers and drivers authenticate with.
    cores, memory : int, str
        What each worker has to give.
    """
    folder.mkdir(parents=True, exist_ok=True)
    secured = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret or "",
        "spark.network.crypto.enabled": "true",
    }
    conf = private(conf_directory(), secured if secret else {})
    port = free_port()
    cluster = Cluster(f"spark://127.0.0.1:{port}", folder)
    with ExitStack() as stack:
        stack.callback(_end, cluster)
        where = ["--host", "127.0.0.1", "--webui-port", "0"]
        _start(cluster, conf, "master.Master", [*where, "--port", str(port)])
        until(lambda: _alive(cluster) and listens("127.0.0.1", port), 120, "the master")
        for number in range(workers):
            work = ["--cores", str(cores), "--memory", memory, "--work-dir", str(folder / f"work-{number}")]
            _start(cluster, conf, "worker.Worker", [*where, *work, cluster.master])
        log = folder / "0.log"
        registered = re.compile("Registering worker")
        until(
            lambda: _alive(cluster) and len(registered.findall(log.read_text(errors="replace"))) >= workers,
            120,
            "the workers",
        )
        yield cluster


def _start(cluster: Cluster, conf: Path, main: str, options: list[str]) -> None:
    quiet = (conf / "log4j2.properties").read_text()
    own = conf / "log4j2.daemon.properties"
    own.write_text(f"{quiet}\nlogger.deploy.name = org.apache.spark.deploy\nlogger.deploy.level = info\n")
    variables = environment(conf) | {"SPARK_DAEMON_JAVA_OPTS": f"-Dlog4j2.configurationFile={own}"}
    command = [Path(pyspark.__file__).parent / "bin" / "spark-class", f"org.apache.spark.deploy.{main}", *options]
    with (cluster.log / f"{len(cluster.processes)}.log").open("wb") as log:
        # A group of its own: executors are in their worker's.
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
    cluster.processes.append(process)


def _alive(cluster: Cluster) -> bool:
    assert all(process.poll() is None for process in cluster.processes), cluster.said()
    return True


def _end(cluster: Cluster) -> None:
    for process in reversed(cluster.processes):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.wait()


@contextmanager
def connect_server(settings: Mapping[str, str]) -> Iterator[ConnectServer]:
    """Start a Connect server, as gpdata.spark("connect") does, with settings such as the master of a cluster."""
    home = find_java_home(os.environ.get("JAVA_HOME"))
    before = os.environ.get("JAVA_HOME")
    if home is not None:
        os.environ["JAVA_HOME"] = str(home)
    try:
        server = ConnectServer(settings, conf_directory())
    finally:
        if home is not None and before is None:
            del os.environ["JAVA_HOME"]
    try:
        yield server
    finally:
        server.stop()
