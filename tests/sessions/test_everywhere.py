"""The demo and every example notebook on Spark, wherever it computes: the numbers of DuckDB."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpdata.sessions.presets import PRESETS
from tests.notebooks.test_notebooks import NOTEBOOKS, nbval, passed
from tests.sessions import clusters

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("spark")]

SECRET = "a secret of the tests"


@pytest.fixture(scope="module", params=["local", "connect", "standalone"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Name where sessions compute, as a person names it: by the environment."""
    preset = {"GPDATA_ENGINE": "spark", "GPDATA_SPARK_PRESET": request.param}
    folder = tmp_path_factory.mktemp("everywhere")
    if request.param == "standalone":
        (folder / "secret").write_text(SECRET)
        with clusters.standalone(folder / "cluster", secret=SECRET, cores=2, memory="3g") as cluster:
            file = {"GPDATA_SPARK_SECRET_FILE": str(folder / "secret")}
            yield preset | file | {"GPDATA_SPARK_MASTER": cluster.master}
            # A worker keeps the folder of each executor that it started.
            assert list((folder / "cluster").glob("work-*/app-*/*")), "the cluster computed, and not the driver"
    elif request.param == "connect":
        with clusters.connect_server(PRESETS["connect"]) as server:
            yield preset | {"SPARK_REMOTE": server.address, "SPARK_CONNECT_AUTHENTICATE_TOKEN": server.token}
    else:
        yield preset


def test_every_notebook_shows_what_is_stored_in_it(place: dict[str, str], example_lake: Path, tmp_path: Path) -> None:
    passed(nbval(NOTEBOOKS, example_lake, tmp_path, **place), NOTEBOOKS)


def test_the_demo_tells_the_numbers_that_duckdb_tells(place: dict[str, str], captures: Path, tmp_path: Path) -> None:
    def told(engine: str) -> tuple[str, list[str]]:
        report = tmp_path / f"{engine}.html"
        command = [Path(sys.executable).parent / "gpdata", "demo", "--lake", tmp_path / "lake", "--captures", captures,
                   "--report", report, "--engine", engine]  # fmt: skip
        done = subprocess.run(command, env=os.environ | place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout, re.findall(r"<td[^>]*>([^<]*)</td>", report.read_text())

    told("duckdb")  # the lake is there from now on: the others say the same of what they did
    (_, expected), (_, found) = told("duckdb"), told("spark")
    assert len(expected) > 100
    assert found == expected
