"""The chart renders what it says, for its values as they stand, for each size and each example."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.helm.reading import CHART, EVERYTHING, Manifest, merged, of_kind, one, values_files

ROOT = CHART.parents[1]
KUBERNETES = ["1.28", "1.31", "1.34", "1.37"]
Manifests = Callable[..., list[Manifest]]
ALL_ON: dict[str, Any] = {
    "lake": {"volume": {"nfs": {"server": "files.lab.example", "path": "/export"}}},
    "spark": {
        "enabled": True,
        "preset": "k8s-small",
        "namespaces": [
            {"name": "gpdata-spark"},
            {"name": "bio", "serviceAccount": "gpdata-user-bio", "groups": ["bio"], "quota": {"cpu": "2"}},
        ],
    },
    "transform": {"mode": "spark"},
    "monitoring": {"namespace": "watch", "serviceMonitor": True, "alerts": True, "dashboard": True},
}
"""Everything that can be switched on at once."""
SEPARATE = {"transform": {"mode": "separate"}}


@pytest.mark.parametrize("example", EVERYTHING)
def test_lint_finds_nothing(helm: Callable[..., Any], chart: Path, example: str | None) -> None:
    result = helm("lint", "--strict", chart, *(f"--values={file}" for file in values_files(example)))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("example", [*EVERYTHING, "everything", "separate"])
def test_manifests_fit_the_schemas_of_kubernetes(manifests: Manifests, version: str, example: str | None) -> None:
    special = {"everything": ALL_ON, "separate": SEPARATE}
    values = special.get(str(example))
    rendered = manifests(values, example=None if values else example, kubernetes=f"{version}.0")
    operators = {"ServiceMonitor", "PrometheusRule"}  # not Kubernetes' own kinds
    checked = [manifest for manifest in rendered if manifest["kind"] not in operators]
    assert len(checked) > 10
    for manifest in checked:
        fits(json.dumps(manifest, sort_keys=True), version)


@cache
def fits(manifest: str, version: str) -> None:
    """Fail where a manifest does not fit; examples share most of theirs, and each look reads the schemas anew."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)


def test_the_check_against_kubernetes_would_notice(manifests: Manifests) -> None:
    claim = one(manifests(), "PersistentVolumeClaim", "gpdata-lake")
    broken = {**claim, "spec": {**claim["spec"], "accessMode": claim["spec"]["accessModes"]}}
    with pytest.raises(kubernetes_validate.ValidationError, match="accessMode"):
        kubernetes_validate.validate(broken, KUBERNETES[0], strict=True)


def test_the_lake_is_a_claim_that_an_uninstall_leaves(manifests: Manifests) -> None:
    claims = of_kind(manifests(), "PersistentVolumeClaim")
    kept = {m["metadata"]["name"] for m in claims if "helm.sh/resource-policy" in m["metadata"].get("annotations", {})}
    assert {"gpdata-lake", "gpdata-spool", "gpdata-shared"} <= kept
    claim = one(claims, "PersistentVolumeClaim", "gpdata-lake")
    assert claim["spec"] == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Gi"}}}
    assert claim["metadata"]["labels"]["app.kubernetes.io/instance"] == "lab"


def test_the_lake_as_the_examples_say(manifests: Manifests) -> None:
    laptop = one(manifests(example="laptop"), "PersistentVolumeClaim", "gpdata-lake")["spec"]
    assert laptop == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    github = one(manifests(example="github"), "PersistentVolumeClaim", "gpdata-lake")["spec"]
    assert github["storageClassName"] == "shared-files"
    for example in ("oidc", "s3"):
        names = {m["metadata"]["name"] for m in of_kind(manifests(example=example), "PersistentVolumeClaim")}
        assert not {"gpdata-lake", "evolution-archive"} & names, "it is there already, or is no volume"


@pytest.mark.parametrize("example", EVERYTHING)
def test_values_let_user_servers_read_the_lake_only(example: str | None) -> None:
    values = merged(example)
    user = values["jupyterhub"]["singleuser"]
    volume = user["storage"]["extraVolumes"]["lake"]
    mount = user["storage"]["extraVolumeMounts"]["lake"]
    if example == "s3":
        assert (volume, mount) == (None, None)
        assert values["lake"]["s3"]["writerSecret"] != "gpdata-lake-reader"
        secret = user["extraEnv"]["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]
        assert secret["name"] == "gpdata-lake-reader"
    else:
        assert volume["persistentVolumeClaim"] == {"claimName": values["lake"]["claimName"], "readOnly": True}
        assert mount == {"name": volume["name"], "mountPath": "/lake", "readOnly": True}
    assert user["uid"] > 0
    assert user["allowPrivilegeEscalation"] is False


def test_an_older_kubernetes_is_refused(helm: Callable[..., Any], chart: Path) -> None:
    result = helm("template", "lab", chart, "--kube-version", "1.27.0")
    assert result.returncode != 0
    assert "requires kubeVersion: >=1.28.0-0" in result.stderr


def objects(schema: object) -> Iterator[dict[str, Any]]:
    """Return every object within a JSON schema."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def test_the_schema_of_the_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    for example in EVERYTHING:
        jsonschema.validate(merged(example), schema, jsonschema.Draft7Validator)
    closed = [part for part in objects(schema) if part.get("additionalProperties") is False]
    assert len(closed) > 10
    for part in closed:
        assert set(part["propertyNames"]["enum"]) == set(part["properties"]), "the names that a message lists"
    used = set(re.findall(r'"#/definitions/(\w+)"', json.dumps(schema)))
    assert used == set(schema["definitions"])


def test_no_part_of_our_own_values_is_open() -> None:
    """A misspelt key is refused wherever it stands, but where people write what Kubernetes or Spark takes."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    free = {"global", "nodes.selector", "lake.volume", "ingest.alsoFrom", "spark.settings", "monitoring.labels",
            "spark.executors.nodeSelector", "transform.spark.image"}  # fmt: skip

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        for piece in [part, *part.get("allOf", [])]:
            if "$ref" in piece:
                return resolved(schema["definitions"][piece["$ref"].rpartition("/")[2]])
        return part

    def look(path: str, part: dict[str, Any]) -> None:
        part = resolved(part)
        if path in free or part.get("type") != "object":
            return
        assert part.get("additionalProperties") is False or "resources." in path, path
        for key, inner in part.get("properties", {}).items():
            look(f"{path}.{key}".lstrip("."), inner)

    for key, part in schema["properties"].items():
        if key != "jupyterhub":  # its own schema closes it
            look(key, part)


def test_the_dependency_is_pinned_and_the_chart_names_the_version_of_gpdata() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [dependency] = chart["dependencies"]
    assert dependency["name"] == "jupyterhub"
    assert re.fullmatch(r"\d+\.\d+\.\d+", dependency["version"]), "one version, no range"
    assert tuple(map(int, dependency["version"].split("."))) >= (4, 4, 0), "older ones have known security holes"
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    hub = values["jupyterhub"]
    images = [values["images"]["ingest"], values["images"]["spark"], hub["hub"]["image"], hub["singleuser"]["image"]]
    built = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "hub/images/Containerfile").read_text(), re.MULTILINE))
    assert {image["name"].removeprefix("gpdata-") for image in images} <= built
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert {chart["appVersion"], *(image["tag"] for image in images)} == {version[1]}


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (None, ["Nobody can come in yet", "port-forward service/proxy-public 8000:http", "get pvc gpdata-lake"]),
        ("laptop", ["The first administrator signs up at /hub/signup as ada", "http://127.0.0.1:8000"]),
        ("github", ["https://hub.lab.example", "gpdata-lake (500Gi, ReadWriteMany)"]),
        ("github", ["upload to https://hub.lab.example/services/gpdata, with tokens"]),
        ("oidc", ["https://hub.cs.example", "evolution-archive has to be in this namespace already"]),
        ("oidc", ["The lake is in its folder /lake/genetic-programming."]),
        ("s3", ["It is s3://lab/lake at https://s3.lab.example", "gpdata-lake-writer"]),
        ("values-lab", ["executors in gpdata-spark, which may use 8 cores", "gp.doctor(", "169.254.169.254"]),
    ],
)
def test_the_notes_say_what_comes_next(
    helm: Callable[..., Any], chart: Path, tmp_path: Path, example: str | None, says: list[str]
) -> None:
    """Helm shows the notes on a cluster only: so a copy renders them as a manifest."""
    copy = tmp_path / "gpdata"
    shutil.copytree(chart, copy)
    (copy / "templates" / "NOTES.txt").rename(copy / "notes")
    (copy / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "notes") . | quote }}\n')
    values = [f"--values={file}" for file in values_files(example)]
    result = helm("template", "lab", copy, "--show-only", "templates/notes.yaml", *values)
    assert result.returncode == 0, result.stderr
    notes = yaml.safe_load(result.stdout)["notes"]
    for line in says:
        assert line in notes
    assert max(map(len, notes.splitlines())) <= 120
