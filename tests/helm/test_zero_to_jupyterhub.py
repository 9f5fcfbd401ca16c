"""What zero-to-jupyterhub makes of our values: only where its chart is at hand, and said so where it is not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifests = Callable[..., list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _needs_zero_to_jupyterhub(jupyterhub_chart: Path | None) -> None:
    if jupyterhub_chart is None:
        pytest.skip(
            "zero-to-jupyterhub was NOT rendered, only the chart's own templates: name its chart's folder or .tgz "
            "in GPDATA_JUPYTERHUB_CHART (`helm pull jupyterhub --repo https://hub.jupyter.org/helm-chart/ "
            "--version 4.4.0` fetches it)"
        )


def one(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def hub_values(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values that the hub reads when it starts, from which it makes user servers."""
    values = yaml.safe_load(base64.b64decode(one(manifests, "Secret", "hub")["data"]["values.yaml"]))
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize(
    ("example", "claim", "path"),
    [("laptop", "gpdata-lake", "/lake"), ("oidc", "evolution-archive", "/lake/genetic-programming")],
)
def test_the_hub_is_told_to_mount_the_lake_read_only(manifests: Manifests, example: str, claim: str, path: str) -> None:
    user = hub_values(manifests(example=example))["singleuser"]
    source = user["storage"]["extraVolumes"]["lake"]["persistentVolumeClaim"]
    assert source == {"claimName": claim, "readOnly": True}
    assert user["storage"]["extraVolumeMounts"]["lake"]["readOnly"] is True
    assert user["extraEnv"]["GPDATA_LAKE"] == path
    assert (user["uid"], user["allowPrivilegeEscalation"]) == (1000, False)
    assert user["cloudMetadata"]["blockWithIptables"] is True


def test_no_pod_of_the_chart_is_root_or_privileged(manifests: Manifests) -> None:
    rendered = manifests(example="github")
    pods = {m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in rendered if "template" in m.get("spec", {})}
    assert {"hub", "proxy", "autohttps"} <= pods.keys()
    for name, pod in pods.items():
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
            assert context["runAsNonRoot"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name


@pytest.mark.parametrize(
    ("example", "kind"), [("laptop", "ClusterIP"), ("oidc", "ClusterIP"), ("github", "LoadBalancer")]
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
