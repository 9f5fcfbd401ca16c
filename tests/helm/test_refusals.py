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
SECRET = "correct-horse-battery-staple"

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
    (f"{USER}.storage.extraVolumeMounts.lake.readOnly", False, None, "lake.readOnly", "never write to it"),
    (f"{USER}.storage.extraVolumes.lake.persistentVolumeClaim.readOnly", False, None, "readOnly", "never write to it"),
    (f"{USER}.image.tag", "latest", None, f"{USER}.image.tag", "a fixed tag"),
    (f"{USER}.image.tag", "", None, f"{USER}.image.tag", "greater than or equal to 1"),
    # Misspelt or misplaced.
    ("laek.size", "1Gi", None, "laek", '"access", "lake", "jupyterhub"'),
    ("lake.storageclass", "fast", None, "lake", '"claimName", "create", "accessMode", "storageClass", "size"'),
    ("lake.size", 100, None, "lake.size", "Expected: string"),
    ("lake.size", "100GB", None, "lake.size", "(Mi|Gi|Ti|Pi|M|G|T|P)"),
    ("lake.accessMode", "ReadOnlyMany", None, "lake.accessMode", '"ReadWriteMany", "ReadWriteOnce"'),
    # Two values that disagree.
    ("lake.claimName", "archive", None, "lake.claimName", 'user servers mount the claim "gpdata-lake"'),
    (f"{USER}.extraEnv.GPDATA_LAKE", "/lakeside", None, "GPDATA_LAKE", 'give "/lake"'),
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
        (None, "jupyterhub: {singleuser: {extraEnv: {GPDATA_LAKE: /lake/, GPDATA_OWNER: lab}}}"),
        ("github", "jupyterhub: {proxy: {https: {type: secret, secret: {name: hub-tls}}}}"),
        ("github", "jupyterhub: {proxy: {https: {type: offload}}, httpRoute: {enabled: true}}"),
        ("oidc", "jupyterhub: {hub: {config: {Authenticator: {allow_all: true}}}}"),
    ],
)
def test_what_is_safe_is_not_refused(template: Template, example: str | None, values: str) -> None:
    result = template(yaml.safe_load(values), example=example)
    assert result.returncode == 0, result.stderr
