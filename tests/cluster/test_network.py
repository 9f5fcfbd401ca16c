"""NetworkPolicies of the chart, with a session of Spark at work: who reaches executors, driver and ingest."""

from __future__ import annotations

import pytest

from tests.cluster.people import Hub, told
from tests.cluster.probes import probe
from tests.cluster.release import EXECUTORS, NAMESPACE, Release
from tests.cluster.tools import say
from tests.cluster.work import SMALL
from tests.support import until

pytestmark = pytest.mark.faults


def _address(release: Release, namespace: str, name: str) -> str:
    pod = release.kube.get("pods", namespace, name)
    assert pod is not None
    return str(pod["status"]["podIP"])


def test_strangers_reach_neither_executors_nor_driver_nor_ingest(release: Release, hub: Hub) -> None:
    person = hub.person("barbara")
    hub.start(release, person)
    kernel = person.kernel()
    told(
        person,
        kernel,
        f'import gpdata as gp\nsession = gp.spark("k8s-small", {SMALL})\nprint("TOLD", session.range(9).count())',
    )
    executors = release.kube.until_ready(EXECUTORS, "spark-role=executor", 2)
    executor = f"{_address(release, EXECUTORS, executors[0])}:7080"
    driver = _address(release, NAMESPACE, f"jupyter-{person.name}")
    ingest = f"{_address(release, NAMESPACE, 'gpdata-ingest-0')}:8470"
    closed = [executor, f"{driver}:7078", f"{driver}:7079", f"{driver}:8888", ingest]
    public = release.address("proxy-public").removeprefix("http://")
    with probe(release.kube, "strangers") as stranger:
        from_elsewhere = stranger.tries(*closed, public)
    with probe(release.kube, EXECUTORS) as neighbour:
        # Rules for a new pod are there a moment after it, as on any network of Kubernetes.
        new = _address(release, EXECUTORS, "probe")
        until(lambda: new in release.node.rules(), 20, f"rules for {new}")
        from_executors = neighbour.tries(f"{driver}:7078", f"{driver}:8888", ingest, f"{release.node.place.node}:6443")
    code = (
        "import json, socket\ndef tries(place):\n    host, port = place.rsplit(':', 1)\n    try:\n"
        "        socket.create_connection((host, int(port)), timeout=3).close()\n        return 'open'\n"
        "    except TimeoutError:\n        return 'silent'\n"
        f"print('TOLD', json.dumps({{place: tries(place) for place in {[executor, ingest]!r}}}))"
    )
    from_driver = told(person, kernel, code)
    person.run(kernel, "gp.stop()")
    hub.stop(person)
    say(f"from another namespace: {from_elsewhere}")
    say(f"from the executors' namespace: {from_executors}")
    say(f"from the driver's own pod: {from_driver}")
    assert {place: from_elsewhere[place] for place in closed} == dict.fromkeys(closed, "silent")
    assert from_elsewhere[public] == "open"
    assert from_executors == {
        f"{driver}:7078": "open",
        f"{driver}:8888": "silent",
        ingest: "silent",
        f"{release.node.place.node}:6443": "silent",
    }
    assert from_driver == {executor: "open", ingest: "open"}
