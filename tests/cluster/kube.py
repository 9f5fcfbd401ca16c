"""Asking the API of the cluster, and kubectl where that is the shorter way."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.tools import BIN, run
from tests.support import until

Object = dict[str, Any]
KINDS = {
    "pods": "api/v1", "services": "api/v1", "secrets": "api/v1", "namespaces": "api/v1", "events": "api/v1",
    "nodes": "api/v1", "persistentvolumes": "api/v1", "persistentvolumeclaims": "api/v1", "configmaps": "api/v1",
    "resourcequotas": "api/v1", "statefulsets": "apis/apps/v1", "deployments": "apis/apps/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
}  # fmt: skip


class Kube:
    """A client of the API with the rights of an administrator."""

    def __init__(self, server: str, folder: Path, config: Path) -> None:
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(str(folder / "admin.crt"), str(folder / "admin.key"))
        self.config = config
        self._client = httpx.Client(base_url=server, verify=context, timeout=30, trust_env=False)

    def request(self, method: str, path: str, body: Object | None = None, **options: Any) -> httpx.Response:
        """Ask the API for something."""
        return self._client.request(method, path, json=body, **options)

    def every(self, kind: str, namespace: str | None = None, labels: str = "") -> list[Object]:
        """Return the objects of a kind, of one namespace or of all."""
        return [dict(item) for item in self._get(kind, namespace, labels=labels)["items"]]

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return an object, None where it is not there."""
        answer = self.request("GET", _path(kind, namespace, name))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    def _get(self, kind: str, namespace: str | None, labels: str) -> Object:
        answer = self.request("GET", _path(kind, namespace), params={"labelSelector": labels} if labels else None)
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    def create(self, kind: str, namespace: str | None, body: Object) -> Object:
        """Make an object."""
        answer = self.request("POST", _path(kind, namespace), body)
        assert answer.status_code == 201, answer.text
        made: Object = answer.json()
        return made

    def delete(self, kind: str, namespace: str | None, name: str, *, grace: int | None = None) -> None:
        """Delete an object; one that is not there is no failure."""
        options = {} if grace is None else {"gracePeriodSeconds": grace}
        answer = self.request("DELETE", _path(kind, namespace, name), options)
        assert answer.status_code in (200, 202, 404), answer.text

    def log(self, namespace: str, pod: str, **options: Any) -> str:
        """Return what a pod printed."""
        return self.request("GET", f"{_path('pods', namespace, pod)}/log", params=options).text

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl, which has to succeed."""
        return run(BIN / "kubectl", f"--kubeconfig={self.config}", *arguments, input=stdin)

    def execute(self, namespace: str, pod: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a pod."""
        call = [str(BIN / "kubectl"), f"--kubeconfig={self.config}", "exec", f"--namespace={namespace}", pod, "--"]
        return subprocess.run([*call, *command], capture_output=True, text=True, check=False)

    def apply(self, *objects: Object) -> None:
        """Make these objects, or make them so."""
        self.kubectl("apply", "--filename=-", stdin="\n---\n".join(json.dumps(one) for one in objects))

    def ready_node(self) -> bool:
        """Say whether a node is ready."""
        return any(is_ready(node) for node in self.every("nodes"))

    def version(self) -> str:
        """Return the version of the API."""
        return str(self.request("GET", "/version").json()["gitVersion"])

    def ready(self, namespace: str, labels: str = "") -> list[str]:
        """Return the names of the pods that run and are ready."""
        return [one["metadata"]["name"] for one in self.every("pods", namespace, labels) if is_ready(one)]

    def until_ready(self, namespace: str, labels: str, count: int = 1, seconds: float = 300) -> list[str]:
        """Wait until so many pods are ready; return their names."""
        until(
            lambda: len(self.ready(namespace, labels)) >= count, seconds, f"{count} ready pods {labels} in {namespace}"
        )
        return self.ready(namespace, labels)


def is_ready(pod: Object) -> bool:
    """Say whether a pod runs, is ready, and is not on its way out."""
    conditions = pod["status"].get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    parts = [KINDS[kind], *(["namespaces", namespace] if namespace else []), kind, *([name] if name else [])]
    return "/" + "/".join(parts)
