"""What manifests mean: which pods they make, who may do what, what reaches what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "gpdata"
SIZES = ["values-lab", "values-cluster"]
# Examples stand alone, but s3: it is laid over another one.
ALONE = sorted(file.stem for file in (CHART / "examples").glob("*.yaml") if file.stem != "s3")
EVERYTHING = [None, *SIZES, *ALONE, "s3"]
"""The values as they stand, each size, each example."""

Manifest = dict[str, Any]


def values_files(example: str | None) -> list[Path]:
    """Return the files of a size or an example, as helm is given them."""
    if example is None:
        return []
    if example == "s3":
        return [CHART / "examples" / "github.yaml", CHART / "examples" / "s3.yaml"]
    folder = CHART if example in SIZES else CHART / "examples"
    return [folder / f"{example}.yaml"]


def merged(example: str | None) -> dict[str, Any]:
    """Return the chart's values with a size or an example over them, as helm merges."""

    def over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
        both = {
            key: over(base[key], top[key])
            for key in base.keys() & top.keys()
            if isinstance(top[key], dict) and isinstance(base[key], dict)
        }
        return {**base, **top, **both}

    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    for file in values_files(example):
        values = over(values, yaml.safe_load(file.read_text()))
    return values


def one(manifests: Iterable[Manifest], kind: str, name: str, namespace: str | None = None) -> Manifest:
    """Return the manifest of a kind and a name."""
    [found] = [m for m in of_kind(manifests, kind) if m["metadata"]["name"] == name and namespace in (None, place(m))]
    return found


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Return the manifests of some kinds."""
    return [m for m in manifests if m["kind"] in kinds]


def place(manifest: Manifest) -> str:
    """Return the namespace of a manifest; that of the release is `hub` in these tests."""
    return str(manifest["metadata"].get("namespace", "hub"))


def ours(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return what our own templates make, without zero-to-jupyterhub's."""
    label = "app.kubernetes.io/name"
    return [m for m in manifests if m["metadata"].get("labels", {}).get(label) == "gpdata"]


def pod_templates(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """Return every pod that manifests make, by the name of what makes it, with its metadata."""
    found = {}
    for manifest in manifests:
        spec = manifest.get("spec") or {}
        spec = spec.get("jobTemplate", {}).get("spec", spec) if manifest["kind"] == "CronJob" else spec
        if manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
            found[manifest["metadata"]["name"]] = spec["template"]
    return found


def executor(manifests: Iterable[Manifest], name: str = "gpdata-spark-conf") -> Manifest:
    """Return the pod that Spark makes executors of."""
    pod = yaml.safe_load(one(manifests, "ConfigMap", name)["data"]["executor-pod.yaml"])
    assert isinstance(pod, dict)
    return pod


def containers(pod: Manifest) -> Iterator[Manifest]:
    """Return the containers of a pod's specification, those that come first included."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def selects(selector: Manifest, labels: Manifest) -> bool:
    """Whether a selector of labels takes these labels; the empty one takes all."""
    assert set(selector) <= {"matchLabels"}, "expressions are not read here"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def policies_of(manifests: Iterable[Manifest], labels: Manifest, namespace: str = "hub") -> list[Manifest]:
    """Return the specifications of the network policies that hold for a pod."""
    return [
        m["spec"]
        for m in of_kind(manifests, "NetworkPolicy")
        if place(m) == namespace and selects(m["spec"]["podSelector"], labels)
    ]


def ports_open_to(manifests: Iterable[Manifest], labels: Manifest, namespace: str = "hub") -> dict[object, list[Any]]:
    """Return the ports of a pod that are open, each with who may connect, as the policies say it."""
    found: dict[object, list[Any]] = {}
    for policy in policies_of(manifests, labels, namespace):
        for rule in policy.get("ingress", []):
            assert rule.get("ports"), f"all ports are open: {rule}"
            assert rule.get("from"), f"open to everybody: {rule}"
            for port in rule["ports"]:
                found.setdefault(port["port"], []).extend(rule["from"])
    return found
