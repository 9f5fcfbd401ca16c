"""The chart renders what it says, for its values as they stand and for each example."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "gpdata"
EXAMPLES = [None, *sorted(file.stem for file in (CHART / "examples").glob("*.yaml"))]
KUBERNETES = ["1.28", "1.31", "1.34", "1.37"]
Manifests = Callable[..., list[dict[str, Any]]]


def lake_claim(manifests: list[dict[str, Any]], name: str = "gpdata-lake") -> dict[str, Any]:
    [claim] = [m for m in manifests if m["kind"] == "PersistentVolumeClaim" and m["metadata"]["name"] == name]
    return claim


def merged(example: str) -> dict[str, Any]:
    """Return the chart's values with an example over them, as helm merges."""

    def over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
        both = {key: over(base[key], top[key]) for key in base.keys() & top.keys() if isinstance(top[key], dict)}
        return {**base, **top, **both}

    return over(
        yaml.safe_load((CHART / "values.yaml").read_text()),
        yaml.safe_load((CHART / "examples" / f"{example}.yaml").read_text()),
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_lint_finds_nothing(helm: Callable[..., Any], chart: Path, example: str | None) -> None:
    values = [f"--values={CHART / 'examples' / example}.yaml"] if example else []
    result = helm("lint", "--strict", chart, *values)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_manifests_fit_the_schemas_of_kubernetes(manifests: Manifests, version: str, example: str | None) -> None:
    rendered = manifests(example=example)
    for manifest in rendered:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_check_against_kubernetes_would_notice(manifests: Manifests) -> None:
    claim = lake_claim(manifests())
    claim["spec"]["accessMode"] = claim["spec"].pop("accessModes")
    with pytest.raises(kubernetes_validate.ValidationError, match="accessMode"):
        kubernetes_validate.validate(claim, KUBERNETES[0], strict=True)


def test_the_lake_is_a_claim_that_an_uninstall_leaves(manifests: Manifests) -> None:
    claim = lake_claim(manifests())
    assert claim["spec"] == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Gi"}}}
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["metadata"]["labels"]["app.kubernetes.io/instance"] == "lab"


def test_the_lake_as_the_examples_say(manifests: Manifests) -> None:
    laptop = lake_claim(manifests(example="laptop"))["spec"]
    assert laptop == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    github = lake_claim(manifests(example="github"))["spec"]
    assert github["storageClassName"] == "shared-files"
    names = [m["metadata"]["name"] for m in manifests(example="oidc") if m["kind"] == "PersistentVolumeClaim"]
    assert not {"gpdata-lake", "evolution-archive"} & set(names), "the claim is there already"


@pytest.mark.parametrize("example", EXAMPLES[1:])
def test_values_let_user_servers_read_the_lake_only(example: str) -> None:
    values = merged(example)
    user = values["jupyterhub"]["singleuser"]
    volume = user["storage"]["extraVolumes"]["lake"]
    mount = user["storage"]["extraVolumeMounts"]["lake"]
    assert volume["persistentVolumeClaim"] == {"claimName": values["lake"]["claimName"], "readOnly": True}
    assert mount == {"name": volume["name"], "mountPath": "/lake", "readOnly": True}
    assert Path(user["extraEnv"]["GPDATA_LAKE"]).is_relative_to(mount["mountPath"])
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
    for example in EXAMPLES[1:]:
        jsonschema.validate(merged(example), schema, jsonschema.Draft7Validator)
    closed = [part for part in objects(schema) if part.get("additionalProperties") is False]
    assert len(closed) == 2, "the values of our own: at the top, and of the lake"
    for part in closed:
        assert set(part["propertyNames"]["enum"]) == set(part["properties"]), "the names that a message lists"
    used = set(re.findall(r'"#/definitions/(\w+)"', json.dumps(schema)))
    assert used == set(schema["definitions"])


def test_the_dependency_is_pinned_and_the_chart_names_the_version_of_gpdata() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [dependency] = chart["dependencies"]
    assert dependency["name"] == "jupyterhub"
    assert re.fullmatch(r"\d+\.\d+\.\d+", dependency["version"]), "one version, no range"
    assert tuple(map(int, dependency["version"].split("."))) >= (4, 4, 0), "older ones have known security holes"
    user_image = yaml.safe_load((CHART / "values.yaml").read_text())["jupyterhub"]["singleuser"]["image"]
    version = re.search(r'^version = "(.+)"$', (CHART.parents[1] / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == user_image["tag"] == version[1]


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (None, ["Nobody can come in yet", "port-forward service/proxy-public 8000:http", "get pvc gpdata-lake"]),
        ("laptop", ["The first administrator signs up at /hub/signup as ada", "http://127.0.0.1:8000"]),
        ("github", ["https://hub.lab.example", "gpdata-lake (500Gi, ReadWriteMany)"]),
        ("oidc", ["https://hub.cs.example", "evolution-archive has to be in this namespace already"]),
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
    values = [f"--values={CHART / 'examples' / example}.yaml"] if example else []
    result = helm("template", "lab", copy, "--show-only", "templates/notes.yaml", *values)
    assert result.returncode == 0, result.stderr
    notes = yaml.safe_load(result.stdout)["notes"]
    for line in says:
        assert line in notes
    assert max(map(len, notes.splitlines())) <= 120


def test_the_manifests_of_the_page_fit_the_chart(manifests: Manifests) -> None:
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    [pod] = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    for version in KUBERNETES:
        kubernetes_validate.validate(pod, version, strict=True)
        assert version in page, "the page names the versions that are checked"
    claim = lake_claim(manifests())["metadata"]["name"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
