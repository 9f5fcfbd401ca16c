"""Real containers of the images, held in as a cluster holds them: for tests/test_images.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ASKED = bool(os.environ.get("GPDATA_IMAGES"))
PODMAN = shutil.which("podman")
# A machine may not let a container have more than it has itself, and podman asks for more by default.
HELD_IN = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=host", "--pull=never",
           "--ulimit=nofile=4096:4096", "--ulimit=nproc=8192:8192", "--pids-limit=2048"]  # fmt: skip


def why_not() -> str | None:
    """Say why the images cannot be tried here; None: they can."""
    if not ASKED:
        return "starts containers; run by `make test-images`, which sets GPDATA_IMAGES"
    if PODMAN is None or os.geteuid() != 0:
        return "needs podman, and root for it"
    missing = [name for name in ("ingest", "spark", "singleuser", "hub") if not _exists(f"gpdata-{name}")]
    return f"no image {', '.join(missing)}; make images builds them" if missing else None


def _exists(image: str) -> bool:
    return subprocess.run([str(PODMAN), "image", "exists", f"localhost/{image}"], check=False).returncode == 0


@dataclass(frozen=True)
class Mount:
    """A directory of this machine in a container."""

    source: Path
    target: str
    read_only: bool = True

    def option(self) -> str:
        """Say it as podman does."""
        return f"--volume={self.source}:{self.target}{':ro' if self.read_only else ''}"


def options(mounts: Sequence[Mount], scratch: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return what podman is told; scratch are the directories that the container may write and then forgets."""
    return [
        *HELD_IN,
        "--tmpfs=/tmp",
        *(f"--volume={path}" for path in scratch),  # a new volume, which has the image's owner and mode for it
        *(mount.option() for mount in mounts),
        *(f"--env={name}={value}" for name, value in environment.items()),
    ]


def run(
    image: str,
    *command: str,
    mounts: Sequence[Mount] = (),
    scratch: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    entrypoint: str | None = None,
) -> str:
    """Run a command in a new container; return what it printed. It has to succeed."""
    extra = [] if entrypoint is None else [f"--entrypoint={entrypoint}"]
    call = [str(PODMAN), "run", "--rm", *options(mounts, scratch, environment or {}), *extra, f"localhost/{image}"]
    done = subprocess.run([*call, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    name: str

    def log(self) -> str:
        """Return what it printed so far."""
        done = subprocess.run([str(PODMAN), "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def execute(self, *command: str) -> str:
        """Run a command in it as its user; return what that printed."""
        call = [str(PODMAN), "exec", self.name, *command]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done.stdout

    def runs(self) -> bool:
        """Say whether it still runs."""
        call = [str(PODMAN), "inspect", "--format={{.State.Running}}", self.name]
        return subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip() == "true"

    def exit_code(self) -> int:
        """Return what it ended with."""
        call = [str(PODMAN), "inspect", "--format={{.State.ExitCode}}", self.name]
        return int(subprocess.run(call, capture_output=True, text=True, check=True).stdout)

    def stop(self) -> None:
        """End it as a cluster does: SIGTERM, and SIGKILL after a minute."""
        subprocess.run([str(PODMAN), "stop", "--time=60", self.name], capture_output=True, check=True)


@contextmanager
def started(
    image: str,
    *command: str,
    mounts: Sequence[Mount] = (),
    scratch: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Start a container, and remove it at the end."""
    name = f"gpdata-test-{uuid.uuid4().hex[:12]}"
    call = [str(PODMAN), "run", "--detach", f"--name={name}", *options(mounts, scratch, environment or {})]
    done = subprocess.run([*call, f"localhost/{image}", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        yield Container(name)
    finally:
        subprocess.run([str(PODMAN), "rm", "--force", "--volumes", "--time=5", name], capture_output=True, check=True)
