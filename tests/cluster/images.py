"""The images of the cluster: the chart's from hub/images, and what a cluster without a registry needs besides."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpdata.errors import InvalidInput
from hub import proxy
from tests.cluster.node import Node
from tests.cluster.settings import PAUSE
from tests.cluster.tools import BIN, CACHE, IMAGES, MODULES, installed, say
from tests.conftest import ROOT

TAG = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
OURS = ("ingest", "spark", "singleuser", "hub")
COREDNS = "localhost/gpdata-coredns:1"
PROXY = "localhost/gpdata-proxy:5"
BASE = "localhost/gpdata-base"
KEEP = "GPDATA_CLUSTER_KEEP_IMAGES"
"""Set: what is in the node's store is not built anew, for who works on the chart or on these tests."""
_SOURCES = (
    "gpdata",
    "hub",
    "spark-conf",
    "example-notebooks",
    "pyproject.toml",
    "requirements.lock",
    "README.md",
    ".ci/uv.sh",
)


def name_of(image: str) -> str:
    """Return the full name of one of our four images."""
    return f"localhost/gpdata-{image}:{TAG}"


def provide(node: Node) -> None:
    """Build what is not built, and bring into the node's store what is not there."""
    known = CACHE / "images.json"
    stored = json.loads(known.read_text()) if known.exists() else {}
    there = node.images()

    def wanted(name: str, key: str) -> bool:
        return name not in there or stored.get(name) != key

    def keep(name: str, key: str) -> None:
        node.pin(name)
        stored[name] = key
        known.write_text(json.dumps(stored))

    for name, program in ((PAUSE, "pause"), (COREDNS, "coredns")):
        key = _digest([BIN / program])
        if wanted(name, key):
            _one_program(node, name, BIN / program)
            keep(name, key)
    key = _digest(_files(*_SOURCES))
    stale = [image for image in OURS if wanted(name_of(image), key)]
    if stale and os.environ.get(KEEP) and all(name_of(image) in there for image in stale):
        say(f"images: {KEEP} is set: {', '.join(stale)} as they are, though their sources changed")
        stale = []
    proxy_key = _digest(
        [*_files("hub/package-lock.json"), *sorted((MODULES / "proxy").iterdir()), *_files("hub/upload_patience.cjs")]
    )
    stale_proxy = wanted(PROXY, proxy_key)
    if not stale and not stale_proxy:
        say("images: all there from the run before")
        return
    installed(IMAGES)
    if stale:
        _build(stale)
    if stale_proxy:
        _build_proxy()
    for name, of in [*((name_of(image), key) for image in stale), *([(PROXY, proxy_key)] if stale_proxy else [])]:
        say(f"images: {name} into the node")
        _bring(node, name)
        keep(name, of)


def _build(images: list[str]) -> None:
    base = os.environ.get("BASE", BASE)
    if base == BASE and subprocess.run(["podman", "image", "exists", base], check=False).returncode:
        say("images: a base of Debian's packages (hub/images/base.sh)")
        _logged("base", str(ROOT / "hub" / "images" / "base.sh"), base)
    say(f"images: building {', '.join(images)} (hub/images/build.sh); minutes when cold")
    _logged("images", str(ROOT / "hub" / "images" / "build.sh"), *images, BASE=base, ENGINE="podman")


def _build_proxy() -> None:
    say("images: the hub's proxy")
    proxy.install()
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        context = Path(folder)
        shutil.copytree(proxy.INSTALLED / "node_modules", context / "node_modules", symlinks=True)
        shutil.copy(proxy.node_and_npm()[0][0], context / "node")
        shutil.copy(proxy.PATIENCE, context)
        for path in (MODULES / "proxy").iterdir():
            shutil.copy(path, context)
        _logged("proxy-image", "podman", "build", "--isolation=chroot", "--network=host", f"--build-arg=BASE={BASE}",
                f"--tag={PROXY}", folder)  # fmt: skip


def _logged(name: str, *command: str, **settings: str) -> None:
    """Run what builds; its words go to a file, and come out where it fails."""
    log = CACHE / f"{name}.log"
    with log.open("w") as sink:
        done = subprocess.run(command, stdout=sink, stderr=sink, env={**os.environ, **settings}, check=False)
    if done.returncode:
        raise InvalidInput(f"{command[0]} failed; the end of {log}:\n{log.read_text()[-3000:]}")


def _bring(node: Node, name: str) -> None:
    """Hand an image of podman's to the node, without a file between them."""
    with subprocess.Popen(
        ["podman", "save", "--quiet", "--format=docker-archive", name], stdout=subprocess.PIPE
    ) as source:
        assert source.stdout is not None
        node.import_image(source.stdout)
    if source.returncode:
        raise InvalidInput(f"podman could not save {name}; does `podman images` show it?")


def _one_program(node: Node, name: str, program: Path) -> None:
    """Make an image of a program that needs nothing besides itself."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(program, arcname=program.name, filter=_rooted)
    packed = layer.getvalue()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(packed).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tempfile.NamedTemporaryFile(dir=CACHE, suffix=".tar") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path, content in {
                "config.json": json.dumps(config).encode(),
                "layer.tar": packed,
                "manifest.json": json.dumps(manifest).encode(),
            }.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        file.flush()
        file.seek(0)
        node.import_image(file)


def _rooted(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.mode, member.mtime = 0o755, 0
    return member


def _files(*names: str) -> Iterator[Path]:
    for name in names:
        path = ROOT / name
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
        else:
            yield path


def _digest(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(str(path).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
