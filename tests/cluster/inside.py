"""The first process of the node, in namespaces of its own: it makes the node's place, starts its parts, and waits.

Run by tests/cluster/node.py with the name of a JSON file. When its standard input ends, or one of the parts, it ends,
and with it, being the first, everything in its namespaces: processes, mounts, interfaces, rules. It imports nothing
that is not Python's own.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def call(*command: str) -> None:
    """Run a program that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")


def place(told: dict[str, Any]) -> None:
    """Make the mounts and the network of the node; nothing of it is seen outside."""
    call("mount", "--make-rshared", "/")
    call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for source, target in told["mounts"].items():
        Path(target).mkdir(parents=True, exist_ok=True)
        call("mount", "--bind", source, target)
    call("mount", "--make-rshared", "/")
    call("hostname", told["name"])
    call("ip", "link", "set", "lo", "up")
    for name, value in told["sysctl"].items():
        Path("/proc/sys", *name.split(".")).write_text(value)
    # The harness puts one end of a cable here, and says so by a line.
    if sys.stdin.readline() != "connected\n":
        raise SystemExit("the node was not connected")
    call("ip", "address", "add", told["address"], "dev", told["interface"])
    call("ip", "link", "set", told["interface"], "up")
    call("ip", "route", "add", "default", "via", told["gateway"])


def main() -> int:
    """Start everything and bury the dead until the end."""
    told = json.loads(Path(sys.argv[1]).read_text())
    logs = Path(told["logs"])
    place(told)
    parts: dict[int, str] = {}
    for part in told["parts"]:
        with (logs / f"{part['name']}.log").open("w") as log:
            process = subprocess.Popen(
                part["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=told["environment"]
            )
        parts[process.pid] = part["name"]
        wait_for = part.get("then")
        deadline = time.monotonic() + 60
        while wait_for and not Path(wait_for).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    print("started", flush=True)
    ended = ""
    while not ended:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if ready and not os.read(sys.stdin.fileno(), 1024):
            break
        while True:  # every orphan of the node is ours, its shims' among them
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if number == 0:
                break
            if number in parts:
                ended = f"{parts.pop(number)} ended with {os.waitstatus_to_exitcode(status)}"
    if ended:
        print(ended, flush=True)
        (logs / "ended").write_text(ended)
    for number in parts:
        os.kill(number, signal.SIGTERM)
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())
