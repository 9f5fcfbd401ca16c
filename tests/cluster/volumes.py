"""Volumes of the cluster: a folder of the node for each claim, removed with it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster.kube import Kube, Object

CLASS = "gpdata-local"
_LABEL = {"gpdata-cluster/made-by": "harness"}


def storage_class() -> Object:
    """Return the class that claims have by default."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "gpdata.invalid/folders",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


class Provisioner:
    """Make a volume for each claim that waits for one, and remove those whose claim is gone."""

    def __init__(self, kube: Kube, folder: Path, node: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kube, self._folder, self._node = kube, folder, node

    def step(self) -> None:
        """Look once."""
        volumes = {one["metadata"]["name"]: one for one in self._kube.every("persistentvolumes")}
        for claim in self._kube.every("persistentvolumeclaims"):
            name = f"{claim['metadata']['namespace']}-{claim['metadata']['name']}-{claim['metadata']['uid'][:8]}"
            waits = claim["status"]["phase"] == "Pending" and claim["spec"].get("storageClassName") == CLASS
            if waits and name not in volumes:
                (self._folder / name).mkdir(exist_ok=True)
                self._kube.create("persistentvolumes", None, self._volume(name, claim))
        for name, volume in volumes.items():
            if (
                volume["status"].get("phase") in ("Released", "Failed")
                and "deletionTimestamp" not in volume["metadata"]
            ):
                shutil.rmtree(self._folder / name, ignore_errors=True)
                self._kube.delete("persistentvolumes", None, name)

    def _volume(self, name: str, claim: Object) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "labels": _LABEL},
            "spec": {
                "capacity": claim["spec"]["resources"]["requests"],
                "accessModes": claim["spec"]["accessModes"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": CLASS,
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    **{key: claim["metadata"][key] for key in ("name", "namespace", "uid")},
                },
                # A local volume, not a path of the host: the owner of its files follows fsGroup.
                "local": {"path": str(self._folder / name)},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [self._node]}
                                ]
                            }
                        ]
                    }
                },
            },
        }
