"""Real Spark sessions for the tests: classic in this process, and Connect over a server of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gpdata
from gpdata.sessions import conf_directory
from gpdata.sessions.java import find_java_home

# Connect's client takes part in every fork of the process, and ends the child of a test that forks by itself.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

MEMORY = "2g"
MASTER = os.environ.get("GPDATA_TEST_MASTER", "local[2]")
"""Where the sessions of the tests compute; of tests/sessions/test_standalone.py, a cluster."""
_PATIENCE = 90.0


@contextmanager
def classic() -> Iterator[Any]:
    """Start a session as a user does."""
    settings = {"spark__driver__memory": MEMORY, "spark__master": MASTER, "spark__sql__shuffle__partitions": "2"}
    session = gpdata.spark("local", **settings, **{name.replace(".", "__"): value for name, value in _small().items()})
    try:
        yield session
    finally:
        session.stop()


def _small() -> dict[str, str]:
    """Executors that the workers of a cluster of the tests have room for, beside those of another session."""
    if not MASTER.startswith("spark://"):
        return {}
    return {"spark.executor.memory": "700m", "spark.executor.cores": "1", "spark.cores.max": "1"}


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Connect to a server.

    The client is built directly: the public builder refuses a second kind of session in one process.
    """
    from pyspark.sql.connect.session import SparkSession

    session = SparkSession.builder.remote(address).create()
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def server(log: Path) -> Iterator[str]:
    """Start a Connect server in a process of its own, and give its address."""
    import pyspark

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "spark.master": MASTER,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": MEMORY,
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        **_small(),
    }
    home = find_java_home(os.environ.get("JAVA_HOME"))
    environment = os.environ | {"SPARK_CONF_DIR": str(conf_directory())} | ({"JAVA_HOME": str(home)} if home else {})
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    main = "org.apache.spark.sql.connect.service.SparkConnectServer"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [submit, *options, "--class", main, "spark-internal"], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"the Connect server does not answer: {log.read_text()}"
            time.sleep(0.2)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
