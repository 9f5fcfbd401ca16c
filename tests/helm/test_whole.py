"""The parts fit together: what the chart says to programs, to the hub and from one part to another."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from traitlets.config import Config

from gpdata.cli import main
from gpdata.ingest.metrics import Metrics
from gpdata.lake import Lake
from gpdata.spool.plain_tcp import Counts
from tests.helm.reading import CHART, EVERYTHING, Manifest, executor, merged, of_kind, one, ours, pod_templates
from tests.helm.test_chart import ALL_ON, KUBERNETES, SEPARATE

ROOT = CHART.parents[1]
Manifests = Callable[..., list[Manifest]]
ANY = [*((None, example) for example in EVERYTHING), (ALL_ON, None), (SEPARATE, None)]


@pytest.mark.parametrize("name", ["executor-pod.yaml", "spark-defaults.conf", "log4j2.properties"])
def test_the_chart_has_the_settings_of_spark_as_they_are(name: str) -> None:
    """A chart reads no file outside of its folder. After a change: cp spark-conf/* helm/gpdata/files/spark-conf/."""
    assert (CHART / "files" / "spark-conf" / name).read_bytes() == (ROOT / "spark-conf" / name).read_bytes()


def test_the_chart_has_the_alerts_as_they_are(manifests: Manifests) -> None:
    """After a change: cp docs/deploy/alerts.yaml helm/gpdata/files/."""
    text = (ROOT / "docs" / "deploy" / "alerts.yaml").read_text()
    assert (CHART / "files" / "alerts.yaml").read_text() == text
    assert one(manifests(ALL_ON), "PrometheusRule", "gpdata-ingest")["spec"] == yaml.safe_load(text)


def test_executors_are_those_of_spark_conf_but_for_nodes_and_the_lake(manifests: Manifests) -> None:
    base = yaml.safe_load((ROOT / "spark-conf" / "executor-pod.yaml").read_text())
    pod = executor(manifests(example="values-cluster"))
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["volumes"].pop()["name"] == container["volumeMounts"].pop()["name"] == "lake"
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert pod == base, "the spot nodes of values-cluster.yaml are those of spark-conf, too"


def test_settings_of_the_cluster_come_behind_the_usual_ones(manifests: Manifests) -> None:
    values = {**ALL_ON, "spark": {**ALL_ON["spark"], "settings": {"spark.sql.shuffle.partitions": 16}}}
    text = one(manifests(values), "ConfigMap", "gpdata-spark-conf")["data"]["spark-defaults.conf"]
    usual = (ROOT / "spark-conf" / "spark-defaults.conf").read_text().strip()
    assert text.startswith(usual)
    assert text.splitlines()[-1] == "spark.sql.shuffle.partitions 16"


@pytest.mark.parametrize(("values", "example"), ANY)
def test_gpdata_understands_what_its_pods_are_told(manifests: Manifests, values: Any, example: str | None) -> None:
    """The real command line reads the arguments; nothing is run."""
    seen = set()
    for pod in pod_templates(ours(manifests(values, example=example))).values():
        [container] = pod["spec"]["containers"]
        name, *arguments = container["args"]
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        command.make_context(name, [*arguments])
        seen.add(name)
    assert {"ingest", "compact"} <= seen


@pytest.mark.parametrize(("values", "example"), ANY)
def test_exactly_one_process_transforms_and_both_know_the_same_spool(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    pods = pod_templates(ours(manifests(values, example=example)))
    args = {name: pod["spec"]["containers"][0]["args"] for name, pod in pods.items()}
    assert ("--no-transform" in args["gpdata-ingest"]) == ("gpdata-transform" in args)
    if "gpdata-transform" in args:
        places = [[a for a in args[name] if a.startswith(("--lake", "--spool"))] for name in args if "comp" not in name]
        assert places[0] == places[1]


def test_the_service_is_where_the_hub_and_the_proxy_look_for_it(manifests: Manifests) -> None:
    rendered = manifests(example="github")
    told = one(rendered, "ConfigMap", "gpdata-settings")["data"]
    service = one(rendered, "Service", "gpdata-ingest")
    [port] = service["spec"]["ports"]
    assert told["ingest"] == f"http://{service['metadata']['name']}:{port['port']}"
    pod = pod_templates(rendered)["gpdata-ingest"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    [container] = pod["spec"]["containers"]
    assert f"--port={port['port']}" in container["args"]
    assert {p["name"] for p in container["ports"]} == {port["targetPort"]}
    prefix = {entry["name"]: entry.get("value") for entry in container["env"]}["JUPYTERHUB_SERVICE_PREFIX"]
    assert f'ROUTE = "{prefix.rstrip("/")}"' in (ROOT / "hub/jupyterhub_config.d/services.py").read_text()
    assert told["server"] == f"https://hub.lab.example{prefix.rstrip('/')}"
    assert pod["metadata"]["labels"]["hub.jupyter.org/network-access-hub"] == "true", "the hub's policy lets it in"


@pytest.mark.parametrize(("values", "example"), ANY)
def test_what_the_hub_and_servers_are_told_is_there(manifests: Manifests, values: Any, example: str | None) -> None:
    told = one(manifests(values, example=example), "ConfigMap", "gpdata-settings")["data"]
    hub = merged(example)["jupyterhub"]
    asked = {}
    for variables in (hub["hub"]["extraEnv"], hub["singleuser"]["extraEnv"]):
        for variable in variables.values():
            reference = variable["valueFrom"].get("configMapKeyRef", {"name": "gpdata-settings", "key": "lake"})
            assert reference["name"] == "gpdata-settings" or "secretKeyRef" in variable["valueFrom"]
            asked[reference["key"]] = reference.get("optional", False)
    assert told.keys() <= asked.keys(), "nobody is told in vain"
    assert {key for key, optional in asked.items() if not optional} <= told.keys(), "else no server starts"
    if values is ALL_ON:
        assert asked.keys() - told.keys() == {
            "server",
            "spark-fallback",
            "store-endpoint",
            "store-region",
            "store-allow-http",
        }


def changed(values: dict[str, Any]) -> dict[str, Any]:
    """Other values in every respect that may change from one upgrade to the next."""
    return {
        **values,
        "images": {"ingest": {"name": "elsewhere/gpdata-ingest", "tag": "9.9.9"}, "pullSecrets": ["pull"]},
        "ingest": {"spool": {"size": "99Gi"}, "resources": {"limits": {"memory": "9Gi"}}, "stopSeconds": 99},
        "nodes": {"selector": {"kind": "other"}},
        "shared": {"size": "99Gi"},
        "compaction": {"schedule": "@daily"},
    }


def fixed(manifest: Manifest) -> object:
    """What the cluster does not let anybody change."""
    spec = manifest["spec"]
    match manifest["kind"]:
        case "Deployment":
            return spec["selector"]
        case "StatefulSet":
            free = {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
                    "ordinals", "revisionHistoryLimit"}  # fmt: skip
            return {key: value for key, value in spec.items() if key not in free}
        case "PersistentVolumeClaim":
            return {key: value for key, value in spec.items() if key != "resources"}
    return None


@pytest.mark.parametrize("values", [{}, SEPARATE, ALL_ON], ids=["usual", "separate", "everything"])
def test_an_upgrade_changes_nothing_that_cannot_be_changed(manifests: Manifests, values: dict[str, Any]) -> None:
    def frozen(rendered: list[Manifest]) -> dict[tuple[str, str, str], object]:
        kinds = ("Deployment", "StatefulSet", "PersistentVolumeClaim")
        return {
            (m["kind"], m["metadata"]["name"], m["metadata"].get("namespace", "")): fixed(m)
            for m in of_kind(ours(rendered), *kinds)
        }

    before, after = frozen(manifests(values)), frozen(manifests(changed(values)))
    assert before == after
    text = json.dumps(list(before.values()))
    assert "helm.sh/chart" not in text, "a selector with a version could not be upgraded"
    assert "app.kubernetes.io/version" not in text
    assert "volumeClaimTemplates" not in text, "its size could never change"


class Facts:
    """A service of which nothing is to be told."""

    def free_bytes(self) -> int:
        return 0

    def last_batch(self) -> int:
        return 0

    def worker_restarts(self) -> int:
        return 0

    def worker_up(self) -> bool:
        return False

    def plain_counts(self) -> Counts:
        return Counts()


def test_the_dashboard_asks_for_metrics_that_the_service_has(manifests: Manifests, tmp_path: Path) -> None:
    text = one(manifests(ALL_ON), "ConfigMap", "gpdata-dashboard")["data"]["gpdata.json"]
    panels = json.loads(text)["panels"]
    asked = {
        name for panel in panels for target in panel["targets"] for name in re.findall(r"gpdata_\w+", target["expr"])
    }
    lake = Lake.create(tmp_path / "lake")
    metrics = Metrics()
    metrics.watch(lake.spool(), lake.quarantine.path, Facts())
    shown = set()
    for family in metrics.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket"]}.get(family.type, [""])
        shown |= {family.name + suffix for suffix in suffixes}
    assert len(asked) > 10
    assert asked <= shown
    assert all(panel["description"] for panel in panels)
    monitor = one(manifests(ALL_ON), "ServiceMonitor", "gpdata-ingest")["spec"]
    services = [m for m in of_kind(manifests(ALL_ON), "Service")
                if monitor["selector"]["matchLabels"].items() <= m["metadata"]["labels"].items()]  # fmt: skip
    assert [m["metadata"]["name"] for m in services] == ["gpdata-ingest"], "once, and the job that alerts name"


# hub/jupyterhub_config.d/cluster.py


def cluster_config(monkeypatch: pytest.MonkeyPatch, config: Config, groups: str = "") -> Config:
    file = ROOT / "hub" / "jupyterhub_config.d" / "cluster.py"
    monkeypatch.delenv("HUB_STATE", raising=False)
    monkeypatch.setenv("GPDATA_SPARK_GROUPS", groups)
    exec(compile(file.read_text(), str(file), "exec"), {"c": config})
    return config


def test_a_group_has_its_executors_in_its_namespace(manifests: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = one(manifests(ALL_ON), "ConfigMap", "gpdata-settings")["data"]["spark-groups"]
    config = Config()
    config.KubeSpawner.service_account = "gpdata-user"
    config.KubeSpawner.environment = {"GPDATA_SPARK_NAMESPACE": {"valueFrom": {}}, "OTHER": "1"}
    config = cluster_config(monkeypatch, config, groups)

    def server(*names: str) -> Any:
        of = [SimpleNamespace(name=name) for name in names]
        return SimpleNamespace(user=SimpleNamespace(groups=of), config=config)

    biologist, other = server("people", "bio"), server("people")
    config.Spawner.pre_spawn_hook(biologist)
    assert biologist.service_account == "gpdata-user-bio"
    assert biologist.environment == {"GPDATA_SPARK_NAMESPACE": "bio", "OTHER": "1"}
    config.Spawner.pre_spawn_hook(other)
    assert (other.service_account, other.environment["GPDATA_SPARK_NAMESPACE"]) == ("gpdata-user", {"valueFrom": {}})
    biologist.user.groups = []
    config.Spawner.pre_spawn_hook(biologist)
    assert biologist.service_account == "gpdata-user", "who has left the group has left its namespace"


def test_what_values_take_away_is_not_mounted_and_servers_have_the_explorer(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    config.KubeSpawner.volumes = {"lake": None, "tmp": {"name": "tmp", "emptyDir": {}}}
    config.Spawner.cmd = merged(None)["jupyterhub"]["singleuser"]["cmd"]
    config = cluster_config(monkeypatch, config)
    assert list(config.KubeSpawner.volumes) == ["tmp"]
    [argument] = config.Spawner.args
    assert Path(argument.removeprefix("--explorer=")).is_file()
    assert "pre_spawn_hook" not in config.Spawner
    bare = cluster_config(monkeypatch, Config())
    assert (dict(bare.Spawner), dict(bare.KubeSpawner)) == ({}, {})


# docs/kubernetes.md


def test_what_the_page_says_to_type_fits_the_chart(template: Callable[..., Any], manifests: Manifests) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    told = [yaml.safe_load(textwrap.dedent(text)) for _, text in blocks]
    pods = [block for block in told if "kind" in block]
    values = [block for block in told if "kind" not in block]
    assert (len(pods), len(values)) == (1, 3)
    for version in KUBERNETES:
        kubernetes_validate.validate(pods[0], version, strict=True)
        assert version in page, "the page names the versions that are checked"
    claim = one(manifests(), "PersistentVolumeClaim", "gpdata-lake")["metadata"]["name"]
    assert pods[0]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    for block in values:
        size = "values-cluster" if "lake" in block else "values-lab"
        result = template(block, example=size)
        assert result.returncode == 0, result.stderr
    for path in re.findall(r"helm/gpdata/[\w./-]+", page):
        assert (ROOT / path.rstrip(".")).exists(), path


def test_the_efs_of_the_page_is_the_only_place_of_the_lake(manifests: Manifests) -> None:
    csi = {"driver": "efs.csi.aws.com", "volumeHandle": "fs-1"}
    rendered = manifests({"lake": {"volume": {"nfs": None, "csi": csi}}}, example="values-cluster")
    volumes = {m["spec"]["claimRef"]["namespace"]: m["spec"] for m in of_kind(rendered, "PersistentVolume")}
    assert volumes["hub"]["csi"] == csi
    assert volumes["gpdata-spark"]["csi"] == {**csi, "readOnly": True}
    assert not [spec for spec in volumes.values() if "nfs" in spec]
