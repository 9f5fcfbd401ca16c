"""An upgrade of the release and the way back, with everybody's data kept."""

from __future__ import annotations

import pytest

from tests.cluster.people import Hub, told
from tests.cluster.release import NAMESPACE, Release
from tests.cluster.tools import say

pytestmark = pytest.mark.faults

KEPT = """
import gpdata as gp, json
from pathlib import Path
mine = Path.home() / "kept.txt"
first = not mine.exists()
if first:
    mine.write_text("mine")
print("TOLD", json.dumps({"first": first, "rows": len(gp.to_arrow(gp.open().generations))}))
"""


def test_upgrade_and_rollback_keep_data(release: Release, hub: Hub) -> None:
    person = hub.person("edsger")
    hub.start(release, person)
    before = told(person, person.kernel(), KEPT)
    old = release.revision()
    grace_seconds = {"ingest": {"graceSeconds": 1800}, "jupyterhub": {"cull": {"timeout": 1800}}}
    release.install(grace_seconds)
    args = _ingest_arguments(release)
    assert "--grace=1800" in args
    after = told(person, person.kernel(), KEPT)
    say(f"upgrade {old} -> {release.revision()}: before {before}, after {after}; ingest runs with --grace=1800")
    release.rollback(old)
    assert "--grace=3600" in _ingest_arguments(release)
    hub.stop(person)
    hub.start(release, person)
    back = told(person, person.kernel(), KEPT)
    say(f"rollback to {old} (now {release.revision()}): {back}, with a new server on the old volume")
    say(release.helm("history", "lab", f"--namespace={NAMESPACE}"))
    assert before["first"]
    assert not after["first"]
    assert not back["first"]
    assert before["rows"] == after["rows"] == back["rows"]


def _ingest_arguments(release: Release) -> list[str]:
    found = release.kube.get("pods", NAMESPACE, "gpdata-ingest-0")
    assert found is not None
    return list(found["spec"]["containers"][0]["args"])
