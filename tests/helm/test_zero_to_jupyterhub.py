"""What zero-to-jupyterhub makes of our values: only where its chart is at hand, and said so where it is not."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from traitlets.config import Config

from tests.helm.reading import (
    CHART,
    Manifest,
    containers,
    of_kind,
    one,
    place,
    pod_templates,
    policies_of,
    ports_open_to,
    selects,
)
from tests.helm.test_chart import ALL_ON, KUBERNETES

Manifests = Callable[..., list[Manifest]]
CONFIG_D = CHART.parents[1] / "hub" / "jupyterhub_config.d"


@pytest.fixture(autouse=True)
def _needs_zero_to_jupyterhub(jupyterhub_chart: Path | None) -> None:
    if jupyterhub_chart is None:
        pytest.skip(
            "zero-to-jupyterhub was NOT rendered, only the chart's own templates: name its chart's folder or .tgz "
            "in GPDATA_JUPYTERHUB_CHART (`helm pull jupyterhub --repo https://hub.jupyter.org/helm-chart/ "
            "--version 4.4.0` fetches it)"
        )


def hub_values(manifests: list[Manifest]) -> dict[str, Any]:
    """Return the values that the hub reads when it starts, from which it makes user servers."""
    values = yaml.safe_load(base64.b64decode(one(manifests, "Secret", "hub")["data"]["values.yaml"]))
    assert isinstance(values, dict)
    return values


def hub_config(manifests: list[Manifest], chart: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return the hub's configuration: zero-to-jupyterhub's file is run with these values, then jupyterhub_config.d."""
    values = hub_values(manifests)
    told = one(manifests, "ConfigMap", "gpdata-settings")["data"]

    def get_config(key: str, default: Any = None) -> Any:
        value: Any = values
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    def set_config_if_not_none(parent: Config, name: str, key: str) -> None:
        if (found := get_config(key)) is not None:
            parent[name] = found

    z2jh = ModuleType("z2jh")
    vars(z2jh).update(
        get_config=get_config,
        set_config_if_not_none=set_config_if_not_none,
        get_name=lambda name: name,
        get_name_env=lambda name, suffix="": "80",
        get_secret_value=lambda key, default=None: "secret",
    )
    monkeypatch.setitem(sys.modules, "z2jh", z2jh)
    # There is no cluster to talk to: a pod's manifest is made without.
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda _: ApiClient)
    monkeypatch.delenv("HUB_STATE", raising=False)
    monkeypatch.setenv("POD_NAMESPACE", "hub")
    for name, variable in values["hub"]["extraEnv"].items():
        key = variable["valueFrom"].get("configMapKeyRef", {}).get("key")
        if key in told:
            monkeypatch.setenv(name, told[key])
    config = Config()
    first = (chart / "charts" / "jupyterhub" / "files" / "hub" / "jupyterhub_config.py").read_text()
    space: dict[str, Any] = {"get_config": lambda: config, "__file__": str(chart / "jupyterhub_config.py")}
    exec(compile(first, "jupyterhub_config.py", "exec"), space)
    loaded = sorted(CONFIG_D.glob("*.py"))
    for file in loaded:  # where the image has them, and zero-to-jupyterhub looks
        exec(compile(file.read_text(), str(file), "exec"), space)
    assert len(loaded) > 5
    return config


def user_pod(config: Config, name: str = "ada", groups: tuple[str, ...] = ()) -> Manifest:
    """Return the pod that the hub makes for a user, as KubeSpawner sends it to the cluster."""
    user: Any = SimpleNamespace(
        name=name,
        escaped_name=name,
        id=1,
        admin=False,
        url=f"/user/{name}/",
        server=None,
        groups=[SimpleNamespace(name=group) for group in groups],
    )
    hub: Any = SimpleNamespace(
        public_host="", url="http://hub:8081", base_url="/hub/", api_url="http://hub:8081/hub/api"
    )
    spawner = KubeSpawner(config=config, user=user, hub=hub, _mock=True, api_token="token", oauth_client_id="id")
    if spawner.pre_spawn_hook:
        spawner.pre_spawn_hook(spawner)
    pod = asyncio.run(spawner.get_pod_manifest())

    async def plain() -> Any:
        async with ApiClient() as client:
            return client.sanitize_for_serialization(pod)

    manifest = asyncio.run(plain())
    assert isinstance(manifest, dict)
    return manifest


@pytest.mark.parametrize(
    ("example", "claim"), [("laptop", "gpdata-lake"), ("oidc", "evolution-archive"), ("values-lab", "gpdata-lake")]
)
def test_the_hub_is_told_to_mount_the_lake_read_only(manifests: Manifests, example: str, claim: str) -> None:
    user = hub_values(manifests(example=example))["singleuser"]
    source = user["storage"]["extraVolumes"]["lake"]["persistentVolumeClaim"]
    assert source == {"claimName": claim, "readOnly": True}
    assert user["storage"]["extraVolumeMounts"]["lake"]["readOnly"] is True
    assert (user["uid"], user["allowPrivilegeEscalation"]) == (1000, False)


@pytest.mark.parametrize("example", [None, "values-lab", "values-cluster", "oidc", "s3"])
def test_a_users_server_as_the_cluster_gets_it(
    manifests: Manifests, chart: Path, monkeypatch: pytest.MonkeyPatch, example: str | None
) -> None:
    rendered = manifests(example=example)
    config = hub_config(rendered, chart, monkeypatch)
    pod = user_pod(config)
    for version in KUBERNETES:
        kubernetes_validate.validate(pod, version, strict=True)
    spec, [container] = pod["spec"], pod["spec"]["containers"]
    assert not spec.get("initContainers"), "a privileged one could be asked for by blockWithIptables"
    assert spec["securityContext"]["runAsNonRoot"] is True
    context = container["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (1000, True, True)
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    if example == "s3":
        assert "lake" not in volumes
    else:
        assert volumes["lake"]["persistentVolumeClaim"]["readOnly"] is True
        assert mounts["/lake"]["readOnly"] is True
    assert mounts["/srv/shared"]["readOnly"] is True
    assert (mounts["/srv/shared/ada"]["subPath"], mounts["/srv/shared/ada"].get("readOnly")) == ("ada", None)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
    # The account says whether its token is mounted; the pod does not.
    assert spec["serviceAccountName"] == "gpdata-user"
    assert "automountServiceAccountToken" not in spec
    assert config.KubeSpawner.http_timeout >= 120
    told = {entry["name"]: entry for entry in container["env"]}
    assert told["GPDATA_LAKE"]["valueFrom"]["configMapKeyRef"] == {"name": "gpdata-settings", "key": "lake"}
    assert told["GPDATA_POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
    published = example in ("oidc", "s3")
    assert (told.get("GPDATA_SERVER", {}).get("value", "").startswith("https://")) == published
    assert ("GPDATA_TOKEN" in told) == published
    assert any("user_server.py" in part for part in container["args"])
    assert any(part.startswith("--explorer=") for part in container["args"])
    for toleration in spec.get("tolerations", []):
        assert toleration["key"] in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")


def test_our_policies_are_for_the_pods_that_the_hub_makes(
    manifests: Manifests, chart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = manifests(example="values-lab")
    labels = user_pod(hub_config(rendered, chart, monkeypatch))["metadata"]["labels"]
    names = [
        m["metadata"]["name"]
        for m in of_kind(rendered, "NetworkPolicy")
        if place(m) == "hub" and selects(m["spec"]["podSelector"], labels)
    ]
    assert {"singleuser", "gpdata-users-as-drivers", "gpdata-users-to-ingest"} <= set(names)
    assert set(ports_open_to(rendered, labels)) == {"notebook-port", 7078, 7079}
    proxy = pod_templates(rendered)["proxy"]["metadata"]["labels"]
    assert {"app.kubernetes.io/instance": "lab", "app.kubernetes.io/component": "proxy"}.items() <= proxy.items()
    hub = pod_templates(rendered)["hub"]["metadata"]["labels"]
    [way] = [
        rule["to"][0]["podSelector"]["matchLabels"]
        for policy in policies_of(rendered, pod_templates(rendered)["gpdata-ingest"]["metadata"]["labels"])
        for rule in policy["egress"]
        if rule["ports"] == [{"port": 8081, "protocol": "TCP"}]
    ]
    assert way.items() <= hub.items()


def test_a_user_of_a_group_has_its_namespace(
    manifests: Manifests, chart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hub_config(manifests(ALL_ON), chart, monkeypatch)
    pods = {groups: user_pod(config, groups=groups)["spec"] for groups in [(), ("bio",)]}
    told = {
        groups: {e["name"]: e for e in spec["containers"][0]["env"]}["GPDATA_SPARK_NAMESPACE"]
        for groups, spec in pods.items()
    }
    assert [spec["serviceAccountName"] for spec in pods.values()] == ["gpdata-user", "gpdata-user-bio"]
    assert told[("bio",)]["value"] == "bio"
    assert told[()]["valueFrom"]["configMapKeyRef"]["key"] == "spark-namespace"


def test_the_hub_knows_the_service_its_scopes_and_who_has_them(
    manifests: Manifests, chart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hub_config(manifests(example="github"), chart, monkeypatch)
    assert config.Proxy.extra_routes.get_value({}) == {"/services/gpdata/": "http://gpdata-ingest:8470"}
    assert set(config.JupyterHub.custom_scopes.get_value({})) == {"custom:gpdata:write", "custom:gpdata:read"}
    roles = {role["name"]: role["scopes"] for role in config.JupyterHub.load_roles}
    assert {"custom:gpdata:write", "custom:gpdata:read"} <= set(roles["user"])
    assert "admin:users" not in {scope for scopes in roles.values() for scope in scopes}
    assert config.JupyterHub.authenticator_class == "github"


def test_no_pod_of_the_chart_is_root_or_privileged(manifests: Manifests) -> None:
    pods = pod_templates(manifests(example="github"))
    assert {"hub", "proxy", "autohttps", "gpdata-ingest"} <= pods.keys()
    for name, pod in pods.items():
        for container in containers(pod["spec"]):
            context = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
            assert context["runAsNonRoot"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"]["drop"] == ["ALL"], name
            assert not context.get("privileged"), name
            assert context["seccompProfile"]["type"] == "RuntimeDefault", f"{name}: Pod Security restricted asks for it"


def test_who_may_make_pods_in_all_of_the_cluster(manifests: Manifests) -> None:
    rendered = manifests(example="values-cluster")
    makers = {
        (m["kind"], m["metadata"]["name"], place(m))
        for m in of_kind(rendered, "Role", "ClusterRole")
        for rule in m["rules"]
        if "pods" in rule.get("resources", []) and {"create", "*"} & set(rule["verbs"])
    }
    assert makers == {("Role", "hub", "hub"), ("Role", "gpdata-executors", "gpdata-spark")}


@pytest.mark.parametrize(
    ("example", "kind"),
    [("laptop", "ClusterIP"), ("oidc", "ClusterIP"), ("github", "LoadBalancer"), ("values-lab", "ClusterIP")],
)
def test_only_the_proxy_is_published_and_only_where_tls_ends(manifests: Manifests, example: str, kind: str) -> None:
    rendered = manifests(example=example)
    types = {m["metadata"]["name"]: m["spec"].get("type", "ClusterIP") for m in rendered if m["kind"] == "Service"}
    assert types.pop("proxy-public") == kind
    assert set(types.values()) == {"ClusterIP"}
    if example == "oidc":
        assert one(rendered, "Ingress", "jupyterhub")["spec"]["tls"][0]["secretName"] == "hub-tls"
    if example == "github":
        assert one(rendered, "Deployment", "autohttps")
        entry = yaml.safe_load(one(rendered, "ConfigMap", "autohttps")["data"]["traefik.yaml"])["entryPoints"]["https"]
        assert entry["transport"]["respondingTimeouts"] == {"idleTimeout": "10m0s", "readTimeout": "300s"}


def test_the_metadata_server_is_out_of_reach(manifests: Manifests) -> None:
    egress = one(manifests(), "NetworkPolicy", "singleuser")["spec"]["egress"]
    wide = [to["ipBlock"] for rule in egress for to in rule.get("to", []) if "ipBlock" in to and "ports" not in rule]
    assert wide
    for block in wide:
        assert "169.254.169.254/32" in block.get("except", []), block


def test_a_misspelt_key_of_the_hub_is_refused(template: Callable[..., Any]) -> None:
    result = template({"jupyterhub": {"proxy": {"htps": {"enabled": True}}}})
    assert result.returncode != 0
    assert "Additional property htps is not allowed" in result.stderr


def test_state_is_on_core_nodes_and_people_on_theirs(
    manifests: Manifests, chart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = manifests(example="values-cluster")
    for name in ("hub", "proxy"):
        [term] = required_nodes(pod_templates(rendered)[name]["spec"])
        assert term == {"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["core"]}, name
    [term] = required_nodes(user_pod(hub_config(rendered, chart, monkeypatch))["spec"])
    assert term == {"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}


def required_nodes(spec: Manifest) -> list[Manifest]:
    """Return the conditions on the node that a pod cannot do without."""
    rule = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [condition for term in rule["nodeSelectorTerms"] for condition in term["matchExpressions"]]
