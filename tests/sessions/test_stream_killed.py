"""The command `gpdata transform --engine spark`, killed anywhere, and a cluster that loses executors."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gpdata.lake import Lake, Transformer
from tests.conftest import ROOT
from tests.sessions.test_stream import GPDATA, PATIENCE, assert_same, odd_spool, twins
from tests.support import until

pytestmark = pytest.mark.xdist_group("spark")

SEED = int(os.environ.get("SEED", "1"))
KILLS = int(os.environ.get("KILLS", "8"))


def killed_then_finished(
    lake: Lake, after: Callable[[], bool], engines: tuple[str, str] = ("spark", "spark")
) -> subprocess.CompletedProcess[str]:
    """Run the command, kill it with all that it started once `after` holds, and run it again."""
    command = [*GPDATA, "transform", "--lake", str(lake.path), "--engine"]
    environment = os.environ | {"GPDATA_BATCH_BYTES": "6000"}
    process = subprocess.Popen(
        [*command, engines[0]],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: after() or process.poll() is not None, PATIENCE, "the moment to kill")
    finally:
        with suppress(ProcessLookupError):  # it may have been quicker
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.run([*command, engines[1]], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.faults  # it starts Spark twice
def test_the_command_is_killed_and_run_again(tmp_path: Path) -> None:
    one, two = twins(tmp_path, odd_spool)
    Transformer(one).run()
    done = killed_then_finished(two, lambda: any((two.path / "manifests").glob("*.try")))
    assert done.returncode == 3, done.stderr  # lines are in quarantine
    assert " lines: " in done.stdout
    assert "transform: " in done.stderr
    assert "Traceback" not in done.stderr
    assert_same(one, two)


CLUSTER = """
import os, signal, sys, threading, time
from pathlib import Path
import gpdata
from gpdata.lake import Lake
from gpdata.sessions.stream import StreamTransformer

EXECUTOR = b"org.apache.spark.executor.CoarseGrainedExecutorBackend"
lake = Lake.open(sys.argv[1])
session = gpdata.spark(spark__master="local-cluster[2,1,512]", spark__driver__memory="512m",
                       spark__executor__memory="512m", spark__executorEnv__PYTHONPATH=os.environ["PYTHONPATH"])

def below(process, of):
    while process > 1 and process != of:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process == of

def executors():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\\0")
            if EXECUTOR in words and below(int(path.parent.name), os.getpid()):
                yield int(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            pass

def kill():
    while not any((lake.path / "manifests").glob("*.try")):
        time.sleep(0.005)
    os.kill(min(executors()), signal.SIGKILL)
    print("killed one", flush=True)

threading.Thread(target=kill).start()
account = StreamTransformer(lake, session, tasks=6, least_bytes=2_000).run()
print(account.accepted, "accepted")
session.stop()
"""


@pytest.mark.faults
def test_a_cluster_that_loses_an_executor(tmp_path: Path) -> None:
    """Executors as processes of their own, as on a standalone cluster."""
    one, two = twins(tmp_path, odd_spool)
    expected = Transformer(one).run()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, str(two.path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["killed", "one", str(expected.accepted), "accepted"], done.stderr
    assert_same(one, two)


@pytest.mark.faults
@pytest.mark.parametrize("kill", range(KILLS))
def test_the_command_is_killed_anywhere(kill: int, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED}.{kill}")
    one, two = twins(tmp_path, odd_spool)
    Transformer(one).run()
    watched = chance.choice(["manifests/*.json", "manifests/*.try", "scratch/*/offsets/0", "individuals/*.parquet",
                             "individuals/_delta_log/*1.json", "runs/_delta_log/*1.json", "spool/trash/*",
                             "generations/_delta_log/*2.json", "scratch/*/commits/0"])  # fmt: skip
    engines = chance.choice([("spark", "spark"), ("spark", "embedded"), ("embedded", "spark")])
    done = killed_then_finished(two, lambda: any(two.path.glob(watched)), engines)
    assert done.returncode in (0, 3), (watched, engines, done.stderr)
    assert_same(one, two)
