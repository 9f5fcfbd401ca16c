"""What each part of the node is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.tools import BIN

NAME = "gpdata-cluster"
SOCKET = "/run/containerd/containerd.sock"
CGROUP = f"/{NAME}"
PAUSE = "localhost/gpdata-pause:1"


@dataclass(frozen=True)
class Place:
    """Where a node is: its folders, and its addresses, all in one /16 of its own."""

    state: Path
    images: Path
    runc: str
    second: int

    def address(self, third: int, fourth: int) -> str:
        """Return an address of the cluster."""
        return f"10.{self.second}.{third}.{fourth}"

    @property
    def whole(self) -> str:
        """All addresses of the cluster."""
        return f"10.{self.second}.0.0/16"

    @property
    def pods(self) -> str:
        """The addresses of pods."""
        return f"10.{self.second}.16.0/20"

    @property
    def services(self) -> str:
        """The addresses of services."""
        return f"10.{self.second}.32.0/20"

    @property
    def outside(self) -> str:
        """The address of the machine, seen from the node."""
        return self.address(0, 1)

    @property
    def node(self) -> str:
        """The address of the node."""
        return self.address(0, 2)

    @property
    def dns(self) -> str:
        """The address of the cluster's names."""
        return self.address(32, 10)

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"https://{self.node}:6443"

    @property
    def keys(self) -> Path:
        """Where keys and certificates are."""
        return self.state / "keys"


def write(place: Place) -> None:
    """Write the files that the parts read."""
    for folder in ("logs", "etcd", "kubelet", "cni", "conf", "pods-logs", "volumes"):
        (place.state / folder).mkdir(parents=True, exist_ok=True)
    conf = place.state / "conf"
    (conf / "containerd.toml").write_text(_containerd(place))
    (conf / "resolv.conf").write_text("")
    network = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": place.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(place.state / "cni" / "addresses"),
                },
            }
        ],
    }
    (conf / "cni").mkdir(exist_ok=True)
    (conf / "cni" / "10-pods.conflist").write_text(json.dumps(network))
    (conf / "kubelet.json").write_text(json.dumps(_kubelet(place)))
    (conf / "kube-proxy.json").write_text(json.dumps(_proxy(place)))


def _containerd(place: Place) -> str:
    return f"""version = 3
root = "{place.images}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile", "io.containerd.nri.v1.nri"]

[grpc]
  address = "{SOCKET}"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{BIN}"]
    conf_dir = "{place.state / "conf" / "cni"}"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{place.runc}"
        SystemdCgroup = false
"""


def _kubelet(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(place.keys / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(place.keys / "node.crt"),
        "tlsPrivateKeyFile": str(place.keys / "node.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": CGROUP,
        "clusterDNS": [place.dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        # A machine that tests run on has swap, an old kind of cgroups, and little room on its disk.
        "failSwapOn": False,
        "failCgroupV1": False,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi"},
        "evictionPressureTransitionPeriod": "5s",
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "podLogsDir": str(place.state / "pods-logs"),
        "resolvConf": str(place.state / "conf" / "resolv.conf"),
        "maxPods": 80,
    }


def _proxy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.keys / "admin.kubeconfig")},
        "clusterCIDR": place.pods,
        "hostnameOverride": NAME,
        "mode": "nftables",
        "oomScoreAdj": 0,
        # What the kernel keeps for the whole machine stays as it is.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def parts(place: Place) -> list[dict[str, Any]]:
    """Return what runs on the node, in the order in which it is started."""
    keys = place.keys
    admin = keys / "admin.kubeconfig"

    def part(name: str, *arguments: str, then: str | None = None) -> dict[str, Any]:
        return {"name": name, "command": [str(BIN / name), *arguments], "then": then}

    return [
        part(
            "etcd",
            f"--data-dir={place.state / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
        ),
        part("containerd", f"--config={place.state / 'conf' / 'containerd.toml'}", then=SOCKET),
        part(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={place.node}",
            f"--bind-address={place.node}",
            "--secure-port=6443",
            f"--client-ca-file={keys / 'ca.crt'}",
            f"--tls-cert-file={keys / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={keys / 'kube-apiserver.key'}",
            f"--kubelet-client-certificate={keys / 'admin.crt'}",
            f"--kubelet-client-key={keys / 'admin.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={keys / 'accounts.key'}",
            f"--service-account-signing-key-file={keys / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={place.services}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--enable-priority-and-fairness=false",
        ),
        part(
            "kube-controller-manager",
            f"--kubeconfig={admin}",
            f"--root-ca-file={keys / 'ca.crt'}",
            f"--service-account-private-key-file={keys / 'accounts.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ),
        part("kube-scheduler", f"--kubeconfig={admin}", "--leader-elect=false", "--bind-address=127.0.0.1"),
        part(
            "kubelet",
            f"--config={place.state / 'conf' / 'kubelet.json'}",
            f"--kubeconfig={admin}",
            "--root-dir=/run/kubelet",
            f"--hostname-override={NAME}",
            f"--node-ip={place.node}",
            # Every kind of node that the chart may ask for is this one.
            "--node-labels=gpdata/spot=true",
        ),
        part("kube-proxy", f"--config={place.state / 'conf' / 'kube-proxy.json'}"),
    ]
