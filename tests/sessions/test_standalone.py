"""A standalone cluster of real processes: the same answers as DuckDB's, also where executors are killed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from gpdata.sessions import checks_session
from gpdata.sessions.session import live
from tests.sessions import clusters
from tests.support import run_lines, until

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("spark")]

SECRET = "a secret of the tests"
RUNS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(1, 13)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clusters.Cluster]:
    with clusters.standalone(tmp_path_factory.mktemp("cluster"), secret=SECRET) as started:
        yield started


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET)
    monkeypatch.setenv("GPDATA_SPARK_SECRET_FILE", str(tmp_path / "secret"))


@pytest.fixture
def session(cluster: clusters.Cluster, secret: None) -> Iterator[Any]:
    started = gpdata.spark("standalone", spark__master=cluster.master, **clusters.DRIVER)
    try:
        yield started
    finally:
        if live() is started:
            gpdata.stop()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs in several files."""
    from gpdata.lake import Transformer
    from gpdata.spool import Meta

    made = Lake.create(tmp_path_factory.mktemp("cluster-lake") / "lake")
    for number, run in enumerate(RUNS):
        lines = run_lines(run, generations=4 + number % 3, seed=number, size=8)
        made.spool().write(lines if number % 2 else lines[:-1], Meta("recorder"))
        Transformer(made).run()
    return made.path


def rows(frame: Any, *keys: str) -> list[dict[str, Any]]:
    table = gpdata.to_arrow(frame)
    return table.take(pc.sort_indices(table, [(key, "ascending") for key in keys])).to_pylist()


def answers(lab: Any) -> dict[str, list[dict[str, Any]]]:
    """The standard analyses."""
    place = ("run_uuid", "generation", "location")
    last = gpdata.last_generation(lab.generations)
    winners = gpdata.winner(lab.individuals, lab.generations, run=RUNS[1])
    return {
        "last": rows(last, "run_uuid"),
        "success": rows(gpdata.success_table(last, lab.runs, by="problem"), "problem"),
        "curves": rows(gpdata.error_curves(lab.generations, lab.runs, by="problem"), "problem", "generation"),
        "effort": rows(gpdata.computational_effort(lab.generations, lab.runs, by="problem"), "problem"),
        "ancestry": rows(gpdata.ancestry(lab.individuals, of=winners), *place),
        "edges": rows(gpdata.ancestry_edges(lab.individuals), *place, "position"),
    }


def assert_same(found: dict[str, list[dict[str, Any]]], expected: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows_expected in expected.items():
        assert rows_expected, name
        assert len(found[name]) == len(rows_expected), name
        for one, other in zip(found[name], rows_expected, strict=True):
            for column, value in other.items():
                same = pytest.approx(value, rel=1e-12, nan_ok=True) if isinstance(value, float) else value
                assert one[column] == same, (name, column)


def test_the_standard_analyses_agree_and_an_executors_end_changes_nothing(
    session: Any, cluster: clusters.Cluster, lake: Path
) -> None:
    expected = answers(gpdata.open(lake))
    lab = gpdata.open(lake, engine=session)
    assert_same(answers(lab), expected)
    assert cluster.executors(), "the cluster computed, and not this process"
    lab.persist()
    (victim, *_) = cluster.executors()
    cluster.kill(victim)
    assert_same(answers(lab), expected)
    assert len(cluster.executors()) >= 1


def test_an_executor_that_is_killed_during_a_job(
    session: Any, cluster: clusters.Cluster, lake: Path, tmp_path: Path
) -> None:
    """Each task says that it runs, and waits; then one of the two executors is killed with its task."""
    gate = str(tmp_path / "gate")
    Path(gate).mkdir()
    lab = gpdata.open(lake, engine=session)
    rows_of = lab.individuals.select("run_uuid", "total_error").repartition(4, "run_uuid")

    def held(batches: Any) -> Any:
        import os
        import time
        from pathlib import Path
        from uuid import uuid4

        (Path(gate) / f"{os.getppid()}-{uuid4()}").touch()
        deadline = time.monotonic() + 300
        while not (Path(gate) / "open").exists():
            assert time.monotonic() < deadline, "nobody opened the gate"
            time.sleep(0.05)
        yield from batches

    summed = rows_of.mapInArrow(held, rows_of.schema).groupBy("run_uuid").agg({"total_error": "sum", "*": "count"})
    result: list[Any] = []
    job = threading.Thread(target=lambda: result.extend(summed.collect()))
    job.start()
    try:
        # One task a core: with two of them at the gate, each of the two executors holds one.
        until(lambda: len(list(Path(gate).iterdir())) == len(cluster.executors()) == 2, 240, "a task in each executor")
        cluster.kill(cluster.executors()[0])
    finally:
        (Path(gate) / "open").touch()
        job.join(180)
    assert not job.is_alive()
    expected = gpdata.open(lake).sql("SELECT run_uuid, sum(total_error), count(*) FROM individuals GROUP BY ALL")
    found = {row["run_uuid"]: (row["sum(total_error)"], row["count(1)"]) for row in result}
    assert found == {run: (total, count) for run, total, count in expected.fetchall()}


def test_a_connect_server_on_the_cluster_gives_the_same(cluster: clusters.Cluster, lake: Path) -> None:
    """In a process of its own: a server, whose executors are the cluster's, and a client that knows its token."""
    settings = {name.replace("__", "."): value for name, value in clusters.DRIVER.items()}
    own = {
        "spark.master": cluster.master,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.authenticate": "true",
        "spark.authenticate.secret": SECRET,
        "spark.network.crypto.enabled": "true",
    }
    script = (
        "import sys, gpdata; from tests.sessions.test_standalone import answers, assert_same;"
        "session = gpdata.spark('connect'); assert 'connect' in type(session).__module__;"
        "assert_same(answers(gpdata.open(sys.argv[1], engine=session)), answers(gpdata.open(sys.argv[1])));"
        "print(gpdata.stop(), 'agreed')"
    )
    with clusters.connect_server({**settings, **own}) as server:
        variables = {"SPARK_REMOTE": server.address, "SPARK_CONNECT_AUTHENTICATE_TOKEN": server.token}
        environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", script, str(lake)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "True agreed" in done.stdout
        stranger = environment | {"SPARK_CONNECT_AUTHENTICATE_TOKEN": "guessed"}
        refused = subprocess.run(command, env=stranger, capture_output=True, text=True, check=False, timeout=240)
        assert refused.returncode != 0
        assert "agreed" not in refused.stdout


def test_a_wrong_secret_is_no_way_in(
    cluster: clusters.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong").write_text("guessed")
    monkeypatch.setenv("GPDATA_SPARK_SECRET_FILE", str(tmp_path / "wrong"))
    monkeypatch.setattr(checks_session, "START_SECONDS", 300.0)
    diagnosis = gpdata.doctor("standalone", start=True, spark__master=cluster.master, **clusters.DRIVER)
    (finding,) = [finding for finding in diagnosis if finding.check == "session"]
    assert finding.state == "failed", diagnosis


def test_the_doctor_finds_a_session_that_works_and_the_settings_are_shown(session: Any) -> None:
    diagnosis = gpdata.doctor()
    assert diagnosis.ok, diagnosis
    assert "an executor computed" in str(diagnosis)
    shown = gpdata.spark_settings()
    assert shown["spark.authenticate.secret"] == "(hidden)"
    assert SECRET not in str(shown)
    jvm = session.sparkContext._gateway.proc.pid
    assert SECRET.encode() not in Path(f"/proc/{jvm}/cmdline").read_bytes()
    with pytest.raises(InvalidInput, match=r"spark.executor.memory=2g \(it has 700m\)"):
        gpdata.spark("standalone", spark__master=shown["spark.master"])
    assert gpdata.stop()
    assert not Path(f"/proc/{jvm}").exists()


def test_a_cluster_without_capacity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_session, "START_SECONDS", 300.0)
    monkeypatch.setattr(checks_session, "JOB_SECONDS", 15.0)
    with clusters.standalone(tmp_path / "empty", workers=0) as empty:
        diagnosis = gpdata.doctor("standalone", start=True, spark__master=empty.master, **clusters.DRIVER)
    (finding,) = [finding for finding in diagnosis if finding.check == "session"]
    assert "no executor computed within 15 s" in finding.cause, diagnosis


def test_executors_with_another_python(
    cluster: clusters.Cluster, secret: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executors' Python says that it is 3.10; everything else of it is this one's."""
    monkeypatch.setattr(checks_session, "START_SECONDS", 300.0)
    monkeypatch.setattr(checks_session, "JOB_SECONDS", 300.0)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import collections, sys\n"
        "kind = collections.namedtuple('version_info', 'major minor micro releaselevel serial')\n"
        "sys.version_info = kind(3, 10, 0, 'final', 0)\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"}:$PYTHONPATH exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(python))
    diagnosis = gpdata.doctor(
        "standalone",
        start=True,
        spark__master=cluster.master,
        **clusters.DRIVER,
    )
    (finding,) = [finding for finding in diagnosis if finding.check == "session"]
    assert finding.state == "failed", diagnosis
    assert "Python is another than the driver's" in finding.cause, diagnosis


def test_the_suite_of_the_engines_passes_on_the_cluster(tmp_path: Path, captures: Path) -> None:
    """Classic and Connect, each with an executor of the cluster."""
    with clusters.standalone(tmp_path / "open") as started:
        environment = os.environ | {"GPDATA_TEST_MASTER": started.master, "GPDATA_CAPTURES": str(captures)}
        suite = Path(__file__).parents[1] / "engines" / "test_engines.py"
        options = ["-q", "-p", "no:cacheprovider", "-k", "spark or connect"]
        command = [sys.executable, "-m", "pytest", *options, str(suite)]
        done = subprocess.run(
            command, cwd=suite.parents[2], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:]
        assert started.executors() or "passed" in done.stdout
