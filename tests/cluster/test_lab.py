"""A lab on the cluster: its people, their uploads, Spark in pods, and what is taken away meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.people import Hub, told
from tests.cluster.release import EXECUTORS, NAMESPACE, Release
from tests.cluster.tools import say
from tests.cluster.uploads import Uploader
from tests.cluster.work import ANALYSIS, GENERATIONS, RUNS, SIZE, SMALL, differences, expected, lines
from tests.hub.live import Person
from tests.support import run_lines, until

pytestmark = pytest.mark.faults
WRITE = "custom:gpdata:write"
EXECUTOR = "spark-role=executor"
ROWS = 'print("TOLD", lab.sql("SELECT count(*) AS n FROM individuals").fetchone()[0])'


@pytest.fixture(scope="module")
def ada(hub: Hub, release: Release) -> Person:
    """Somebody who uploads."""
    person = hub.person("ada")
    hub.start(release, person)
    return person


@pytest.fixture(scope="module")
def grace(hub: Hub, release: Release) -> Person:
    """Somebody else, who reads."""
    person = hub.person("grace")
    hub.start(release, person)
    return person


@pytest.fixture(scope="module")
def streams() -> dict[str, list[bytes]]:
    """The runs that ada uploads."""
    return lines()


@pytest.fixture(scope="module")
def answers(streams: dict[str, list[bytes]], scratch: Path) -> Any:
    """What DuckDB answers about these runs on this machine."""
    return expected(scratch, streams)


@pytest.fixture(scope="module")
def uploaded(hub: Hub, ada: Person, grace: Person, streams: dict[str, list[bytes]]) -> int:
    """Every line, acknowledged and readable in grace's notebook; the number of its individuals."""
    token = hub.token_of(ada.name, WRITE)
    Uploader(hub.url.rstrip("/"), token, [line for run in streams.values() for line in run]).start().wait(120)
    wanted = len(RUNS) * GENERATIONS * SIZE
    kernel = grace.kernel()
    until(lambda: _individuals(grace, kernel) >= wanted, 120, f"{wanted} individuals in grace's notebook")
    return wanted


def _individuals(person: Person, kernel: str) -> int:
    code = (
        "import gpdata as gp\ntry:\n    n = len(gp.to_arrow(gp.open().individuals))\n"
        'except gp.errors.GpdataError:\n    n = 0\nprint("TOLD", n)'
    )
    return int(told(person, kernel, code))


def test_two_users_have_a_server_and_a_volume_each(hub: Hub, release: Release, ada: Person, grace: Person) -> None:
    said = {}
    for person in (ada, grace):
        kernel = person.kernel()
        write = f'from pathlib import Path\nhome = Path.home() / "mine.txt"\nhome.write_text("{person.name}")\n'
        said[person.name] = told(person, kernel, f'{write}import json; print("TOLD", json.dumps(home.read_text()))')
    claims = {}
    for person in (ada, grace):
        pod = release.kube.get("pods", NAMESPACE, f"jupyter-{person.name}")
        assert pod is not None
        claims[person.name] = next(
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"]["volumes"]
            if volume["name"].startswith("volume-")
        )
    say(f"two users by the hub's API, volumes {claims}, each with the own file: {said}")
    assert said == {"ada": "ada", "grace": "grace"}
    assert len(set(claims.values())) == 2


def test_an_upload_with_a_token_is_readable_in_the_others_notebook(uploaded: int, grace: Person) -> None:
    code = (
        "import gpdata as gp, json\nruns = gp.to_arrow(gp.open().runs).to_pylist()\n"
        'print("TOLD", json.dumps([[r["run_uuid"], r["owner"]] for r in runs]))'
    )
    found = told(grace, grace.kernel(), code)
    say(f"{uploaded} individuals of {len(found)} runs uploaded by ada are read by grace")
    assert sorted(found) == [[run, "ada"] for run in RUNS]


def test_an_upload_without_the_scope_is_refused(hub: Hub, ada: Person, streams: dict[str, list[bytes]]) -> None:
    answers = {}
    for name, token in {
        "no token of the hub": "nobody",
        "of another scope": hub.token_of(ada.name, "custom:gpdata:read"),
    }.items():
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{hub.url}services/gpdata/v1/generations", headers=headers, content=streams[RUNS[0]][0])
        answers[name] = answer.status_code
    say(f"uploads refused: {answers}")
    assert answers == {"no token of the hub": 401, "of another scope": 403}


def test_a_session_over_the_quota_is_refused_and_doctor_says_why(
    release: Release, grace: Person, uploaded: int
) -> None:
    kernel = grace.kernel()
    greedy = (
        'spark__executor__memory="3g", spark__executor__cores="1", spark__driver__memory="1g", '
        'spark__dynamicAllocation__minExecutors="1"'
    )
    started = grace.run(kernel, f'import gpdata as gp\nsession = gp.spark("k8s-small", {greedy})')
    # The namespace is not told apart by time: while the session lives, the cluster refuses each of its executors.
    found = told(
        grace,
        kernel,
        f"""
import json
report = gp.doctor("k8s-small", {greedy})
print("TOLD", json.dumps([[finding.cause, finding.mend] for finding in report.failed]))
""",
    )
    pods = release.kube.every("pods", EXECUTORS)
    quota = release.kube.every("resourcequotas", EXECUTORS)[0]["status"]
    grace.run(kernel, "gp.stop()")
    httpx.delete(f"{grace.server}api/kernels/{kernel}", headers=grace.headers(), timeout=60)
    say(f"a session of executors of 3g says {started!r}; the quota holds {quota}; executors: {len(pods)}")
    say(f"gp.doctor: {found}")
    assert any("the quota of the namespace" in cause and "spark__executor__memory" in mend for cause, mend in found)
    assert pods == []


@pytest.fixture(scope="module")
def session(grace: Person, uploaded: int) -> Iterator[str]:
    """A kernel of grace's with Spark on two executor pods; ended after the tests."""
    kernel = grace.kernel()
    code = f'{ANALYSIS}\nsession = gp.spark("k8s-small", {SMALL})\nprint("TOLD", json.dumps(session.version))'
    version = told(grace, kernel, code)
    say(f"gp.spark('k8s-small'): Spark {version}")
    try:
        yield kernel
    finally:
        grace.run(kernel, "gp.stop()")
        httpx.delete(f"{grace.server}api/kernels/{kernel}", headers=grace.headers(), timeout=60)


def test_spark_on_two_executor_pods_gives_duckdbs_answer(
    release: Release, grace: Person, session: str, answers: Any
) -> None:
    pods = release.kube.until_ready(EXECUTORS, EXECUTOR, 2)
    on_spark = told(grace, session, 'print("TOLD", json.dumps(answer(gp.open(engine=session))))')
    on_duckdb = told(grace, session, 'print("TOLD", json.dumps(answer(gp.open())))')
    say(f"on the executors {pods}: {json.dumps(on_spark['success_table'])}")
    say(f"by DuckDB in the notebook: {json.dumps(on_duckdb['success_table'])}")
    say(f"rows compared: { {name: len(rows) for name, rows in on_spark.items()} }")
    assert differences(on_duckdb, answers) == []
    assert differences(on_spark, answers) == []
    assert len(pods) == 2


def test_an_executor_deleted_in_the_middle_changes_no_answer(
    release: Release, grace: Person, session: str, answers: Any
) -> None:
    before = release.kube.until_ready(EXECUTORS, EXECUTOR, 2)
    grace.begin(session, "\n".join([
        "lab, found = gp.open(engine=session).persist(), []",
        "for number in range(6):",
        "    found.append(answer(lab))",
        "    open('progress.txt', 'w').write(str(len(found)))",
    ]))  # fmt: skip
    until(lambda: _file(grace, "progress.txt") >= 1, 300, "the first answer")
    at = _file(grace, "progress.txt")
    release.kube.delete("pods", EXECUTORS, before[0], grace=0)
    found = told(grace, session, 'print("TOLD", json.dumps(found))')
    after = {pod["metadata"]["name"] for pod in release.kube.every("pods", EXECUTORS, EXECUTOR)}
    say(f"{before[0]} deleted after answer {at} of 6; executors then: {sorted(after)}")
    assert at < 6
    assert before[0] not in after
    assert [differences(one, answers) for one in found] == [[]] * 6


def _file(person: Person, name: str) -> int:
    answer = person.get(f"api/contents/{name}", params={"content": "1"})
    return int(answer.json()["content"] or 0) if answer.status_code == 200 else 0


def _has_sent(work: Uploader, part: int) -> bool:
    return work.acknowledged >= part or bool(work.refused)


def test_a_killed_ingest_loses_nothing(release: Release, hub: Hub, ada: Person, grace: Person, uploaded: int) -> None:
    run = "00000000-0000-4000-8000-0000000000aa"
    sent = run_lines(run, 150, SIZE, seed=99)
    work = Uploader(hub.url.rstrip("/"), hub.token_of(ada.name, WRITE), sent).start()
    killed_at = []
    for part in (20, 70):
        until(partial(_has_sent, work, part), 120, f"{part} uploads")
        killed_at.append(work.acknowledged)
        release.kube.delete("pods", NAMESPACE, "gpdata-ingest-0", grace=0)
        until(lambda: "gpdata-ingest-0" in release.kube.ready(NAMESPACE), 180, "ingest's new pod")
    work.wait(180)
    kernel = grace.kernel()
    code = (
        "import gpdata as gp, json\n"
        f'found = gp.to_arrow(gp.open(runs=["{run}"]).generations)["generation"].to_pylist()\n'
        'print("TOLD", json.dumps(sorted(found)))'
    )
    until(lambda: len(told(grace, kernel, code)) >= 150, 120, "150 generations in the lake")
    found = told(grace, kernel, code)
    say(
        f"ingest's pod killed after {killed_at} of 150 acknowledgements, {work.failures} sent again: "
        f"{len(found)} in the lake, each once"
    )
    assert found == list(range(150))
    assert killed_at[-1] < 150
