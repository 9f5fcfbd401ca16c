"""The transform on Spark's executors: the release goes over to it and back, and every line is in the lake once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gpdata.errors import GpdataError
from gpdata.lab import open as open_lab
from gpdata.lake import Lake
from gpdata.lake.verify import verify
from tests.cluster.people import Hub
from tests.cluster.release import NAMESPACE, Release
from tests.cluster.tools import say
from tests.cluster.uploads import Uploader
from tests.support import run_lines, until

pytestmark = pytest.mark.faults
EXECUTORS = "gpdata-transform"
SMALL = {"requests": {"cpu": "20m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
COUNT, SIZE = 20, 30


def _generations(lake: Path, run: str) -> list[int]:
    """Return what this machine reads in the lake's folder of the node."""
    try:
        found = open_lab(lake, runs=[run]).generations.select("generation").to_arrow_table()
    except GpdataError:  # no such run yet
        return []
    return sorted(found["generation"].to_pylist())


def test_the_transform_on_spark_takes_every_line_once(release: Release, hub: Hub) -> None:
    lake = release.node.place.state / "lake" / "lab"
    person = hub.person("barbara")
    token = hub.token_of(person.name, "custom:gpdata:write")

    def send(number: int) -> str:
        run = f"00000000-0000-4000-8000-0000000001{number:02d}"
        lines = run_lines(run, COUNT, SIZE, seed=number)
        Uploader(hub.url.rstrip("/"), token, lines).start().wait(120)
        until(lambda: len(_generations(lake, run)) == COUNT, 300, f"{COUNT} generations of {run} in the lake")
        return run

    runs, old = [send(1)], release.revision()
    release.install({"transform": {"mode": "spark", "resources": SMALL, "spark": {"quota": {"memory": "12Gi"}}}})
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            seen.update(pod["metadata"]["name"] for pod in release.kube.every("pods", EXECUTORS))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        runs.append(send(2))
    except AssertionError:
        say(release.pods())
        say(release.kube.kubectl("logs", f"--namespace={NAMESPACE}", "deployment/gpdata-transform", "--tail=60"))
        raise
    finally:
        ended.set()
        watching.join()
    release.install()
    runs.append(send(3))
    counts = {run[-2:]: len(_generations(lake, run)) for run in runs}
    say(f"embedded, on Spark, embedded again (revisions {old} to {release.revision()}): generations {counts}")
    say(f"the executors that decoded, in a namespace of their own: {sorted(seen)}")
    assert seen
    assert [_generations(lake, run) for run in runs] == [list(range(COUNT))] * 3
    individuals = open_lab(lake, runs=runs).individuals.count("*").fetchall()[0][0]
    assert individuals == 3 * COUNT * SIZE
    assert [finding for finding in verify(Lake.open(lake)) if finding.kind == "error"] == []
