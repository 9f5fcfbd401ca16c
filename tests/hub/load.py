"""A hub at work: many servers started and stopped by its API, and uploads meanwhile. Prints what it took.

    python -m tests.hub.load [--servers 30] [--uploads 20] [--wave 5] [--users folders|system]

It ends with 1 where a server did not come, or a line that was acknowledged is not in the lake. With ``--users system``
(root only) each user is an account of this machine, removed at the end.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

import gpdata
from gpdata.lake import Lake
from hub import proxy
from hub.settings import FOLDERS, ROOT, SYSTEM
from tests.hub.live import PASSWORD, LiveHub, Person, live_hub
from tests.support import line, until

ADMIN = "gpload-admin"
PATIENCE = 600
_ADD = """
import sys
from hub.add_user import add_user
for name in sys.argv[2:]:
    add_user(name, sys.argv[1].format(name), admin=name.endswith("-admin"))
"""


@dataclass
class Work:
    """What happened."""

    started: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    again: int = 0
    hub_before: int = 0
    hub_most: int = 0
    all_most: int = 0
    running_most: int = 0


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=30)
    parser.add_argument("--uploads", type=int, default=20, help="uploads at once")
    parser.add_argument("--wave", type=int, default=5, help="servers that start at once")
    parser.add_argument("--users", choices=(FOLDERS, SYSTEM), default=FOLDERS)
    options = parser.parse_args()
    proxy.install()
    names = [f"gpload{number:02d}" for number in range(options.servers)]
    work = Work()
    with tempfile.TemporaryDirectory(prefix="gpdata-load-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        Lake.create(folder / "lake")
        there = {each.pw_name for each in pwd.getpwall()}
        try:
            with live_hub(folder / "state", folder / "lake", HUB_USERS=options.users, HUB_IDLE="never") as hub:
                family = psutil.Process(hub.process.pid)
                load(hub, names, options.uploads, options.wave, work)
                left = [each for each in family.children(recursive=True) if "singleuser" in " ".join(each.cmdline())]
                work.failed += [f"left running: {each}" for each in left]
            missing = work.acknowledged - in_lake(folder / "lake")
        except BaseException:
            shutil.copyfile(folder / "hub.log", Path(tempfile.gettempdir()) / "gpdata-load-hub.log")
            raise
        finally:
            for name in [*names, ADMIN]:
                if options.users == SYSTEM and name in {each.pw_name for each in pwd.getpwall()} - there:
                    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)
    report(options, work, missing)
    return 1 if work.failed or missing or not work.acknowledged else 0


def load(hub: LiveHub, names: list[str], uploads: int, wave: int, work: Work) -> None:
    """Start all servers, a wave at a time, then stop them; users upload all the while."""
    command = [sys.executable, "-c", _ADD, PASSWORD, ADMIN, *names]
    subprocess.run(command, env=hub.environment, cwd=ROOT, check=True)
    with ThreadPoolExecutor(8) as pool:
        people = dict(zip([ADMIN, *names], pool.map(lambda name: sign_in(hub, name), [ADMIN, *names]), strict=True))
    admin = people[ADMIN]
    until(lambda: ready(hub), PATIENCE, "the ingest service")
    work.hub_before = memory(hub)[0]
    stop = threading.Event()
    threads = [
        threading.Thread(target=upload, args=(people[names[number % len(names)]], stop, work))
        for number in range(uploads)
    ]
    threads.append(threading.Thread(target=watch, args=(hub, admin, stop, work)))
    for thread in threads:
        thread.start()
    try:
        with ThreadPoolExecutor(wave) as pool:
            list(pool.map(lambda name: start(admin, name, work), names))
            work.running_most = max(work.running_most, running(admin))
            list(pool.map(lambda name: stop_server(admin, name, work), names))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    reader = people[names[0]]
    until(lambda: not waiting(reader), PATIENCE, "the lake to have all")


def sign_in(hub: LiveHub, name: str) -> Person:
    """Make a token with the password, as a script does."""
    body = {"auth": {"username": name, "password": PASSWORD.format(name)}, "note": "load"}
    answer = httpx.post(f"{hub.url}hub/api/users/{name}/tokens", json=body, timeout=PATIENCE)
    answer.raise_for_status()
    return Person(name, hub.url, httpx.Client(), answer.json()["token"])


def ready(hub: LiveHub) -> bool:
    """Say whether the ingest service answers."""
    return httpx.get(f"{hub.url}services/gpdata/readyz", timeout=60).status_code == 200


def start(admin: Person, name: str, work: Work) -> None:
    """Start a user's server, and note how long it took until it answered."""
    began = time.monotonic()
    answer = ask(admin, "POST", f"users/{name}/server")
    while answer is not None and answer.status_code in (201, 202) and time.monotonic() - began < PATIENCE:
        model = ask(admin, "GET", f"users/{name}")
        server = model.json()["servers"].get("") if model is not None else None
        if server and server["ready"]:
            work.started.append(time.monotonic() - began)
            return
        if model is not None and not server:
            break
        time.sleep(0.1)
    work.failed.append(f"{name} did not start: {answer.text if answer is not None else 'no answer'}")


def stop_server(admin: Person, name: str, work: Work) -> None:
    """Stop a user's server, and note how long it took."""
    began = time.monotonic()
    answer = ask(admin, "DELETE", f"users/{name}/server")
    while time.monotonic() - began < PATIENCE:
        model = ask(admin, "GET", f"users/{name}")
        if model is not None and not model.json()["servers"]:
            work.stopped.append(time.monotonic() - began)
            return
        time.sleep(0.1)
    work.failed.append(f"{name} did not stop: {answer.text if answer is not None else 'no answer'}")


def ask(admin: Person, method: str, path: str) -> httpx.Response | None:
    """Call the API; None where the hub was too busy to answer in time."""
    try:
        return admin.call(method, path)
    except httpx.TimeoutException:
        return None


def upload(person: Person, stop: threading.Event, work: Work) -> None:
    """Upload generation after generation of an own run; what is not acknowledged is sent again, as clients do."""
    run, generation = str(uuid.uuid4()), 0
    address, headers = f"{person.url}services/gpdata/v1/generations", {"Authorization": f"Bearer {person.token}"}
    with httpx.Client(headers=headers, timeout=PATIENCE) as client:
        while not stop.wait(1):  # at 0.2 s uploads take both cores, and servers come late
            try:
                answer = client.post(address, content=line(run, generation, 50))
            except httpx.TransportError:
                work.again += 1
                continue
            if answer.status_code == 200:
                work.acknowledged.add((run, generation))
                generation += 1
            elif answer.status_code == 503:
                work.again += 1
            else:
                work.failed.append(f"upload: {answer.status_code} {answer.text[:200]}")
                return


def watch(hub: LiveHub, admin: Person, stop: threading.Event, work: Work) -> None:
    """Note how much memory the hub takes, and all that it started."""
    while not stop.wait(1):
        own, everything = memory(hub)
        work.hub_most, work.all_most = max(work.hub_most, own), max(work.all_most, everything)


def memory(hub: LiveHub) -> tuple[int, int]:
    """Return the bytes of the hub's own process (RSS), and of it with all below it (PSS, nothing counted twice)."""
    process = psutil.Process(hub.process.pid)
    everything = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            everything += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return process.memory_info().rss, everything


def running(admin: Person) -> int:
    """Return how many servers run."""
    answer = ask(admin, "GET", "users?state=ready&limit=200")
    return len(answer.json()) if answer is not None else 0


def waiting(person: Person) -> int:
    """Return how many generations are acknowledged and not in the lake yet."""
    headers, found, after = {"Authorization": f"Bearer {person.token}"}, 0, ""
    while True:
        answer = httpx.get(
            f"{person.url}services/gpdata/v1/runs", params={"after": after}, headers=headers, timeout=PATIENCE
        ).json()
        found += sum(run["waiting"] for run in answer["runs"])
        after = answer.get("next") or ""
        if not after:
            return found


def in_lake(lake: Path) -> set[tuple[str, int]]:
    """Return the generations that the lake has; fail where one is there twice."""
    rows = gpdata.open(lake).sql("SELECT run_uuid, generation FROM generations").fetchall()
    assert len(rows) == len(set(rows)), "a generation is in the lake twice"
    return set(rows)


def report(options: argparse.Namespace, work: Work, missing: set[tuple[str, int]]) -> None:
    """Print what was found."""
    load_average = ", ".join(f"{value:.0f}" for value in os.getloadavg())
    rows = [
        ("servers started", f"{len(work.started)} of {options.servers}, {options.wave} at a time, {options.users}"),
        ("ready at once", str(work.running_most)),
        ("start, median and p95", f"{quantile(work.started, 0.5):.1f} s, {quantile(work.started, 0.95):.1f} s"),
        ("stop, median and p95", f"{quantile(work.stopped, 0.5):.1f} s, {quantile(work.stopped, 0.95):.1f} s"),
        ("hub's own memory", f"{work.hub_before / 1e6:.0f} MB before, {work.hub_most / 1e6:.0f} MB at most (RSS)"),
        ("all together", f"{work.all_most / 1e6:,.0f} MB at most (PSS)"),
        ("uploads", f"{options.uploads} at once: {len(work.acknowledged):,} generations acknowledged"),
        ("sent again", f"{work.again}"),
        ("lost", f"{len(missing)}"),
        ("load average at the end", load_average),
        *(("FAILED", text) for text in work.failed),
    ]
    for name, value in rows:
        print(f"{name:<24} {value}")


def quantile(values: list[float], part: float) -> float:
    """Return a quantile of some values; nan of none."""
    if len(values) < 2:
        return values[0] if values else float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[round(part * 100) - 1]


if __name__ == "__main__":
    sys.exit(main())
