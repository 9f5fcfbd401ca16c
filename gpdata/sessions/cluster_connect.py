"""A Spark Connect server of one's own: on this machine alone, behind a token, and ended with who started it."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from gpdata.errors import InvalidInput
from gpdata.exported import exported
from gpdata.sessions.cluster_files import private

MAIN = "org.apache.spark.sql.connect.service.SparkConnectServer"
PATIENCE_SECONDS = 120.0
TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
NO_CONNECT = "it is no Spark Connect server, or it wants TLS"
MEND_CONNECT = "correct the address (the usual port is 15002), or add '/;use_ssl=true' to it"
HELLO_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LINES = 8

# Ends the server when standard input ends: however the parent ended, its end of the pipe is closed then.
_GUARD = """
exec 3<&0
"$@" 3<&- </dev/null & server=$!
(read -r _ <&3; kill "$server") 2>/dev/null & guard=$!
wait "$server"; status=$?
kill "$guard" 2>/dev/null
exit "$status"
"""


class ConnectServer:
    """A server that answers at `address` to who gives its token.

    Parameters
    ----------
    settings : mapping of str to str
        Its settings; where they name no spark.connect.grpc.binding.port, it gets a free one.
    conf : Path
        The directory of spark-defaults.conf.

    Attributes
    ----------
    address : str
        For `SparkSession.builder.remote`.
    token : str
        What the environment variable SPARK_CONNECT_AUTHENTICATE_TOKEN tells the server and its client.
    """

    def __init__(self, settings: Mapping[str, str], conf: Path) -> None:
        port = int(settings.get("spark.connect.grpc.binding.port") or free_port())
        # By this name alone a client sends its token over a connection without TLS, which never leaves the machine.
        self.address = f"sc://localhost:{port}"
        self.token = secrets.token_urlsafe(32)
        own = {
            "spark.connect.grpc.binding.port": str(port),
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.port.maxRetries": "0",
        }
        self._folder = private(conf, {**settings, **own})
        self._log = self._folder / "server.log"
        variables = {TOKEN: self.token, "SPARK_CONF_DIR": str(self._folder)}
        command = [str(_spark_home() / "bin" / "spark-submit"), "--class", MAIN, "spark-internal"]
        with self._log.open("wb") as log, exported(variables, replace=True):
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a notebook is for the cell
            )
        try:
            self._wait(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server; once more does nothing."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_SECONDS / 4)
        except subprocess.TimeoutExpired:
            # The guard's own group: the server is in it.
            subprocess.run(["/bin/kill", "-KILL", "--", f"-{self._process.pid}"], check=False)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not listens("127.0.0.1", port):
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                said = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LINES:])
                raise InvalidInput(
                    f"a Spark Connect server was started, and it {'ended' if ended else 'does not answer'}; it said:\n"
                    f"{said}\nwhat is wrong here, gpdata.doctor('connect') names"
                )
            time.sleep(_POLL_SECONDS)


def listens(host: str, port: int, seconds: float = 2.0) -> bool:
    """Whether something takes connections there.

    Examples
    --------
    >>> listens("127.0.0.1", free_port())
    False
    """
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def speaks_connect(address: str) -> bool:
    """Whether what listens at a ``sc://`` address takes what Spark Connect's clients say first.

    A client itself would try for minutes.

    Parameters
    ----------
    address : str
        With its parameters, ``use_ssl`` and ``token`` among them.
    """
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder

    with DefaultChannelBuilder(address).toChannel() as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=HELLO_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spark_home() -> Path:
    import pyspark

    home = Path(str(pyspark.__file__)).parent
    # A site's own Spark has its Python two levels below it.
    return home if (home / "bin" / "spark-submit").exists() else home.parents[1]
