"""Spark's web page of each kernel: where it is, and what opens it for its owner alone.

A kernel of the hub makes a directory of its own (mode 0700) in Jupyter's runtime directory: Spark's settings with a
port and a key, which are in no command line, and the same two for the user's server, which shows the page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = "gpdata-spark"
VALID_SECONDS = 60
LISTENING = "0A"
"""The state of a socket that listens, in the tables of the kernel."""


@dataclass(frozen=True, slots=True)
class Page:
    """The web page of a kernel's Spark session, which may not have started yet.

    Parameters
    ----------
    port : int
        The port of this machine that it has, or will have.
    key : bytes
        What signs a request.
    """

    port: int
    key: bytes

    @property
    def authorization(self) -> str:
        """The header that opens the page for a minute: a signed JSON Web Token, as Spark's JWSFilter asks for."""
        claims = {"exp": int(time.time()) + VALID_SECONDS}
        signed = ".".join(_base64(json.dumps(part).encode()).rstrip("=") for part in ({"alg": "HS256"}, claims))
        signature = hmac.new(self.key, signed.encode(), hashlib.sha256).digest()
        return f"Bearer {signed}.{_base64(signature).rstrip('=')}"


def announce(runtime: Path, conf: Path, extra: Mapping[str, str]) -> Path:
    """Make the directory of this process with Spark's settings, so that its session has a page of its own.

    Parameters
    ----------
    runtime : Path
        Jupyter's runtime directory.
    conf : Path
        The directory of the settings that hold so far; its files are copied.
    extra : mapping of str to str
        Spark settings to add.

    Returns
    -------
    Path
        The directory, for SPARK_CONF_DIR.
    """
    folder = runtime / FOLDER / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)  # of a process that had this number before
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(mode=0o700)
    for file in conf.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = secrets.token_bytes(32)
    settings = {
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        # Every user of the machine can reach the port; only who has the key sees the page.
        "spark.ui.filters": "org.apache.spark.ui.JWSFilter",
        "spark.org.apache.spark.ui.JWSFilter.param.secretKey": _base64(key),
        # The same for the driver's other ports: the secret is Spark's own, made for each session.
        "spark.authenticate": "true",
        **extra,
    }
    with (folder / "spark-defaults.conf").open("a") as defaults:
        defaults.writelines(f"\n{name} {value}" for name, value in settings.items())
    part = folder / "page.json.part"
    part.write_text(json.dumps({"port": port, "key": _base64(key)}))
    part.rename(folder / "page.json")
    return folder


def find(runtime: Path) -> list[Page]:
    """Find the pages that can be shown: of this user's kernels, those whose Spark session listens.

    Parameters
    ----------
    runtime : Path
        Jupyter's runtime directory.

    Returns
    -------
    list of Page
        The newest kernel's first. A port that somebody else took meanwhile is left out.

    Examples
    --------
    >>> import tempfile
    >>> find(Path(tempfile.mkdtemp()))
    []
    """
    found = []
    for file in (runtime / FOLDER).glob("*/page.json"):
        try:
            os.kill(int(file.parent.name), 0)
            content = json.loads(file.read_text())
        except ProcessLookupError:  # a kernel that was killed
            shutil.rmtree(file.parent, ignore_errors=True)
            continue
        except FileNotFoundError:  # a kernel that ends right now
            continue
        page = Page(content["port"], base64.urlsafe_b64decode(content["key"]))
        if _owners(page.port) == {os.geteuid()}:
            found.append((file.parent.name, page))
    return [page for _, page in sorted(found, key=lambda item: -_started(int(item[0])))]


def _started(process: int) -> int:
    """The time at which a process of this machine started, in ticks; -1: it is no more."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _owners(port: int) -> set[int]:
    """The numbers of the users who listen on a port of this machine, at whichever address."""
    owners = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                owners.add(int(fields[7]))
    return owners


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()
