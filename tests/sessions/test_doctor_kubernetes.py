"""What gpdata.doctor tells of a Kubernetes cluster, asked of a small server that answers as the API does.

The answers are those of a real one: their statuses, reasons and messages. A real cluster is tried by the chart's tests.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gpdata.sessions.checks import Finding
from gpdata.sessions.checks_kubernetes import ACCOUNT
from gpdata.sessions.doctor import examine
from tests.support import free_port

POD = {
    "spark__kubernetes__namespace": "spark",
    "spark__kubernetes__container__image": "x",
    "spark__driver__host": "127.0.0.1",
}


@dataclass
class Api:
    """What the API says: which verbs are allowed, and how it takes a pod."""

    address: str = ""
    denied: set[str] = field(default_factory=set)
    status: int = 201
    message: str = ""
    token: str = "right"
    offered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers["Authorization"] != f"Bearer {state.token}":
                self.answer(401, {"kind": "Status", "message": "Unauthorized", "code": 401})
            elif self.path.endswith("/selfsubjectaccessreviews"):
                asked = body["spec"]["resourceAttributes"]
                allowed = f"{asked['verb']} {asked['resource']}" not in state.denied
                self.answer(201, {**body, "status": {"allowed": allowed}})
            else:
                state.offered.append((self.path, body))
                self.answer(state.status, body if state.status < 400 else {"message": state.message})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a pod, with the token of its service account."""
    for name in list(os.environ):
        if name.startswith(("SPARK_", "GPDATA_SPARK", "KUBERNETES_", "GPDATA_POD")):
            monkeypatch.delenv(name)
    monkeypatch.setattr("gpdata.sessions.session.live", lambda: None)
    monkeypatch.setattr("gpdata.sessions.session._made", [])  # or it would end that of other tests
    (tmp_path / ACCOUNT).mkdir(parents=True)
    (tmp_path / ACCOUNT / "token").write_text("right\n")
    return tmp_path


def permissions(root: Path, address: str, preset: str = "k8s-small", **overrides: str) -> Finding:
    asked = {**POD, "spark__master": f"k8s://{address}", **overrides}
    diagnosis = examine(preset, root=root, overrides=asked)
    (finding,) = [finding for finding in diagnosis if finding.check == "cluster permissions"]
    assert "right" not in str(diagnosis), "the token is never shown"
    return finding


def failed(root: Path, api: Api, status: int, message: str) -> Finding:
    api.status, api.message = status, message
    finding = permissions(root, api.address)
    assert finding.state == "failed"
    assert finding.mend
    return finding


def test_a_cluster_that_takes_executors(api: Api, root: Path) -> None:
    finding = permissions(root, api.address)
    assert finding.state == "ok", finding
    assert "2 cores and 5734 MiB may start in the namespace 'spark'" in finding.cause
    ((path, pod),) = api.offered
    assert path == "/api/v1/namespaces/spark/pods?dryRun=All", "nothing is made"
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "1800m", "memory": "5734Mi"}, "4 GiB, and 40 % beside the JVM"
    permissions(root, api.address, "k8s-large")
    assert api.offered[1][1]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "4"


def test_a_service_account_without_the_role(api: Api, root: Path) -> None:
    api.denied = {"create pods", "watch pods"}
    finding = permissions(root, api.address)
    assert finding.state == "failed"
    assert "may not create pods, watch pods in the namespace 'spark'" in finding.cause
    assert not api.offered
    api.denied = {"deletecollection pods"}
    assert permissions(root, api.address).state == "warning"


def test_rbac_that_forbids_it_all_the_same(api: Api, root: Path) -> None:
    said = 'pods is forbidden: User "system:serviceaccount:hub:ada" cannot create resource "pods" in API group ""'
    assert "may not start executors in the namespace 'spark' (403" in failed(root, api, 403, said).cause


def test_no_quota_is_left(api: Api, root: Path) -> None:
    said = (
        'pods "gpdata-doctor-x" is forbidden: exceeded quota: spark, requested: requests.memory=5734Mi, '
        "used: requests.memory=30Gi, limited: requests.memory=32Gi"
    )
    finding = failed(root, api, 403, said)
    assert "has no room for an executor: spark, requested: requests.memory=5734Mi" in finding.cause
    assert "k8s-small" in finding.mend


def test_an_executor_is_too_large_for_the_namespace(api: Api, root: Path) -> None:
    said = 'pods "x" is forbidden: maximum memory usage per Container is 2Gi, but limit is 5734Mi'
    assert "not of a size that the namespace 'spark' takes" in failed(root, api, 403, said).cause


def test_a_security_policy_that_refuses(api: Api, root: Path) -> None:
    said = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile'
    assert "security policy of the namespace 'spark'" in failed(root, api, 403, said).cause


def test_an_unknown_namespace(api: Api, root: Path) -> None:
    assert "no namespace 'spark'" in failed(root, api, 404, 'namespaces "spark" not found').cause


def test_a_token_that_the_cluster_does_not_know(api: Api, root: Path) -> None:
    api.token = "another"
    finding = permissions(root, api.address)
    assert finding.state == "failed"
    assert "does not know this pod's service account (401)" in finding.cause


def test_an_answer_that_nobody_foresaw(api: Api, root: Path) -> None:
    assert "answered 503: etcd is away" in failed(root, api, 503, "etcd is away").cause


def test_an_api_that_does_not_answer(root: Path) -> None:
    finding = permissions(root, f"http://127.0.0.1:{free_port()}")
    assert finding.state == "failed"
    assert "does not answer" in finding.cause


def test_a_process_outside_of_the_cluster(tmp_path: Path, root: Path, api: Api) -> None:
    (root / ACCOUNT / "token").unlink()
    finding = permissions(root, api.address)
    assert finding.state == "warning"
    assert "no service account" in finding.cause
