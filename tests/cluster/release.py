"""The chart on the cluster: its values for one small node, helm, and what a fresh cluster lacks (names, a way in)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gpdata.errors import InvalidInput
from tests.cluster.images import COREDNS, PROXY, TAG
from tests.cluster.kube import Object
from tests.cluster.node import Node
from tests.cluster.settings import NAME
from tests.cluster.tools import BIN, CACHE, run, say
from tests.conftest import ROOT
from tests.support import until

CHART = ROOT / "helm" / "gpdata"
GIVEN = "GPDATA_JUPYTERHUB_CHART"
NAMESPACE, RELEASE, EXECUTORS = "lab", "lab", "gpdata-spark"
SERVICE = "tests"
"""The hub's service whose token makes users, as an administrator's would."""


def names_service(node: Node) -> None:
    """Run CoreDNS, as every cluster does."""
    labels = {"k8s-app": "kube-dns"}
    corefile = ".:53 {\n errors\n health :8081\n ready :8181\n kubernetes cluster.local\n cache 5\n}\n"
    metadata = {"name": "coredns", "namespace": "kube-system"}
    ports = [{"name": f"dns-{kind.lower()}", "port": 53, "targetPort": 53, "protocol": kind} for kind in ("UDP", "TCP")]
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    subject = {"kind": "ServiceAccount", **metadata}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"}
    container = {
        "name": "coredns",
        "image": COREDNS,
        "args": ["-conf=/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "volumeMounts": [{"name": "conf", "mountPath": "/etc/coredns"}],
    }
    volumes = [{"name": "conf", "configMap": {"name": "coredns"}}]
    pod: Object = {
        "serviceAccountName": "coredns",
        "containers": [container],
        "volumes": volumes,
        "dnsPolicy": "Default",
    }
    # Policies name the port of the pod, which is 53 everywhere.
    pod["securityContext"] = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    node.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "coredns"},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "coredns"},
            "roleRef": role,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": corefile}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1, **spec}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"selector": labels, "clusterIP": node.place.dns, "ports": ports},
        },
    )
    node.kube.until_ready("kube-system", "k8s-app=kube-dns")


def values(node: Node, *, hub: bool) -> dict[str, Any]:
    """Return the values of a release on a node of two cores."""
    lake = node.place.state / "lake"
    lake.mkdir(exist_ok=True)
    os.chown(lake, 10001, 10001)
    small = {"requests": {"cpu": "20m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
    found: dict[str, Any] = {
        "access": "loopback",
        "images": {one: {"name": f"localhost/gpdata-{one}", "tag": TAG} for one in ("ingest", "spark")},
        "lake": {
            "accessMode": "ReadWriteOnce",
            "size": "2Gi",
            "volume": {"hostPath": {"path": str(lake), "type": "Directory"}},
        },
        "shared": {"accessMode": "ReadWriteOnce", "size": "1Gi"},
        "ingest": {
            "accounts": "hub" if hub else "tokens",
            "spool": {"size": "1Gi"},
            "keepFree": "64MiB",
            "resources": small,
            # Without a hub there is no proxy of its that passes uploads on: this machine sends them itself.
            "alsoFrom": [] if hub else [{"ipBlock": {"cidr": f"{node.place.outside}/32"}}],
        },
        "transform": {"memory": "1GiB"},
        "compaction": {"resources": small},
        "spark": {
            "enabled": True,
            "executors": {"nodeSelector": {"gpdata/spot": "true"}},
            "quota": {"cpu": "2", "memory": "4Gi", "pods": "4", "configmaps": "20"},
            "apiServer": {"cidrs": [f"{node.place.node}/32"], "ports": [6443]},
        },
        "jupyterhub": {"enabled": hub},
    }
    if hub:
        found["jupyterhub"] |= {
            "hub": {
                "image": {"name": "localhost/gpdata-hub", "tag": TAG},
                "services": {SERVICE: {}},
                "loadRoles": {
                    SERVICE: {
                        "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"],
                        "services": [SERVICE],
                    }
                },
                "resources": {"requests": {"cpu": "10m", "memory": "128Mi"}},
            },
            "proxy": {
                "chp": {
                    "image": {"name": PROXY.partition(":")[0], "tag": PROXY.partition(":")[2]},
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                }
            },
            "singleuser": {
                "image": {"name": "localhost/gpdata-singleuser", "tag": TAG},
                "cpu": {"guarantee": 0.01},
                "memory": {"guarantee": "256M", "limit": "4G"},
                "storage": {"capacity": "1Gi"},
            },
            "scheduling": {"userScheduler": {"enabled": False}},
            "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
        }
    return found


def jupyterhub_chart() -> Path | None:
    """Return zero-to-jupyterhub's folder or archive, None where it cannot be had.

    Raises
    ------
    InvalidInput
        What GPDATA_JUPYTERHUB_CHART names is none.
    """
    if named := os.environ.get(GIVEN):
        path = Path(named).expanduser().resolve()
        if not (path / "Chart.yaml").is_file() and not (path.is_file() and tarfile.is_tarfile(path)):
            raise InvalidInput(f"{GIVEN} is {named}, which is neither a chart's folder nor its .tgz archive")
        return path
    declared = yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"][0]
    kept = CACHE / f"jupyterhub-{declared['version']}.tgz"
    if not kept.exists():
        call = [
            helm_program(),
            "pull",
            declared["name"],
            "--repo",
            declared["repository"],
            "--version",
            declared["version"],
        ]
        done = subprocess.run(
            [*call, "--destination", str(CACHE)], capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            say(f"zero-to-jupyterhub {declared['version']} cannot be fetched: {done.stderr.strip()[-300:]}")
            return None
    return kept


def chart(folder: Path, jupyterhub: Path | None) -> Path:
    """Copy the chart with its dependency, or declaring none."""
    copy = folder / "gpdata"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    declared = yaml.safe_load((copy / "Chart.yaml").read_text())
    if jupyterhub is None:
        del declared["dependencies"]
    else:
        charts = copy / "charts"
        charts.mkdir()
        if jupyterhub.is_dir():
            shutil.copytree(jupyterhub, charts / "jupyterhub")
        else:
            with tarfile.open(jupyterhub) as archive:
                archive.extractall(charts, filter="data")
        given = yaml.safe_load((charts / "jupyterhub" / "Chart.yaml").read_text())["version"]
        if given != declared["dependencies"][0]["version"]:
            say(f"zero-to-jupyterhub is {given}; the chart pins {declared['dependencies'][0]['version']}")
            declared["dependencies"][0]["version"] = given
    (copy / "Chart.yaml").write_text(yaml.safe_dump(declared))
    return copy


def helm_program() -> str:
    """Return helm: that of the environment, else the machine's."""
    program = shutil.which("helm", path=str(Path(sys.executable).parent)) or shutil.which("helm")
    if program is None:
        raise InvalidInput("no helm beside this Python or on the PATH; `make env` installs it")
    return program


class Release:
    """The chart's release on the node."""

    def __init__(self, node: Node, folder: Path, jupyterhub: Path | None) -> None:
        self.node, self.kube = node, node.kube
        self.hub = jupyterhub is not None
        self._chart = chart(folder, jupyterhub)
        self._values = folder / "values.yaml"
        places = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**os.environ, **places, "KUBECONFIG": str(node.kube.config)}

    def helm(self, *arguments: str) -> str:
        """Run helm on the cluster; it has to succeed."""
        return run(helm_program(), *arguments, environment=self._environment)

    def install(self, changes: Object | None = None) -> str:
        """Install the chart, or upgrade it, with these values over ours; wait until everything is ready."""
        merged = _merged(values(self.node, hub=self.hub), changes or {})
        self._values.write_text(yaml.safe_dump(merged))
        return self.helm("upgrade", "--install", RELEASE, str(self._chart), f"--namespace={NAMESPACE}",
                         "--create-namespace", f"--values={self._values}", "--wait", "--timeout=8m")  # fmt: skip

    def rollback(self, revision: int) -> str:
        """Go back to a revision."""
        return self.helm("rollback", RELEASE, str(revision), f"--namespace={NAMESPACE}", "--wait", "--timeout=8m")

    def revision(self) -> int:
        """Return the number of the revision that is installed."""
        return int(yaml.safe_load(self.helm("status", RELEASE, f"--namespace={NAMESPACE}", "--output=yaml"))["version"])

    def address(self, service: str) -> str:
        """Return the address of a service, which this machine reaches by its route into the cluster."""
        found = self.kube.get("services", NAMESPACE, service)
        assert found is not None, f"no service {service}"
        return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"

    @contextmanager
    def forwarded(self, what: str, port: int) -> Iterator[str]:
        """Bring a port of the cluster to this machine's loopback, as the chart's notes tell people to."""
        call = [str(BIN / "kubectl"), f"--kubeconfig={self.kube.config}", f"--namespace={NAMESPACE}", "port-forward",
                what, f":{port}"]  # fmt: skip
        with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            try:
                found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                assert found is not None, "kubectl port-forward did not start"
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()

    def pods(self) -> str:
        """Return the list of pods, as a person would ask for it."""
        return self.kube.kubectl("get", "pods", "--all-namespaces", "--output=wide")

    def secret(self, name: str, key: str) -> str:
        """Return what a secret holds."""
        import base64

        found = self.kube.get("secrets", NAMESPACE, name)
        assert found is not None, f"no secret {name}"
        return base64.b64decode(found["data"][key]).decode()

    def until_no_pods(self, namespace: str, labels: str = "") -> None:
        """Wait until no pod is there."""
        until(
            lambda: not self.kube.every("pods", namespace, labels), 180, f"the end of the pods in {namespace} on {NAME}"
        )


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Put values over values, as helm does."""
    both = dict(below)
    for key, value in above.items():
        both[key] = _merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both
