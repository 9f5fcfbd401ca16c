"""Spark sessions where Java is, is not, or is too old."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from gpdata.sessions import conf_directory
from gpdata.sessions.cluster_connect import listens
from gpdata.sessions.java import find_java_home
from tests.support import until

WITHOUT_JAVA = """
import sys
import gpdata
session = gpdata.spark(spark__master="local[1]", spark__driver__memory="1g")
lab = gpdata.open(sys.argv[1], engine=session)
print("rows", gpdata.to_arrow(lab.sql("SELECT count(*) AS n FROM runs")).to_pylist()[0]["n"])
session.stop()
"""


def fake_java(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return folder


def test_java_home_is_used_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    good = fake_java(tmp_path / "21", "21.0.2")
    assert find_java_home(str(good)) == good
    with pytest.raises(InvalidInput, match="a Java 11; Spark needs 17 or newer"):
        find_java_home(str(fake_java(tmp_path / "11", "11.0.1")))
    with pytest.raises(InvalidInput, match="a Java 8"):
        find_java_home(str(fake_java(tmp_path / "8", "1.8.0_292")))
    with pytest.raises(InvalidInput, match="holds no bin/java"):
        find_java_home(str(tmp_path))


def test_an_old_java_on_the_path_gives_way_to_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    old = fake_java(tmp_path / "old", "11.0.1") / "bin"
    monkeypatch.setenv("PATH", f"{old}{os.pathsep}{os.environ['PATH']}")
    home = find_java_home(None)
    assert home is not None
    assert home.is_relative_to(tmp_path / "cache")
    shown = subprocess.run(
        [home / "bin" / "java", "--add-modules=jdk.incubator.vector", "-version"], capture_output=True, check=True
    )
    assert b"version" in shown.stderr
    monkeypatch.setenv("PATH", f"{fake_java(tmp_path / 'new', '17.0.1') / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert find_java_home(None) is None


@pytest.mark.xdist_group("spark")
def test_spark_starts_with_no_java_on_the_path(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if tool.name != "java" and not os.path.lexists(tools / tool.name):
                (tools / tool.name).symlink_to(tool)
    assert shutil.which("java", path=str(tools)) is None
    lake = Lake.create(tmp_path / "lake")
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_JAVA)
    environment = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "SPARK_CONF_DIR")}
    done = subprocess.run(
        [sys.executable, script, str(lake.path)],
        env=environment | {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rows 0" in done.stdout
    assert (tmp_path / "cache" / "gpdata").is_dir()


@pytest.mark.xdist_group("spark")
def test_a_live_session_is_given_back_or_the_difference_told(sessions: Callable[[str], Any]) -> None:
    live = sessions("spark")
    same = {"spark__driver__memory": "2g", "spark__master": "local[2]", "spark__sql__shuffle__partitions": "2"}
    assert gpdata.spark(**same) is live
    with pytest.raises(InvalidInput, match=r"spark.driver.memory=1g \(it has 2g\)"):
        gpdata.spark(**(same | {"spark__driver__memory": "1g"}))
    assert live.conf.get("spark.sql.session.timeZone") == "UTC"
    assert live.conf.get("spark.driver.host") == "127.0.0.1"


AGAIN = """
import gpdata
from gpdata.errors import InvalidInput
small = dict(spark__master="local[1]", spark__driver__memory="600m")
def heap(session):
    return session._jvm.java.lang.Runtime.getRuntime().maxMemory() >> 20
first = gpdata.spark("local", spark__hadoop__our__secret="abc", **small)
command = open(f"/proc/{first.sparkContext._gateway.proc.pid}/cmdline").read()
print("secret", first.conf.get("spark.hadoop.our.secret"), "abc" in command)
print("plain", gpdata.spark() is first, gpdata.spark("local", **small) is first)
try:
    gpdata.spark("connect")
except InvalidInput as error:
    print(error)
print("stopped", heap(first), gpdata.stop(), gpdata.stop())
second = gpdata.spark("local", **(small | {"spark__driver__memory": "700m"}))
print("heap", heap(second), second.range(3).count())
second.stop()
from pyspark.sql import SparkSession
theirs = SparkSession.builder.master("local[1]").getOrCreate()
try:
    gpdata.stop()
except InvalidInput as error:
    print(error)
print("theirs", theirs.range(4).count())
"""


@pytest.mark.faults
@pytest.mark.xdist_group("spark")
def test_a_stopped_session_gives_way_to_one_of_another_memory_and_a_borrowed_one_stays() -> None:
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "secret abc False", "it reaches Spark, and stands in no command line"
    assert said[1] == "plain True True"
    assert said[2].startswith("a Spark session is live, and one of Spark Connect (it is a classic one) was asked for")
    assert said[3] == "stopped 600 True False"
    assert said[4] == "heap 700 3", "the memory of a JVM is fixed: a new one was started"
    assert said[5].startswith("the live Spark session was not started by gpdata.spark()")
    assert said[6] == "theirs 4"


OWN = """
import os, signal, time
import gpdata
from gpdata.sessions.session import _made, live
small = dict(spark__master="local[1]", spark__driver__memory="1g")
session = gpdata.spark("connect", **small)
print(type(session).__module__, session.conf.get("spark.driver.memory"), session.range(5).count())
from pyspark.sql import functions
print("same", gpdata.spark("connect", **small) is session, session.range(3).select(functions.col("id") + 1).count())
server = _made[0].server
print("ended", gpdata.stop(), os.path.exists(f"/proc/{server._process.pid}"))
classic = gpdata.spark("local", **small)
print("classic", type(classic).__module__, classic.range(6).count())
os.kill(classic.sparkContext._gateway.proc.pid, signal.SIGKILL)
classic.sparkContext._gateway.proc.wait()
print("killed", live(), gpdata.stop())
print("again", gpdata.spark("local", **small).range(7).count())
"""


@pytest.mark.faults
@pytest.mark.xdist_group("spark")
def test_a_connect_server_of_ones_own_and_a_jvm_that_was_killed() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    done = subprocess.run([sys.executable, "-c", OWN], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "pyspark.sql.connect.session 1g 5"
    assert said[1:] == [
        "same True 3",
        "ended True False",
        "classic pyspark.sql.session 6",
        "killed None False",
        "again 7",
    ]


ORPHAN = """
import time
import gpdata
from gpdata.sessions.session import _made
gpdata.spark("connect", spark__master="local[1]", spark__driver__memory="1g")
print(_made[0].server.address.rpartition(":")[2], flush=True)
time.sleep(600)
"""


@pytest.mark.faults
@pytest.mark.xdist_group("spark")
def test_ones_own_connect_server_ends_with_ones_python_however_that_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert listens("127.0.0.1", port)
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not listens("127.0.0.1", port), what="the end of the server")


REMOTE = """
import sys
import gpdata
lab = gpdata.open(sys.argv[1])
print(repr(lab), type(lab.runs).__module__, lab.runs.count())
assert gpdata.spark().conf.get("spark.sql.shuffle.partitions") == "2"  # the server's, and not the preset's
gpdata.spark().stop()
"""


@pytest.mark.xdist_group("spark")
def test_the_environment_names_the_engine_and_a_server(connect_server: Callable[[], str], tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    environment = os.environ | {"GPDATA_ENGINE": "spark", "SPARK_REMOTE": connect_server()}
    command = [sys.executable, "-c", REMOTE, str(lake.path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 runs, spark>" in done.stdout
    assert "pyspark.sql.connect" in done.stdout


def test_the_environment_names_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(tmp_path / "lake").path
    monkeypatch.setenv("GPDATA_ENGINE", "polars")
    assert "polars" in repr(gpdata.open(lake))
    assert "duckdb" in repr(gpdata.open(lake, engine="duckdb"))
    monkeypatch.setenv("GPDATA_ENGINE", "polers")
    with pytest.raises(InvalidInput, match="did you mean 'polars'"):
        gpdata.open(lake)


SITE = """
import gpdata, sys
from gpdata.errors import InvalidInput
try:
    gpdata.spark(spark__master="local[1]")
except ImportError:
    pass
print([path for path in sys.path if "site-spark" in path])
"""


def test_a_sites_own_spark_is_found(tmp_path: Path) -> None:
    """A stand-in for the site's Spark, which cannot be had from a package: its Python is what gets imported."""
    python = tmp_path / "site-spark" / "python"
    (python / "lib").mkdir(parents=True)
    (python / "lib" / "py4j-0.10.9.9-src.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    (python / "pyspark").mkdir()
    (python / "pyspark" / "__init__.py").write_text("raise ImportError('the site Spark was imported')")
    environment = os.environ | {"SPARK_HOME": str(tmp_path / "site-spark")}
    done = subprocess.run([sys.executable, "-c", SITE], env=environment, capture_output=True, text=True, check=True)
    assert str(python) in done.stdout


def test_wrong_settings_are_told() -> None:
    with pytest.raises(InvalidInput, match=r"begin with 'spark\."):
        gpdata.spark(driver__memory="1g")


def test_the_settings_are_where_a_plain_spark_submit_finds_them() -> None:
    assert {path.name for path in conf_directory().iterdir()} >= {
        "spark-defaults.conf",
        "log4j2.properties",
        "executor-pod.yaml",
    }
