"""Checks of a Kubernetes cluster: whether this process may start executors, and the cluster would take them.

One is offered to the cluster without being made (a dry run): it passes the same quota, limits and policies.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpdata.sessions.checks import Finding, Situation, in_bytes

if TYPE_CHECKING:
    import httpx

ACCOUNT = Path("var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has what it shows to the cluster's API."""
_ANSWER_SECONDS = 10.0
_CHECK = "cluster permissions"
_NEEDED = {"pods": ("create", "get", "list", "watch", "delete"), "configmaps": ("create", "delete")}
_TIDY = {"pods": ("deletecollection",), "configmaps": ("deletecollection",)}
_LEAST_OVERHEAD = 384 << 20
_ROLE = (
    "have a role with the verbs get, list, watch, create, delete and deletecollection on pods and configmaps bound to "
    "the service account of this pod, in that namespace: the chart does that"
)


@dataclass(frozen=True)
class Refused(Exception):
    """The API did not do what it was asked."""

    status: int
    said: str


def kubernetes(situation: Situation) -> Iterator[Finding]:
    """Whether the cluster's API lets this process start executors."""
    master = situation.plan.master
    if not master.startswith("k8s://"):
        return
    import httpx

    address = master.removeprefix("k8s://")
    address = address if "://" in address else f"https://{address}"
    account = situation.root / ACCOUNT
    try:
        token = (account / "token").read_text().strip()
    except OSError as error:
        yield Finding(
            _CHECK,
            "warning",
            f"this process has no service account to ask {address} with ({error.strerror}: {error.filename})",
            "run this in a pod with automountServiceAccountToken; elsewhere Spark asks with your ~/.kube/config",
        )
        return
    authority = account / "ca.crt"
    verify: Any = ssl.create_default_context(cafile=str(authority)) if authority.is_file() else True
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=address, headers=headers, verify=verify, timeout=_ANSWER_SECONDS) as client:
            yield from _asked(client, situation)
    except Refused as error:
        yield _refused(error, situation, address)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = "its certificate is not the cluster's" if "CERTIFICATE" in str(error) else str(error)
        yield Finding(
            _CHECK,
            "failed",
            f"the cluster's API at {address} does not answer: {what or type(error).__name__}",
            "correct the address (GPDATA_SPARK_MASTER), and see that the network policy of this pod lets it through",
        )


def _asked(client: httpx.Client, situation: Situation) -> Iterator[Finding]:
    namespace = situation.effective["spark.kubernetes.namespace"]
    lacks = _lacking(client, namespace, _NEEDED)
    if lacks:
        yield Finding(
            _CHECK,
            "failed",
            f"this pod's service account may not {', '.join(lacks)} in the namespace {namespace!r}, "
            "or there is no such namespace (RBAC)",
            f"correct GPDATA_SPARK_NAMESPACE, or {_ROLE}",
        )
        return
    _ask(client, f"/api/v1/namespaces/{namespace}/pods?dryRun=All", _executor(situation, namespace))
    if lacks := _lacking(client, namespace, _TIDY):
        cause = f"this pod's service account may not {', '.join(lacks)}: executors of a session that ends stay a while"
        yield Finding(_CHECK, "warning", cause, _ROLE)
        return
    size = f"{situation.effective.get('spark.executor.cores', '1')} cores and {_memory(situation) >> 20} MiB"
    yield Finding(_CHECK, "ok", f"executors of {size} may start in the namespace {namespace!r}")


def _lacking(client: httpx.Client, namespace: str, needed: Mapping[str, tuple[str, ...]]) -> list[str]:
    lacks = []
    for resource, verbs in needed.items():
        for verb in verbs:
            attributes = {"namespace": namespace, "verb": verb, "resource": resource}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            answer = _ask(client, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            if not answer.get("status", {}).get("allowed", False):
                lacks.append(f"{verb} {resource}")
    return lacks


def _ask(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(path, json=body)
    try:
        answer = response.json()
    except ValueError:
        answer = {"message": response.text[:200]}
    if response.is_error or not isinstance(answer, dict):
        said = answer.get("message", "") if isinstance(answer, dict) else str(answer)[:200]
        raise Refused(response.status_code, said)
    return answer


def _executor(situation: Situation, namespace: str) -> dict[str, Any]:
    """A pod like those that Spark makes, as restricted as spark-conf/executor-pod.yaml."""
    settings = situation.effective
    memory = f"{_memory(situation) >> 20}Mi"
    container = {
        "name": "spark-executor",
        "image": settings["spark.kubernetes.container.image"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {
            "requests": {
                "cpu": settings.get("spark.kubernetes.executor.request.cores")
                or settings.get("spark.executor.cores", "1"),
                "memory": memory,
            },
            "limits": {"memory": memory},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "gpdata-doctor-", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 185,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


def _memory(situation: Situation) -> int:
    """The bytes of an executor's pod: the JVM's and what is beside it."""
    settings = situation.effective
    heap = in_bytes(settings.get("spark.executor.memory", "1g")) or 1 << 30
    fixed = in_bytes(settings.get("spark.executor.memoryOverhead", ""))
    factor = float(settings.get("spark.executor.memoryOverheadFactor", "0.1"))
    return heap + (fixed if fixed is not None else max(int(heap * factor), _LEAST_OVERHEAD))


def _refused(error: Refused, situation: Situation, address: str) -> Finding:
    namespace = situation.effective["spark.kubernetes.namespace"]
    said = error.said
    match error.status:
        case 401:
            cause = f"the cluster's API at {address} does not know this pod's service account (401)"
            mend = "its token expired, or is another cluster's: restart your server"
        case 404 if "namespaces" in said:
            cause = f"there is no namespace {namespace!r} (404: {said})"
            mend = "correct GPDATA_SPARK_NAMESPACE, or have it made: the chart does that"
        case 403 if "exceeded quota" in said:
            cause = f"the quota of the namespace {namespace!r} has no room for an executor: {_quota(said)}"
            mend = (
                "stop Spark sessions that nobody needs, ask for smaller or fewer executors (the preset 'k8s-small', "
                "spark__executor__memory, spark__dynamicAllocation__maxExecutors), or have the quota raised"
            )
        case 403 if "violates PodSecurity" in said:
            cause = f"the security policy of the namespace {namespace!r} refuses executors: {said}"
            mend = "use the pod template of spark-conf/executor-pod.yaml, which is as restricted as can be"
        case 403 if re.search(r"(maximum|minimum) .* usage per", said):
            cause = f"an executor is not of a size that the namespace {namespace!r} takes: {said}"
            mend = "ask for another: spark__executor__memory, spark__executor__cores"
        case 403:
            cause = f"this pod's service account may not start executors in the namespace {namespace!r} (403: {said})"
            mend = _ROLE
        case _:
            cause = f"the cluster's API at {address} answered {error.status}: {said or 'nothing more'}"
            mend = "whoever runs the cluster can say more; is the address its API's?"
    return Finding(_CHECK, "failed", cause, mend)


def _quota(said: str) -> str:
    return said.partition("exceeded quota: ")[2] or said
