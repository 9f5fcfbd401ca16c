"""A node in namespaces of its own: one process ends it, and nothing of it is left."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from gpdata.errors import InvalidInput
from tests.cluster import policy
from tests.cluster.kube import Kube
from tests.cluster.pki import Authority
from tests.cluster.settings import CGROUP, NAME, SOCKET, Place, parts, write
from tests.cluster.tools import BIN, CACHE, run
from tests.cluster.volumes import Provisioner, storage_class
from tests.support import until

STATE = CACHE / "state"
CONTAINERD = CACHE / "containerd"
OUTER, INNER = "gpdata-cl0", "gpdata-cl1"
CTR = (str(BIN / "ctr"), f"--address={SOCKET}", "--namespace=k8s.io")
_SECONDS = (231, 232, 233, 234, 235, 236, 237, 238)


class Node:
    """A node that runs."""

    def __init__(self, place: Place, process: subprocess.Popen[str], pid: int, kube: Kube) -> None:
        self.place, self.kube = place, kube
        self._process, self._pid = process, pid
        self.failures: list[str] = []

    def inside(self, *command: str | Path, stdin: str | None = None) -> str:
        """Run a program of this machine in the namespaces of the node; it has to succeed."""
        return run(*self._entered(), *command, input=stdin)

    def import_image(self, archive: IO[bytes]) -> None:
        """Take an image from an archive into the node's own store, without keeping its packed layers."""
        call = [*self._entered(), *CTR, "images", "import", "--local", "--discard-unpacked-layers", "-"]
        done = subprocess.run(call, stdin=archive, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"an image was not taken: {done.stdout + done.stderr}")

    def pin(self, name: str) -> None:
        """Keep an image also where the disk is so full that the kubelet removes what it can."""
        self.inside(*CTR, "images", "label", name, "io.cri-containerd.pinned=pinned")

    def _entered(self) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid"]

    def images(self) -> set[str]:
        """Return the names of the images of the node."""
        return set(self.inside(*CTR, "images", "list", "--quiet").split())

    def alive(self) -> bool:
        """Say whether all parts run."""
        return self._process.poll() is None

    def empty(self) -> None:
        """End all pods, so that the store holds images and nothing else for the next run."""
        self.kube.request("PATCH", f"/api/v1/nodes/{NAME}", {"spec": {"unschedulable": True}},
                          headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip

        def ended() -> bool:
            pods = [pod for pod in self.kube.every("pods") if pod["spec"].get("nodeName")]
            for pod in pods:
                self.kube.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], grace=0)
            return not pods

        with suppress(AssertionError):
            until(ended, 30, "the end of all pods")
        for name in self.inside(*CTR, "containers", "list", "--quiet").split():
            subprocess.run([*self._entered(), *CTR, "containers", "delete", name], capture_output=True, check=False)

    def enforce(self, held: list[str]) -> None:
        """Bring the rules of nftables to what policies and pods say now."""
        rules = policy.ruleset(*(self.kube.every(kind) for kind in ("networkpolicies", "pods", "namespaces")))
        if held != [rules]:
            self.inside("nft", "--file", "-", stdin=rules)
            held[:] = [rules]

    def rules(self) -> str:
        """Return the rules that are held, with how often each refused."""
        return self.inside("nft", "list", "table", *policy.TABLE.split())


@contextmanager
def started() -> Iterator[Node]:
    """Start a node; end it and remove all that it made, its images excepted.

    Raises
    ------
    InvalidInput
        This machine cannot, or another run is going on.
    """
    if os.geteuid() != 0:
        raise InvalidInput("a cluster needs root, for its namespaces and mounts; run this with sudo")
    CACHE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context((CACHE / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another cluster of {CACHE} runs; wait for its end") from None
        _remove()
        place = Place(STATE, CONTAINERD, str(shutil.which("runc")), _free_addresses())
        CONTAINERD.mkdir(exist_ok=True)
        stack.callback(_remove)
        node = stack.enter_context(_process(place))
        stack.enter_context(_steps(node, [Provisioner(node.kube, place.state / "volumes", NAME).step]))
        held: list[str] = []
        stack.enter_context(_steps(node, [lambda: node.enforce(held)]))
        yield node


@contextmanager
def _process(place: Place) -> Iterator[Node]:
    write(place)
    authority = Authority(place.keys)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    authority.issue("kube-apiserver", hosts=[*names, place.node, place.address(32, 1)])
    authority.issue("node", hosts=[NAME, place.node])
    authority.issue("admin", group="system:masters")
    config = authority.kubeconfig("admin", place.api)
    _cgroups(make=True)
    told = {
        "name": NAME,
        "logs": str(place.state / "logs"),
        "mounts": {str(place.state / "kubelet"): "/run/kubelet"},
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "interface": INNER,
        "address": f"{place.node}/30",
        "gateway": place.outside,
        "parts": parts(place),
        "environment": {"PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
    }
    (place.state / "told.json").write_text(json.dumps(told))
    call = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
            "--propagation=private", sys.executable, str(Path(__file__).with_name("inside.py")),
            str(place.state / "told.json")]  # fmt: skip
    with (place.state / "logs" / "node.log").open("w") as log:
        process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True, start_new_session=True
        )
    assert process.stdin is not None
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: process.poll() is not None or children.read_text().strip(), 30, "the first process of the node")
        pid = int(children.read_text().split()[0])
        _cable(place, pid)
        process.stdin.write("connected\n")
        process.stdin.flush()
        kube = Kube(place.api, place.keys, config)
        node = Node(place, process, pid, kube)
        until(lambda: not node.alive() or _answers(kube), 120, "the API")
        until(lambda: not node.alive() or kube.ready_node(), 120, "the node")
        if not node.alive():
            raise RuntimeError(f"the node ended at its start; see {place.state / 'logs'}")
        kube.apply(storage_class())
        try:
            yield node
        finally:
            node.empty()
    finally:
        process.stdin.close()  # which ends the first process, and so everything in its namespaces
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(kube: Kube) -> bool:
    with suppress(httpx.TransportError):
        return kube.request("GET", "/readyz").status_code == 200
    return False


def _cable(place: Place, pid: int) -> None:
    run("ip", "link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", str(pid))
    run("ip", "address", "add", f"{place.outside}/30", "dev", OUTER)
    run("ip", "link", "set", OUTER, "up")
    run("ip", "route", "add", place.whole, "via", place.node, "dev", OUTER)


def _free_addresses() -> int:
    """Choose a /16 that this machine has no route to but its default one."""
    routes = json.loads(run("ip", "-json", "route", "show", "table", "all"))
    for second in _SECONDS:
        if not any(str(route["dst"]).startswith(f"10.{second}.") or route["dst"] == "10.0.0.0/8" for route in routes):
            return second
    raise InvalidInput(f"this machine has routes into all of 10.{_SECONDS[0]}.0.0/16 to 10.{_SECONDS[-1]}.0.0/16")


def _cgroups(*, make: bool) -> None:
    """Make the node's own group in each hierarchy, or remove it with all below it."""
    root = Path("/sys/fs/cgroup")
    tops = (
        [root]
        if (root / "cgroup.controllers").exists()
        else [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
    )
    for top in tops:
        own = top / CGROUP.lstrip("/")
        if make:
            own.mkdir(exist_ok=True)
            if top.name == "cpuset":
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (own / name).write_text((top / name).read_text())
        elif own.exists():
            for folder, _, _ in os.walk(own, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


def _remove() -> None:
    """Remove what a node made, of this run or of one that was killed."""
    subprocess.run(["ip", "link", "delete", OUTER], capture_output=True, check=False)
    _cgroups(make=False)
    if STATE.exists():
        kept = CACHE / "last-logs"
        shutil.rmtree(kept, ignore_errors=True)
        for name in ("logs", "pods-logs"):
            if (STATE / name).exists():
                shutil.copytree(STATE / name, kept / name, symlinks=True)
        shutil.rmtree(STATE)


@contextmanager
def _steps(node: Node, steps: list[Callable[[], None]]) -> Iterator[None]:
    """Take these steps again and again beside what else is done."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.3):
            for step in steps:
                try:
                    step()
                except (httpx.HTTPError, AssertionError, RuntimeError) as error:
                    if not ended.is_set():
                        node.failures.append(f"{error}")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
