"""A real HDFS of a single node for the tests: a name node and a data node as processes of this machine, on loopback.

Their classes are in hadoop-client-minicluster, of the version of Hadoop that pyspark brings; the rest is in pyspark's
own jars. Spark fetches the jar as it fetches any package, into its cache of Ivy.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from gpdata.sessions import conf_directory
from tests.sessions.clusters import environment
from tests.support import free_port, until

SHA256 = {"3.5.0": "06772d24529e59939915979b3edba204d367750ef7dc5120411f35221dd4818c"}
"""Of hadoop-client-minicluster, by version."""
SUPERUSER = "hdfs"
"""Whom the name node takes for its own, so that the user of these tests is nobody special."""
_HOME = Path(pyspark.__file__).parent
_READY = 240.0
_PORTS = {
    "dfs.namenode.rpc-address": 0,
    "dfs.namenode.http-address": 1,
    "dfs.datanode.address": 2,
    "dfs.datanode.http.address": 3,
    "dfs.datanode.ipc.address": 4,
}


class NoHadoop(Exception):
    """The classes of the nodes cannot be had here; says why."""


def find_jar() -> Path:
    """Return the jar with the classes of the nodes, fetched where this machine has none yet.

    Raises
    ------
    NoHadoop
        It cannot be fetched, or no checksum of that version is known.
    """
    names = (re.fullmatch(r"hadoop-client-api-(.+)\.jar", jar.name) for jar in (_HOME / "jars").iterdir())
    version = next(found[1] for found in names if found)
    if version not in SHA256:
        raise NoHadoop(f"pyspark brings Hadoop {version}; note the checksum of its minicluster in {__name__}")
    ivy = Path.home() / ".ivy2.5.2"
    jar = ivy / "jars" / f"org.apache.hadoop_hadoop-client-minicluster-{version}.jar"
    if not jar.exists():
        command = [
            str(_HOME / "bin" / "spark-submit"),
            *("--conf", f"spark.jars.ivy={ivy}"),
            *("--packages", f"org.apache.hadoop:hadoop-client-minicluster:{version}"),
            "--exclude-packages",
            "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,org.xerial.snappy:snappy-java",
            *("--class", "org.apache.hadoop.util.VersionInfo", "spark-internal"),
        ]
        done = subprocess.run(
            command, env=environment(conf_directory()), capture_output=True, text=True, timeout=900, check=False
        )
        if done.returncode != 0 or not jar.exists():
            said = re.search(r"unresolved dependency: .*|Exception in .*", done.stderr)
            why = said[0][:200] if said else done.stderr[-200:]
            raise NoHadoop(f"Maven Central is out of reach, and {jar.name} is not in the cache of Ivy ({why})")
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == SHA256[version], f"{jar} is another file than the one known"
    return jar


class Node:
    """A name node and a data node; their ports and what they hold stay over a restart.

    Attributes
    ----------
    address : str
        Of the file system: `hdfs://127.0.0.1:PORT`.
    """

    def __init__(self, folder: Path, jar: Path) -> None:
        ports = [free_port() for _ in _PORTS]
        self.address = f"hdfs://127.0.0.1:{ports[0]}"
        self._http = f"http://127.0.0.1:{ports[1]}"
        self._folder = folder
        self._name: subprocess.Popen[bytes] | None = None
        self._data: subprocess.Popen[bytes] | None = None
        conf = folder / "conf"
        conf.mkdir(parents=True)
        _settings(conf / "core-site.xml", {"fs.defaultFS": self.address})
        given = {name: f"127.0.0.1:{ports[number]}" for name, number in _PORTS.items()}
        given |= {"dfs.namenode.name.dir": (folder / "name").as_uri(), "dfs.datanode.data.dir": (folder / "d").as_uri()}
        # As if nothing were reserved: the disk of a machine of tests may be nearly full.
        given |= {"dfs.replication": "1", "dfs.datanode.du.reserved": "0", "dfs.namenode.resource.du.reserved": "0"}
        _settings(conf / "hdfs-site.xml", given)
        self._environment = environment(conf_directory()) | {"HADOOP_USER_NAME": SUPERUSER}
        home = self._environment.get("JAVA_HOME")
        java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
        assert java is not None
        classes = os.pathsep.join([str(conf), str(jar), str(_HOME / "jars" / "*")])
        self._java = [java, "-Xmx256m", "-cp", classes]

    def start(self) -> None:
        """Start the name node, and the data node where it does not run, and return when files can be read."""
        if not (self._folder / "name").exists():
            self._run("org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-nonInteractive")
        self._name = self._begin("namenode.NameNode")
        if self._data is None:
            self._data = self._begin("datanode.DataNode")
        until(self._ready, _READY, "an HDFS that answers")

    def kill_name_node(self) -> None:
        """End the name node as a power cut does."""
        assert self._name is not None
        self._name.kill()
        self._name.wait()
        self._name = None

    def stop(self) -> None:
        """End both."""
        for process in (self._data, self._name):
            if process is not None:
                process.kill()
                process.wait()
        self._name = self._data = None

    def shell(self, *words: object) -> None:
        """Run one command of `hdfs dfs`, as the superuser."""
        self._run("org.apache.hadoop.fs.FsShell", *map(str, words))

    def put(self, lake: Path, target: str) -> None:
        """Copy a lake to a new directory, as docs/how-to/hdfs.md does."""
        self.shell("-mkdir", "-p", target)
        self.shell("-put", *(lake / name for name in ("gpdata.json", "runs", "generations", "individuals")), target)

    def _ready(self) -> bool:
        for process, name in ((self._name, "namenode.NameNode"), (self._data, "datanode.DataNode")):
            assert process is not None
            assert process.poll() is None, (self._folder / f"{name}.log").read_text()[-3000:]
        query = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        try:
            with urllib.request.urlopen(self._http + query, timeout=10) as answer:
                (state,) = json.load(answer)["beans"] or [{}]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return state.get("FSState") == "Operational" and state.get("NumLiveDataNodes") == 1

    def _begin(self, name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [*self._java, f"org.apache.hadoop.hdfs.server.{name}"]
            return subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=self._folder)

    def _run(self, main: str, *words: str) -> None:
        done = subprocess.run(
            [*self._java, main, *words], env=self._environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{main} {' '.join(words)}: {done.stdout[-1500:]} {done.stderr[-3000:]}"


@contextmanager
def single_node(folder: Path) -> Iterator[Node]:
    """Start an HDFS, and end it."""
    node = Node(folder, find_jar())
    try:
        node.start()
        yield node
    finally:
        node.stop()


def _settings(file: Path, values: dict[str, str]) -> None:
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n" for name, value in values.items()
    )
    file.write_text(f"<configuration>\n{properties}</configuration>\n")
