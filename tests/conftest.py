"""What every test can ask for: the recorder streams, where the folder is there."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from tests import sparks

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = Path(os.environ.get("GPDATA_CAPTURES", ROOT.parent / "shared" / "captures"))


@pytest.fixture(scope="session")
def captures() -> Path:
    """Return the folder of recorder streams of real Clojush runs, or skip."""
    if not CAPTURES.is_dir():
        pytest.skip(f"no recorder streams at {CAPTURES}; name their folder in GPDATA_CAPTURES to run this test")
    return CAPTURES


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a path that the first process of pytest-xdist makes and all of them read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(path)
            made.touch()
    return path


@pytest.fixture(scope="session")
def captured(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a compacted lake of every capture; read only."""

    def make(path: Path) -> None:
        lake = Lake.create(path)
        import_paths([captures], lake)
        compact(lake)

    return made_once(tmp_path_factory, "captured", make)


@pytest.fixture(scope="session")
def example_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the lake of the example notebooks, made by the command that researchers type; read only."""

    def make(path: Path) -> None:
        command = [Path(sys.executable).parent / "gpdata", "example-lake", "--lake", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "example-lake", make)


@pytest.fixture(scope="session")
def connect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Return what gives the address of a Spark Connect server, started when it is first asked for.

    Only tests of the xdist group "spark" ask: one process then starts one.
    """
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(sparks.server(tmp_path_factory.mktemp("connect") / "server.log")))


@pytest.fixture(scope="session")
def sessions(connect_server: Callable[[], str]) -> Iterator[Callable[[str], Any]]:
    """Return what gives the session of an engine's name, started when it is first asked for."""
    started: dict[str, Any] = {}
    with ExitStack() as stack:

        def session(engine: str) -> Any:
            if engine not in started:
                started[engine] = stack.enter_context(
                    sparks.classic() if engine == "spark" else sparks.connect(connect_server())
                )
            return started[engine]

        yield session


@pytest.fixture(
    scope="session",
    params=[
        "duckdb",
        "polars",
        pytest.param("spark", marks=pytest.mark.xdist_group("spark")),
        pytest.param("connect", marks=pytest.mark.xdist_group("spark")),
    ],
)
def engine(request: pytest.FixtureRequest, sessions: Callable[[str], Any]) -> Any:
    """Return each engine in turn, as gpdata.open takes it."""
    name = request.param
    return name if name in ("duckdb", "polars") else sessions(name)
