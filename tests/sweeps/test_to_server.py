"""A sweep whose runs go to a real ingest service, which is away and comes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpdata
from gpdata.errors import GpdataError, InvalidInput
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake, Transformer
from tests.ingest.test_service import Process
from tests.support import free_port
from tests.sweeps import runs
from tests.sweeps.test_sweep import recorded


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Process]:
    """Return a running service."""
    started = Process(tmp_path / "lake")
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.communicate()


def test_a_servers_runs_are_exactly_the_cells(service: Process, tmp_path: Path) -> None:
    grid, folder = {"size": [1, 2]}, tmp_path / "sweep"
    arguments = {"lake": service.url, "token": service.secret, "folder": folder, "workers": 2}
    found = gpdata.sweep(runs.evolve, grid, **arguments)
    assert found.outcome.tolist() == ["done"] * 2
    # The folder is gone, and the server knows what it has.
    folder.rename(tmp_path / "gone")
    assert gpdata.sweep(runs.evolve, grid, **arguments).attempts.tolist() == [0, 0]
    only_write = Tokens(tmp_path / "lake" / "tokens").create("ada", scopes=["write"])[1]
    with pytest.raises(InvalidInput, match="needs a token with the scopes write and read"):
        gpdata.sweep(runs.evolve, {"size": [3]}, **{**arguments, "token": only_write})
    service.end(signal.SIGTERM)
    with pytest.raises(GpdataError, match="does not answer"):
        gpdata.sweep(runs.evolve, {"size": [3]}, **arguments)
    Transformer(Lake.open(tmp_path / "lake")).run()
    assert set(recorded(tmp_path / "lake")) == set(found.run_uuid)


def test_an_address_that_nobody_answers_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(GpdataError, match="does not answer"):
        gpdata.sweep(
            runs.evolve,
            {"size": [1]},
            lake=f"http://127.0.0.1:{free_port()}",
            token="gpdata_1_2",
            folder=tmp_path / "s",
        )
