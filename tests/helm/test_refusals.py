"""What the chart refuses, and that it says where and what to do instead."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Template = Callable[..., subprocess.CompletedProcess[str]]
HUB = "jupyterhub.hub"
CONFIG = f"{HUB}.config"
PROXY = "jupyterhub.proxy"
USER = "jupyterhub.singleuser"
CLASS = f"{CONFIG}.JupyterHub.authenticator_class"
SPAWNER = f"{CONFIG}.KubeSpawner"
SECRET = "correct-horse-battery-staple"
SPOT = {"key": "gpdata/spot", "operator": "Exists"}

# (what is set, in which example, where the message points, what the message says)
REFUSED = [
    # Anybody comes in.
    (CLASS, "dummy", None, CLASS, "asks for proof, such as github, generic-oauth or native"),
    (CLASS, "jupyterhub.auth.DummyAuthenticator", None, CLASS, "asks for proof"),
    (CLASS, "shared-password", None, CLASS, "asks for proof"),
    (CLASS, "tmp", None, CLASS, "asks for proof"),
    (CLASS, "firstuseauthenticator.FirstUseAuthenticator", None, CLASS, "asks for proof"),
    (CLASS, None, None, f"{CONFIG}.JupyterHub", "authenticator_class is required"),
    (f"{HUB}.extraConfig.mine", "c.JupyterHub.authenticator_class = 'dummy'", None, "extraConfig.mine", "set it in"),
    (f"{CONFIG}.NativeAuthenticator.open_signup", True, None, "open_signup", "anybody who reaches the hub"),
    (f"{CONFIG}.GitHubOAuthenticator.allow_all", True, "github", "allow_all", "name allowed_organizations"),
    (f"{CONFIG}.Authenticator.allow_all", True, "github", "allow_all", "name allowed_organizations"),
    # Passwords travel in the clear.
    (f"{PROXY}.service.type", "NodePort", None, f"{PROXY}.service.type", "ClusterIP or LoadBalancer; NodePort opens"),
    (f"{PROXY}.service.type", "NodePort", "github", f"{PROXY}.service.type", "NodePort opens the hub on every node"),
    (f"{PROXY}.service.type", "LoadBalancer", None, f"{PROXY}.service.type", "set access to https or ingress"),
    (f"{PROXY}.service.type", "LoadBalancer", "oidc", f"{PROXY}.service.type", "would answer without TLS"),
    (f"{PROXY}.service.externalIPs", ["192.0.2.1"], None, "externalIPs", "would answer without TLS"),
    (f"{HUB}.service.type", "NodePort", None, f"{HUB}.service.type", "by its proxy alone"),
    (f"{PROXY}.https.enabled", False, "github", f"{PROXY}.https.enabled", "passwords travel unencrypted"),
    (f"{PROXY}.https.hosts", [], "github", f"{PROXY}.https.hosts", "at least 1"),
    (f"{PROXY}.https.type", "manual", "github", f"{PROXY}.https.type", "letsencrypt, secret or offload"),
    (f"{PROXY}.https.type", "secret", "github", f"{PROXY}.https", "is required"),
    ("jupyterhub.ingress.tls", [], "oidc", "jupyterhub.ingress.tls", "at least 1"),
    ("jupyterhub.ingress.enabled", False, "oidc", "jupyterhub.ingress.enabled", "true, as access is ingress"),
    ("jupyterhub.ingress.enabled", True, None, "jupyterhub.ingress.enabled", "set access to ingress"),
    ("jupyterhub.httpRoute.enabled", True, None, "jupyterhub.httpRoute.enabled", "set access to https"),
    ("access", "open", None, "access", '"loopback", "https", "ingress"'),
    # A user's server could do more than it should.
    (f"{USER}.uid", 0, None, f"{USER}.uid", "nobody is root"),
    (f"{USER}.allowPrivilegeEscalation", True, None, "allowPrivilegeEscalation", "nobody becomes root"),
    (f"{USER}.networkPolicy.enabled", False, None, f"{USER}.networkPolicy.enabled", "without network policies"),
    (f"{HUB}.networkPolicy.enabled", False, None, f"{HUB}.networkPolicy.enabled", "without network policies"),
    (f"{USER}.networkPolicy.egressAllowRules.cloudMetadataServer", True, None, "cloudMetadata", "node's credentials"),
    (f"{USER}.storage.extraVolumeMounts.lake.mountPath", "/data", None, "lake.mountPath", "said by lake.path"),
    (f"{USER}.extraEnv.GPDATA_LAKE", "/lake/other", None, f"{USER}.extraEnv.GPDATA_LAKE", "say lake.path"),
    (f"{USER}.serviceAccountName", "default", None, "serviceAccountName", "^gpdata-user"),
    (f"{USER}.serviceAccountName", "gpdata-user-x", None, "serviceAccountName", "name one of gpdata-user"),
    (f"{SPAWNER}.privileged", True, None, "privileged", "root on its node"),
    (f"{SPAWNER}.container_security_context.runAsNonRoot", False, None, "runAsNonRoot", "nobody is root"),
    (f"{SPAWNER}.container_security_context.capabilities.add", ["NET_ADMIN"], None, "add", "has no capabilities"),
    (f"{USER}.storage.extraVolumeMounts.lake.readOnly", False, None, "lake.readOnly", "never write to it"),
    (f"{USER}.storage.extraVolumes.lake.persistentVolumeClaim.readOnly", False, None, "readOnly", "never write to it"),
    (f"{USER}.image.tag", "latest", None, f"{USER}.image.tag", "a fixed tag"),
    (f"{USER}.image.tag", "", None, f"{USER}.image.tag", "greater than or equal to 1"),
    # The chart's own pods and executors could.
    ("images.ingest.tag", "latest", None, "images.ingest.tag", "a fixed tag"),
    ("jupyterhub.hub.image.tag", "latest", None, "hub.image.tag", "a fixed tag"),
    ("ingest.alsoFrom", [{}], None, "ingest.alsoFrom", "an empty one is everybody"),
    ("ingest.resources", {"limits": {"memory": None}}, None, "ingest.resources.limits", "memory is required"),
    ("spark.namespaces", [{"name": "kube-system"}], None, "spark.namespaces", "for executors alone"),
    ("spark.namespaces", [{"name": "default"}], None, "spark.namespaces", "for executors alone"),
    ("spark.namespaces", [{"name": "hub"}], None, '"hub"', "where the hub and its secrets are"),
    ("spark.namespaces", [{"name": "one"}, {"name": "one"}], None, '"one" twice', "one entry"),
    ("spark.namespaces", [], None, "spark.namespaces", "at least 1"),
    ("spark.enabled", True, None, "executors would not see the lake", "Set lake.volume or lake.s3.address"),
    ("transform.mode", "spark", None, "executors would not see the lake", "set lake.volume or lake.s3.address"),
    ("transform", {"mode": "spark", "spark": {"namespace": "gpdata-spark"}}, "values-lab", "gpdata-spark", "their own"),
    # What has state, on nodes that go.
    ("nodes.tolerations", [SPOT], None, "nodes.tolerations.0", "nodes that stay"),
    ("nodes.tolerations", [{"operator": "Exists"}], None, "nodes.tolerations.0", "tolerates spot nodes, too"),
    (f"{HUB}.tolerations", [SPOT], None, f"{HUB}.tolerations.0", "nodes that stay"),
    (f"{USER}.extraTolerations", [SPOT], None, f"{USER}.extraTolerations.0", "nodes that stay"),
    ("jupyterhub.scheduling.userPods.tolerations", [SPOT], None, "userPods.tolerations.0", "nodes that stay"),
    # A lake that is nowhere, or in two places.
    ("lake.path", "/data/lake", None, "lake.path", "^/lake"),
    ("lake.s3.address", "lab/lake", None, "lake.s3.address", "^(s3://"),
    ("lake.s3.endpoint", "http://store:9000", None, "lake.s3.allowHttp", "the network between is yours"),
    ("lake.s3.endpoint", f"https://key:{SECRET}@store", None, "lake.s3.endpoint", "without a user and a key"),
    ("lake.s3.address", "s3://lab/lake", None, "a volume that is not there", "to null"),
    ("lake.volume", {"nfs": {"server": "files", "path": "/lake"}}, "s3", "in one place", "empty one of them"),
    ("lake.volume.hostPath", {"path": "/srv"}, "values-cluster", "hostPath and nfs", "set the other ones to null"),
    ("lake.volume", {"local": {"path": "/srv"}}, None, "lake.volume is a local volume", "set lake.node"),
    ("lake.create", False, "values-lab", "lake.create is false", "set lake.create to true"),
    (f"{USER}.storage.extraVolumes.lake", None, None, "user servers do not mount the lake", "lake.s3.address"),
    ("shared.claimName", "everybody", None, "shared.claimName", 'mount the claim "gpdata-shared"'),
    # Nobody could upload.
    ("jupyterhub.enabled", False, None, "ingest.accounts", "set ingest.accounts to tokens"),
    # Misspelt or misplaced.
    ("laek.size", "1Gi", None, "laek", '"access", "global", "images", "nodes", "lake"'),
    ("lake.storageclass", "fast", None, "lake", '"claimName", "create", "accessMode", "storageClass", "size"'),
    ("ingest.spool.sise", "1Gi", None, "ingest.spool", '"size", "storageClass"'),
    ("spark.namespaces", [{"nmae": "x"}], None, "spark.namespaces.0", '"name", "create", "serviceAccount"'),
    ("spark.quota.gpu", "1", None, "spark.quota", '"cpu", "memory", "pods", "configmaps"'),
    ("spark.preset", "k8s-smal", None, "spark.preset", '"k8s-small"'),
    ("spark.settings", {"executor.memory": "1g"}, None, "spark.settings", "executor.memory"),
    ("transform.mode", "sprak", None, "transform.mode", '"embedded", "separate", "spark"'),
    ("transform.memory", "3 GB", None, "transform.memory", "KiB|MiB|GiB"),
    ("compaction.schedule", "daily", None, "compaction.schedule", "@[a-z]+"),
    ("compaction.resources.limit", {}, None, "compaction.resources", '"requests", "limits"'),
    ("lake.size", 100, None, "lake.size", "Expected: string"),
    ("lake.size", "100GB", None, "lake.size", "(Mi|Gi|Ti|Pi|M|G|T|P)"),
    ("lake.accessMode", "ReadOnlyMany", None, "lake.accessMode", '"ReadWriteMany", "ReadWriteOnce"'),
    # Two values that disagree.
    ("lake.claimName", "archive", None, "lake.claimName", 'user servers mount the claim "gpdata-lake"'),
    (
        f"{USER}.storage.extraVolumes.again",
        {"name": "again", "persistentVolumeClaim": {"claimName": "gpdata-lake"}},
        None,
        "extraVolumes.again",
        "would let user servers write to the lake",
    ),
]

SECRETS = [
    (f"{CONFIG}.GitHubOAuthenticator.client_secret", "Kubernetes Secret"),
    (f"{CONFIG}.LDAPAuthenticator.lookup_dn_search_password", "Kubernetes Secret"),
    (f"{CONFIG}.ConfigurableHTTPProxy.auth_token", "Kubernetes Secret"),
    (f"{CONFIG}.JupyterHub.cookie_secret", "Kubernetes Secret"),
    (f"{CONFIG}.CryptKeeper.keys", "Kubernetes Secret"),
    (f"{HUB}.cookieSecret", "leave it out"),
    (f"{HUB}.db.password", "Kubernetes Secret"),
    (f"{HUB}.services.mine.apiToken", "leave it out"),
    (f"{HUB}.extraEnv.OAUTH_CLIENT_SECRET", "valueFrom.secretKeyRef"),
    (f"{USER}.extraEnv.API_TOKEN", "valueFrom.secretKeyRef"),
    (f"{PROXY}.secretToken", "leave it out"),
    (f"{PROXY}.https.manual.key", "Kubernetes Secret"),
    ("jupyterhub.imagePullSecret.password", "jupyterhub.imagePullSecrets"),
    (f"{USER}.extraEnv.AWS_SECRET_ACCESS_KEY", "valueFrom.secretKeyRef"),
]


def nested(path: str, value: object) -> dict[str, Any]:
    """Return the values that set one dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(("path", "value", "example", "where", "message"), REFUSED)
def test_refused(template: Template, path: str, value: object, example: str | None, where: str, message: str) -> None:
    result = template(nested(path, value), example=example)
    assert result.returncode != 0
    assert where in result.stderr
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("path", "message"), SECRETS)
def test_a_secret_in_the_values_is_refused_and_not_repeated(template: Template, path: str, message: str) -> None:
    result = template(nested(path, SECRET))
    assert result.returncode != 0
    assert path in result.stderr
    assert message in result.stderr
    assert SECRET not in result.stderr


@pytest.mark.parametrize(
    "name", ["spark.authenticate.secret", "spark.hadoop.fs.s3a.secret.key", "spark.ssl.keyPassword"]
)
def test_a_secret_among_the_settings_of_spark_is_refused(template: Template, name: str) -> None:
    result = template({"spark": {"settings": {name: SECRET}}})
    assert result.returncode != 0
    assert "Kubernetes Secret" in result.stderr
    assert SECRET not in result.stderr


def test_a_password_in_the_database_address_is_refused(template: Template) -> None:
    result = template(nested(f"{HUB}.db.url", f"postgresql://hub:{SECRET}@db.example/hub"))
    assert result.returncode != 0
    assert "an address without a password" in result.stderr
    assert template(nested(f"{HUB}.db.url", "postgresql://hub@db.example/hub")).returncode == 0


@pytest.mark.parametrize(
    ("example", "values"),
    [
        (None, "jupyterhub: {hub: {extraEnv: {API_TOKEN: {valueFrom: {secretKeyRef: {name: a, key: b}}}}}}"),
        (None, "jupyterhub: {hub: {extraConfig: {mine: 'c.JupyterHub.allow_named_servers = True'}}}"),
        (None, "jupyterhub: {singleuser: {cloudMetadata: {blockWithIptables: false}}}"),
        (None, "jupyterhub: {singleuser: {extraEnv: {GPDATA_OWNER: lab}}}"),
        (None, "lake: {path: /lake, volume: {local: {path: /srv/lake}}, node: one}"),
        (None, "jupyterhub: {enabled: false}\ningest: {accounts: tokens}"),
        (None, "jupyterhub: {hub: {config: {JupyterHub: {authenticator_class: native}}}}"),
        (None, "spark: {enabled: true, lakeClaim: lake-copy, settings: {spark.ui.enabled: true}}"),
        (None, "ingest: {enabled: false}\ncompaction: {enabled: false}"),
        ("s3", "spark: {enabled: true, fallback: 's3a://lab/fallback'}\ntransform: {mode: spark}"),
        ("values-cluster", "nodes: {tolerations: [{key: mine, operator: Exists}]}"),
        ("github", "jupyterhub: {proxy: {https: {type: secret, secret: {name: hub-tls}}}}"),
        ("github", "jupyterhub: {proxy: {https: {type: offload}}, httpRoute: {enabled: true}}"),
        ("oidc", "jupyterhub: {hub: {config: {Authenticator: {allow_all: true}}}}"),
    ],
)
def test_what_is_safe_is_not_refused(template: Template, example: str | None, values: str) -> None:
    result = template(yaml.safe_load(values), example=example)
    assert result.returncode == 0, result.stderr
