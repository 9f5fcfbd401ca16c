"""The check of a session itself: whether it starts, gets executors, and these have the same Python.

It is tried in a process of its own, which can be ended: a start that hangs never hangs the notebook.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gpdata.exported import exported
from gpdata.sessions.checks import Finding, Situation

START_SECONDS = 120.0
"""How long a session may take to start."""
JOB_SECONDS = 120.0
"""How long its first job may take: a pod has to be scheduled, and its image fetched."""
_STOP_SECONDS = 30.0
_CHECK = "session"


def session(situation: Situation) -> Iterator[Finding]:
    """Whether a session starts and an executor computes; the live one is asked where there is one."""
    if situation.session is not None:
        from gpdata.sessions.checks_trial import facts

        yield _judged(facts(situation.session))
        return
    told = json.dumps({"preset": situation.preset, "overrides": dict(situation.overrides)}).encode()
    # The same gpdata, wherever it was imported from.
    path = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryFile() as said:
        with exported(path, replace=True):
            process = subprocess.Popen(
                [sys.executable, "-m", "gpdata.sessions.checks_trial"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        known, late = _followed(process, told)
        said.seek(0)
        complaints = said.read().decode(errors="replace")
    if late:
        yield _late(known, complaints)
    elif "error" in known:
        yield _failed(known["error"], complaints)
    elif "executor" not in known:
        last = [line for line in complaints.splitlines() if line.strip()][-3:]
        yield Finding(_CHECK, "failed", f"the trial ended by itself: {' '.join(last)}", "see what the other checks say")
    else:
        yield _judged(known)


def _followed(process: subprocess.Popen[bytes], told: bytes) -> tuple[dict[str, Any], bool]:
    """Let the trial run, each step in its time; return what it said, and whether it had to be ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    output = process.stdout
    steps: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in output:
            steps.put(line)
        steps.put(b"")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with suppress(BrokenPipeError), process.stdin as sink:  # where it failed at once, it says so itself
        sink.write(told)
    known: dict[str, Any] = {}
    late = False
    try:
        while line := steps.get(timeout=JOB_SECONDS if "spark" in known else START_SECONDS):
            if line.startswith(b"{"):
                known |= json.loads(line)
            if "executor" in known:
                break
    except queue.Empty:
        late = True
    if not late:
        with suppress(subprocess.TimeoutExpired):  # it told what there was to tell
            process.wait(_STOP_SECONDS)
    _end(process)
    reader.join(_STOP_SECONDS)
    output.close()
    return known, late


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the trial and what it started, first gently: pods are to be deleted."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)


def _judged(known: dict[str, Any]) -> Finding:
    driver, executor = known["driver"], known["executor"]
    spark, client = known["spark"], driver["pyspark"]
    short = ".".join
    if spark.split(".")[:2] != client.split(".")[:2]:
        return Finding(
            _CHECK,
            "failed",
            f"Spark is {spark}, and pyspark here is {client}",
            f"install the same: pip install pyspark=={short(spark.split('.')[:2])}.*",
        )
    if executor["python"].split(".")[:2] != driver["python"].split(".")[:2]:
        return Finding(_CHECK, "failed", _versions(driver["python"], executor["python"]), _SAME)
    lacks = [name for name in ("pyarrow", "pandas") if not executor.get(name)]
    if lacks:
        return Finding(_CHECK, "failed", f"the executors have no {' and no '.join(lacks)}", _SAME)
    differs = [
        f"{name} {executor[name]} (here {driver[name]})"
        for name in ("pyarrow", "pandas")
        if executor[name].split(".")[0] != driver[name].split(".")[0]
    ]
    if differs:
        return Finding(_CHECK, "warning", f"the executors have {', '.join(differs)}", _SAME)
    return Finding(_CHECK, "ok", f"Spark {spark}; an executor computed, with Python {executor['python']} as here")


_SAME = (
    "give driver and executors the same environment: on Kubernetes images of one build (GPDATA_SPARK_IMAGE), elsewhere "
    "the same Python on every machine, named in PYSPARK_PYTHON"
)


def _versions(driver: str, executor: str) -> str:
    return f"the executors' Python is {executor}, the driver's {driver}: functions cannot cross"


def _failed(text: str, complaints: str) -> Finding:
    everything = f"{text}\n{complaints}"
    first = next((line.strip() for line in text.splitlines() if line.strip()), "no more is said")[:400]
    if "PYTHON_VERSION_MISMATCH" in everything:
        return Finding(_CHECK, "failed", f"the executors' Python is another than the driver's: {first}", _SAME)
    if "ModuleNotFoundError" in everything:
        module = everything.partition("No module named ")[2].split("\n")[0].strip(" '\"")
        return Finding(_CHECK, "failed", f"the executors have no {module or 'package that is needed'}", _SAME)
    if "Cannot run program" in everything:
        program = everything.partition("Cannot run program ")[2].split('"')[1:2]
        cause = f"the executors cannot run {program[0] if program else 'the Python that is named'}"
        return Finding(_CHECK, "failed", cause, _SAME)
    for sign, cause, mend in _SIGNS:
        if sign in everything:
            return Finding(_CHECK, "failed", cause, mend)
    return Finding(_CHECK, "failed", first, "what else is wrong, the other checks name; Spark's log says more")


_SIGNS = (
    (
        "All masters are unresponsive",
        "something listens at the master's address, and it is no Spark master of this version",
        "correct the address (a master's usual port is 7077, its page is on 8080), or install its version of pyspark",
    ),
    (
        "Insufficient Memory",
        "there is not enough memory for the JVM",
        "ask for less: spark__driver__memory",
    ),
    (
        "could not reserve enough space",
        "there is not enough memory for the JVM",
        "ask for less: spark__driver__memory",
    ),
    (
        "UNAUTHENTICATED",
        "the Spark Connect server refuses: it wants a token",
        "add it to the address, 'sc://host:15002/;token=...;use_ssl=true', or set SPARK_CONNECT_AUTHENTICATE_TOKEN",
    ),
    (
        "StatusCode.UNAVAILABLE",
        "what listens at the Spark Connect address is no Spark Connect server",
        "correct the address: the usual port is 15002; with TLS, add ';use_ssl=true'",
    ),
)


def _late(known: dict[str, Any], complaints: str) -> Finding:
    if "spark" in known:
        return Finding(
            _CHECK,
            "failed",
            f"a session started, and no executor computed within {JOB_SECONDS:.0f} s: the cluster has no capacity for "
            "one, or the executors do not reach this driver",
            "ask for smaller executors (spark__executor__memory, spark__executor__cores), see the master's page or the "
            "pods' events, and let the workers through to the ports of this machine (spark.driver.port, "
            "spark.driver.blockManager.port)",
        )
    found = _failed("", complaints)
    if any(sign in complaints for sign, _, _ in _SIGNS):
        return found
    last = " ".join(line for line in complaints.splitlines()[-2:] if line.strip())
    return Finding(
        _CHECK,
        "failed",
        f"no session started within {START_SECONDS:.0f} s{f': {last[:300]}' if last else ''}",
        "see the other checks",
    )
