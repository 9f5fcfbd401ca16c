"""The folder of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpdata
from gpdata.errors import LakeBusy
from gpdata.sweeps import folder
from tests.sweeps import runs


def test_a_sweep_that_runs_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "WAIT", 0.1)
    lake = tmp_path / "lake"
    name = f"{runs.evolve.__module__}.{runs.evolve.__qualname__}"
    with folder.Folder(tmp_path / "sweep").lock(), pytest.raises(LakeBusy, match="is running: process"):
        gpdata.sweep(runs.evolve, {"size": [3]}, lake=lake, folder=tmp_path / "sweep", name=name)
