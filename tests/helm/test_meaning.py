"""What the manifests mean: who may do what, what reaches what, what runs where and as whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gpdata.sessions import checks_kubernetes
from gpdata.sessions.checks import in_bytes
from gpdata.sessions.presets import PRESETS
from tests.helm.reading import (
    EVERYTHING,
    SIZES,
    Manifest,
    containers,
    executor,
    merged,
    of_kind,
    one,
    ours,
    place,
    pod_templates,
    policies_of,
    ports_open_to,
)
from tests.helm.test_chart import ALL_ON, SEPARATE

Manifests = Callable[..., list[Manifest]]
ANY = [*((None, example) for example in EVERYTHING), (ALL_ON, None), (SEPARATE, None)]
WRITERS = {"gpdata-ingest", "gpdata-transform", "gpdata-compaction"}
USERS = {"app.kubernetes.io/instance": "lab", "app.kubernetes.io/component": "singleuser-server"}


def labels_of(rendered: list[Manifest], name: str) -> Manifest:
    labels = pod_templates(rendered)[name]["metadata"]["labels"]
    assert isinstance(labels, dict)
    return labels


# Who may create pods, and where.


@pytest.mark.parametrize(("values", "example"), ANY)
def test_our_accounts_may_make_pods_and_configmaps_where_executors_are_and_nothing_else(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    rendered = manifests(values, example=example)
    mine = ours(rendered)
    assert of_kind(mine, "ClusterRole", "ClusterRoleBinding") == [], "no right over the whole cluster"
    for role in of_kind(mine, "Role"):
        [rule] = role["rules"]
        assert (rule["apiGroups"], set(rule["resources"])) == ([""], {"pods", "configmaps"})
        assert "*" not in rule["verbs"]
        assert place(role) != "hub", "not where the hub and its secrets are"
    may = {
        (subject["namespace"], subject["name"], place(binding))
        for binding in of_kind(mine, "RoleBinding")
        for subject in binding["subjects"]
    }
    settings = merged(example) if values is None else values
    expected = set()
    if settings.get("spark", {}).get("enabled"):
        expected = {
            ("hub", space.get("serviceAccount", "gpdata-user"), space["name"])
            for space in settings["spark"]["namespaces"]
        }
    if settings.get("transform", {}).get("mode") == "spark":
        expected.add(("hub", "gpdata-transform", "gpdata-transform"))
    assert may == expected


def test_the_role_is_what_a_driver_needs(manifests: Manifests) -> None:
    [role] = of_kind(ours(manifests(example="values-lab")), "Role")
    [rule] = role["rules"]
    for needed in (checks_kubernetes._NEEDED, checks_kubernetes._TIDY):
        for resource, verbs in needed.items():
            assert resource in rule["resources"]
            assert set(verbs) <= set(rule["verbs"])


@pytest.mark.parametrize(("values", "example"), ANY)
def test_tokens_are_mounted_only_where_executors_are_started(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    mine = ours(manifests(values, example=example))
    spark = (merged(example) if values is None else values).get("spark", {}).get("enabled", False)
    accounts = {m["metadata"]["name"]: m["automountServiceAccountToken"] for m in of_kind(mine, "ServiceAccount")}
    assert accounts.pop("gpdata-transform", False) is False
    assert set(accounts.values()) == {spark}, "users' servers: KubeSpawner leaves the choice to the account"
    for name, pod in pod_templates(mine).items():
        drives = name == "gpdata-transform" and values is ALL_ON
        assert pod["spec"]["automountServiceAccountToken"] is drives, name


# Ports and ways.


@pytest.mark.parametrize(("values", "example"), ANY)
def test_every_pod_of_ours_is_shut_in_and_only_some_ports_are_open(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    rendered = manifests(values, example=example)
    mine = ours(rendered)
    opened = {}
    for name in pod_templates(mine):
        policies = policies_of(mine, labels_of(mine, name))
        assert any({"Ingress", "Egress"} <= set(policy["policyTypes"]) for policy in policies), name
        opened[name] = set(ports_open_to(mine, labels_of(mine, name)))
    assert opened.pop("gpdata-ingest") == {"http"}
    assert opened.pop("gpdata-transform", set()) == ({7078, 7079} if values is ALL_ON else set())
    assert opened.pop("gpdata-compaction") == set()
    assert not opened
    for service in of_kind(mine, "Service"):
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_uploads_come_from_the_proxy_and_from_users_servers_only(manifests: Manifests) -> None:
    rendered = manifests()
    [ways] = ports_open_to(ours(rendered), labels_of(rendered, "gpdata-ingest")).values()
    who = [way["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for way in ways]
    assert who == ["proxy", "singleuser-server"]
    watched = manifests({"monitoring": {"namespace": "watch"}})
    [ways] = ports_open_to(ours(watched), labels_of(watched, "gpdata-ingest")).values()
    assert ways[2:] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "watch"}}}]


def test_drivers_and_executors_talk_by_the_three_ports_of_the_presets_and_no_other(manifests: Manifests) -> None:
    ports = {PRESETS["k8s-small"][f"spark.{name}"] for name in ("driver.port", "driver.blockManager.port")}
    [blocks] = {int(PRESETS[preset]["spark.blockManager.port"]) for preset in ("k8s-small", "k8s-large")}
    drivers = set(map(int, ports))
    rendered = ours(manifests(example="values-lab"))
    [closed] = policies_of(rendered, {"spark-role": "executor"}, "gpdata-spark")
    assert closed["podSelector"] == {}, "for whatever is in the namespace"
    inwards = ports_open_to(rendered, {}, "gpdata-spark")
    assert set(inwards) == {blocks}
    of_users = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hub"}},
        "podSelector": {"matchLabels": USERS},
    }
    assert inwards[blocks] == [{"podSelector": {}}, of_users]
    outwards = [(sorted(port["port"] for port in rule["ports"]), rule["to"]) for rule in closed["egress"]]
    assert outwards == [([blocks], [{"podSelector": {}}]), (sorted(drivers), [of_users])], "no internet, no cluster"
    at_users = ports_open_to(rendered, USERS)
    assert set(at_users) == drivers
    executors = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gpdata-spark"}}}
    assert all(ways == [executors] for ways in at_users.values())


def test_no_way_out_leads_to_the_clouds_metadata(manifests: Manifests) -> None:
    store = {"lake": {"s3": {"address": "s3://lab/lake", "cidrs": ["0.0.0.0/0"]}}, "spark": {"enabled": True}}
    wide = 0
    for policy in of_kind(ours([*manifests(store, example="s3"), *manifests(ALL_ON)]), "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            assert rule["ports"], "never to all ports"
            for block in (way["ipBlock"] for way in rule["to"] if "ipBlock" in way):
                if block["cidr"] == "0.0.0.0/0":
                    assert block["except"] == ["169.254.0.0/16"]
                    wide += 1
                else:
                    assert not block["cidr"].startswith("169.254.169")
    assert wide >= 3, "ingest, compaction and executors"


# Nobody is root.


@pytest.mark.parametrize(("values", "example"), ANY)
def test_nothing_runs_as_root_or_with_any_capability(manifests: Manifests, values: Any, example: str | None) -> None:
    mine = ours(manifests(values, example=example))
    pods = {name: pod["spec"] for name, pod in pod_templates(mine).items()}
    for conf in of_kind(mine, "ConfigMap"):
        if "executor-pod.yaml" in conf["data"]:
            pods[conf["metadata"]["name"]] = executor(mine, conf["metadata"]["name"])["spec"]
    assert WRITERS - {"gpdata-transform"} <= pods.keys()
    for name, pod in pods.items():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], name
        whole = pod["securityContext"]
        assert (whole["runAsNonRoot"], whole["seccompProfile"]) == (True, {"type": "RuntimeDefault"}), name
        assert min(whole["runAsUser"], whole["runAsGroup"], whole["fsGroup"]) > 0, name
        for container in containers(pod):
            context = container["securityContext"]
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_the_cluster_itself_refuses_more_where_users_may_make_pods(manifests: Manifests) -> None:
    rendered = ours(manifests(ALL_ON))
    spaces = of_kind(rendered, "Namespace")
    assert {m["metadata"]["name"] for m in spaces} == {"gpdata-spark", "bio", "gpdata-transform"}
    for space in spaces:
        assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    [binding] = of_kind(rendered, "ValidatingAdmissionPolicyBinding")
    [told] = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert told["values"] == ["gpdata-spark", "bio"], "the transform's own executors write"
    assert binding["spec"]["validationActions"] == ["Deny"]
    [policy] = of_kind(rendered, "ValidatingAdmissionPolicy")
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert of_kind(manifests(ALL_ON, kubernetes="1.29.0"), "ValidatingAdmissionPolicy") == [], "it came with 1.30"


# What runs on nodes that go away.


@pytest.mark.parametrize("size", SIZES)
def test_only_executors_run_on_spot_nodes(manifests: Manifests, size: str) -> None:
    rendered = manifests(example=size)
    for name, pod in pod_templates(rendered).items():
        for toleration in pod["spec"].get("tolerations", []):
            assert toleration.get("key") not in (None, "gpdata/spot"), name
        assert "gpdata/spot" not in pod["spec"].get("nodeSelector", {}), name
    pod = executor(rendered)["spec"]
    if size == "values-cluster":
        assert pod["nodeSelector"] == {"gpdata/spot": "true"}
        assert [toleration["key"] for toleration in pod["tolerations"]] == ["gpdata/spot"]
    else:
        assert (pod["nodeSelector"], pod["tolerations"]) == ({}, [])


def test_what_has_state_is_on_nodes_that_stay(manifests: Manifests) -> None:
    mine = ours(manifests(example="values-cluster"))
    for name, pod in pod_templates(mine).items():
        assert pod["spec"]["nodeSelector"] == {"hub.jupyter.org/node-purpose": "core"}, name
    kept = pod_templates(mine)["gpdata-ingest"]["metadata"]["annotations"]
    assert kept["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    user = merged("values-cluster")["jupyterhub"]["singleuser"]
    assert user["extraAnnotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


# How much.


@pytest.mark.parametrize("size", SIZES)
def test_executors_of_the_presets_fit_into_quota_and_limits(manifests: Manifests, size: str) -> None:
    rendered = ours(manifests(example=size))
    for kind in ("ResourceQuota", "LimitRange", "NetworkPolicy", "RoleBinding"):
        one(rendered, kind, "gpdata-executors", "gpdata-spark")
    hard = one(rendered, "ResourceQuota", "gpdata-executors")["spec"]["hard"]
    assert {"requests.cpu", "requests.memory", "limits.memory", "pods", "configmaps", "services"} <= hard.keys()
    assert hard["services"] == "0"
    [limit] = one(rendered, "LimitRange", "gpdata-executors")["spec"]["limits"]
    for preset in ("k8s-small", "k8s-large")[: 2 if size == "values-cluster" else 1]:
        settings = PRESETS[preset]
        heap = in_bytes(settings["spark.executor.memory"])
        assert heap is not None
        memory = heap * (1 + float(settings["spark.executor.memoryOverheadFactor"]))
        most = int(settings["spark.dynamicAllocation.maxExecutors"])
        assert memory <= gibibytes(limit["max"]["memory"])
        assert most * memory <= gibibytes(hard["limits.memory"]), preset
        assert most * cores_asked(settings) <= float(hard["requests.cpu"]), preset
        assert most <= int(hard["pods"])
    own = executor(rendered)["spec"]["containers"][0]["resources"]["limits"]["ephemeral-storage"]
    assert gibibytes(own) <= gibibytes(limit["max"]["ephemeral-storage"])


def cores_asked(settings: Mapping[str, str]) -> float:
    """Return how many cores of a node the pod of an executor asks for."""
    asked = settings.get("spark.kubernetes.executor.request.cores", settings["spark.executor.cores"])
    return int(asked.removesuffix("m")) / 1000 if asked.endswith("m") else float(asked)


def test_two_small_executors_fit_a_node_of_four_cores() -> None:
    # What clouds leave of 4 cores for pods, and what the pods of every node take of it.
    assert 2 * cores_asked(PRESETS["k8s-small"]) <= 3.92 - 0.3


def gibibytes(text: str) -> int:
    """Read a size such as 24Gi, in bytes."""
    assert text.endswith("Gi")
    return int(text.removesuffix("Gi")) << 30


def test_a_group_can_have_less_than_the_others(manifests: Manifests) -> None:
    quotas = {place(m): m["spec"]["hard"] for m in of_kind(manifests(ALL_ON), "ResourceQuota")}
    assert quotas["bio"]["requests.cpu"] == "2"
    assert quotas["bio"]["pods"] == quotas["gpdata-spark"]["pods"]


@pytest.mark.parametrize(("values", "example"), ANY)
def test_every_container_of_ours_says_what_it_needs_and_is_held_to_memory(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    for name, pod in pod_templates(ours(manifests(values, example=example))).items():
        for container in containers(pod["spec"]):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


# Who writes the lake.


@pytest.mark.parametrize(("values", "example"), ANY)
def test_the_lake_is_written_by_ingest_transform_and_compaction_only(
    manifests: Manifests, values: Any, example: str | None
) -> None:
    rendered = manifests(values, example=example)
    claim = merged(example)["lake"]["claimName"]
    for name, pod in pod_templates(rendered).items():
        sources = [v["persistentVolumeClaim"] for v in pod["spec"].get("volumes", []) if "persistentVolumeClaim" in v]
        mounted = claim in [source["claimName"] for source in sources]
        assert mounted == (name in WRITERS and example != "s3"), name
    for conf in of_kind(ours(rendered), "ConfigMap"):
        if "executor-pod.yaml" not in conf["data"]:
            continue
        writes = conf["metadata"]["name"] == "gpdata-transform-spark-conf"
        spec = executor(rendered, conf["metadata"]["name"])["spec"]
        [source] = [v["persistentVolumeClaim"] for v in spec["volumes"] if v["name"] == "lake"]
        [mount] = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "lake"]
        assert (source["readOnly"], mount["readOnly"], mount["mountPath"]) == (not writes, not writes, "/lake")


def test_executors_have_a_read_only_volume_of_the_same_files(manifests: Manifests) -> None:
    rendered = ours(manifests(ALL_ON))
    volumes = {m["spec"]["claimRef"]["namespace"]: m for m in of_kind(rendered, "PersistentVolume")}
    assert volumes.keys() == {"hub", "gpdata-spark", "bio", "gpdata-transform"}
    reads = {space: m["spec"]["nfs"].get("readOnly", False) for space, m in volumes.items()}
    assert reads == {"hub": False, "gpdata-spark": True, "bio": True, "gpdata-transform": False}
    for space, volume in volumes.items():
        claim = one(rendered, "PersistentVolumeClaim", "gpdata-lake", space)
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
        assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"]
        assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == ""
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    kept = [space for space, m in volumes.items() if "annotations" in m["metadata"]]
    assert kept == ["hub"], "an uninstall leaves the lake, and takes what only leads to it"


def test_secrets_of_a_store_come_from_secrets_and_readers_have_other_ones(manifests: Manifests) -> None:
    mine = ours(manifests(example="s3"))
    for name, pod in pod_templates(mine).items():
        told = {entry["name"]: entry for entry in pod["spec"]["containers"][0]["env"]}
        assert told["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "gpdata-lake-writer", name
        assert told["GPDATA_LAKE"]["value"] == "s3://lab/lake"
    assert of_kind(mine, "Secret") == []
