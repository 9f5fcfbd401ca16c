"""A pod that only tries to connect, to learn what the network lets through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.cluster.images import name_of
from tests.cluster.kube import Kube

_TRY = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def tried(place):
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        return "open"
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "refused" if "refused" in str(error) else str(error)
with ThreadPoolExecutor(8) as threads:  # each that is silent is waited for
    for place, found in zip(sys.argv[1:], threads.map(tried, sys.argv[1:])):
        print(place, found)
"""
PYTHON = "/opt/gpdata/bin/python"


class Probe:
    """A pod that waits to be told where to connect."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube, self._namespace, self._name = kube, namespace, name

    def tries(self, *places: str) -> dict[str, str]:
        """Connect to each host:port; "open", "refused" (nobody listens, the network lets through), or "silent"."""
        done = self._kube.execute(self._namespace, self._name, PYTHON, "-c", _TRY, *places)
        assert done.returncode == 0, done.stderr
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@contextmanager
def probe(kube: Kube, namespace: str, name: str = "probe", labels: Mapping[str, str] | None = None) -> Iterator[Probe]:
    """Start a probe in a namespace, made where it is not there; remove both at the end."""
    made = kube.get("namespaces", None, namespace) is None
    if made:
        kube.create("namespaces", None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "probe",
                    "image": name_of("ingest"),
                    "command": [PYTHON, "-c", "import time; time.sleep(3600)"],
                    "securityContext": security,
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "64Mi"},
                        "limits": {"cpu": "1", "memory": "128Mi"},
                    },
                }
            ],
        },
    }
    kube.create("pods", namespace, pod)
    try:
        kube.kubectl("wait", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=120s", f"pod/{name}")
        yield Probe(kube, namespace, name)
    finally:
        kube.delete("pods", namespace, name, grace=0)
        if made:
            kube.delete("namespaces", None, namespace)
