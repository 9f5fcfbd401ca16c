"""What is ours, on a cluster without zero-to-jupyterhub: a driver's pod in place of a user's server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.images import name_of
from tests.cluster.release import EXECUTORS, NAMESPACE, RELEASE, Release
from tests.cluster.tools import say
from tests.cluster.uploads import ALONE, Uploader
from tests.cluster.work import ANALYSIS, GENERATIONS, RUNS, SIZE, SMALL, differences, expected, lines
from tests.support import run_lines, until

pytestmark = pytest.mark.faults
PYTHON = "/opt/gpdata/bin/python"


@pytest.fixture(scope="module")
def alone(release: Release) -> Release:
    """The release, where it has no hub."""
    if release.hub:
        pytest.skip("the hub is there, and test_lab.py shows the same with it")
    return release


@pytest.fixture(scope="module")
def token(alone: Release) -> str:
    """A token of ingest's own, made as its documentation says."""
    command = ["gpdata", "token", "create", "ada", "--tokens", "/var/lib/gpdata/tokens"]
    made = alone.kube.execute(NAMESPACE, "gpdata-ingest-0", *command)
    assert made.returncode == 0, made.stderr
    return next(word for word in made.stdout.split() if word.startswith("gpdata_"))


@pytest.fixture(scope="module")
def driver(alone: Release) -> Iterator[str]:
    """A pod that is, to the chart's roles and policies, a user's server."""
    settings = alone.kube.get("configmaps", NAMESPACE, "gpdata-settings")
    assert settings is not None
    variables = {
        "GPDATA_LAKE": settings["data"]["lake"],
        "GPDATA_SPARK_NAMESPACE": settings["data"]["spark-namespace"],
        "GPDATA_SPARK_IMAGE": settings["data"]["spark-image"],
        "SPARK_CONF_DIR": settings["data"]["spark-conf"],
    }
    environment: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in variables.items()]
    environment.append({"name": "GPDATA_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    volumes: dict[str, tuple[str, dict[str, Any]]] = {
        "lake": ("/lake", {"persistentVolumeClaim": {"claimName": "gpdata-lake", "readOnly": True}}),
        "conf": (variables["SPARK_CONF_DIR"], {"configMap": {"name": "gpdata-spark-conf"}}),
        "tmp": ("/tmp", {"emptyDir": {}}),
        "home": ("/home/jovyan", {"emptyDir": {}}),
    }
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {
        "name": "notebook",
        "image": name_of("singleuser"),
        "command": [PYTHON, "-c", "import time; time.sleep(7200)"],
        "env": environment,
        "securityContext": security,
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
        "volumeMounts": [{"name": name, "mountPath": where} for name, (where, _) in volumes.items()],
    }
    labels = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "singleuser-server"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "driver", "labels": labels},
        "spec": {
            "serviceAccountName": "gpdata-user",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "fsGroup": 100},
            "containers": [container],
            "volumes": [{"name": name, **source} for name, (_, source) in volumes.items()],
        },
    }
    alone.kube.create("pods", NAMESPACE, pod)
    alone.kube.kubectl("wait", f"--namespace={NAMESPACE}", "--for=condition=Ready", "--timeout=120s", "pod/driver")
    yield "driver"
    alone.kube.delete("pods", NAMESPACE, "driver", grace=0)


def _told(release: Release, pod: str, code: str) -> Any:
    done = release.kube.execute(NAMESPACE, pod, PYTHON, "-c", code)
    said = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert said, (done.stdout + done.stderr)[-4000:]
    return json.loads(said[-1].removeprefix("TOLD "))


def test_uploads_and_spark_give_duckdbs_answer(alone: Release, token: str, driver: str, scratch: Path) -> None:
    streams = lines()
    base = alone.address("gpdata-ingest")
    Uploader(base, token, [line for run in streams.values() for line in run], ALONE).start().wait(120)
    count = 'import gpdata as gp\ntry:\n    print("TOLD", len(gp.to_arrow(gp.open().individuals)))\n'
    count += 'except gp.errors.GpdataError:\n    print("TOLD 0")'
    wanted = len(RUNS) * GENERATIONS * SIZE
    until(lambda: _told(alone, driver, count) >= wanted, 120, f"{wanted} individuals in the lake")
    answers = expected(scratch, streams)
    both = 'print("TOLD", json.dumps([answer(gp.open()), answer(gp.open(engine=session)), len(executors())]))'
    code = f"""{ANALYSIS}
session = gp.spark("k8s-small", {SMALL})
def executors():
    return [one for one in session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()][1:]
{both}
gp.stop()
"""
    on_duckdb, on_spark, pods = _told(alone, driver, code)
    say(f"on {pods} executor pods: {json.dumps(on_spark['success_table'])}")
    say(f"by DuckDB in the driver's pod: {json.dumps(on_duckdb['success_table'])}")
    assert differences(on_duckdb, answers) == []
    assert differences(on_spark, answers) == []
    assert pods == 2


def test_a_killed_ingest_loses_nothing(alone: Release, token: str, driver: str) -> None:
    run = "00000000-0000-4000-8000-0000000000aa"
    sent = run_lines(run, 150, SIZE, seed=99)
    work = Uploader(alone.address("gpdata-ingest"), token, sent, ALONE).start()
    until(lambda: work.acknowledged >= 40 or work.refused, 120, "40 uploads")
    killed_at = work.acknowledged
    alone.kube.delete("pods", NAMESPACE, "gpdata-ingest-0", grace=0)
    work.wait(180)
    code = (
        "import gpdata as gp, json\n"
        f'found = gp.to_arrow(gp.open(runs=["{run}"]).generations)["generation"].to_pylist()\n'
        'print("TOLD", json.dumps(sorted(found)))'
    )
    until(lambda: len(_told(alone, driver, code)) >= 150, 120, "150 generations in the lake")
    say(f"ingest's pod killed after {killed_at} of 150, {work.failures} sent again: 150 in the lake, each once")
    assert _told(alone, driver, code) == list(range(150))
    assert killed_at < 150


def test_upgrade_and_rollback_keep_data(alone: Release, driver: str) -> None:
    code = 'import gpdata as gp\nprint("TOLD", len(gp.to_arrow(gp.open().generations)))'
    before, old = _told(alone, driver, code), alone.revision()
    alone.install({"ingest": {"graceSeconds": 1800}})
    after = _told(alone, driver, code)
    alone.rollback(old)
    back = _told(alone, driver, code)
    say(f"generations before the upgrade {before}, after it {after}, after the rollback {back}")
    assert before == after == back > 0


def test_executors_do_not_outlive_their_session(alone: Release) -> None:
    until(lambda: not alone.kube.every("pods", EXECUTORS), 180, "the end of the executors")
