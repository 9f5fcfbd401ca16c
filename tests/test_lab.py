"""`lab.mine`, and what `gpdata.open` and `gpdata.Recorder` do where nobody tells them where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput

FRAMES = ("runs", "generations", "individuals", "errors", "genes")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for owner, problem in (("ada", "odd"), ("bob", "even"), ("ada", "sextic"), (None, "mux")):
        with gpdata.Recorder(tmp_path / "lake", system="mine", problem=problem, owner=owner, run_uuid=problem) as run:
            run.generation([{"errors": [0.0, 1.0], "genome": ["a"]}] * 2, outcome="success")
    return tmp_path / "lake"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPDATA_OWNER", "JUPYTERHUB_USER", "GPDATA_LAKE", "GPDATA_SERVER", "GPDATA_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def runs_of(frame: Any) -> set[str]:
    return set(to_arrow(frame).column("run_uuid").to_pylist())


@pytest.mark.parametrize("variable", ["JUPYTERHUB_USER", "GPDATA_OWNER"])
@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_mine_are_the_runs_that_i_own(lake: Path, engine: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "ada")
    lab = gpdata.open(lake, engine=engine)
    assert [runs_of(getattr(lab.mine, name)) for name in FRAMES] == [{"odd", "sextic"}] * 5
    assert runs_of(lab.mine.sql("SELECT run_uuid FROM generations")) == {"odd", "sextic"}
    assert (lab.mine.version, lab.mine.path) == (lab.version, lab.path)
    assert type(lab.mine.runs) is type(lab.runs)
    # The lab itself still has all of them.
    assert len(runs_of(lab.runs)) == len(runs_of(lab.sql("SELECT run_uuid FROM individuals"))) == 4


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_mine_of_chosen_runs_and_of_none(lake: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "bob")
    assert runs_of(gpdata.open(lake, runs=["odd", "even"], engine=engine).mine.runs) == {"even"}
    assert [runs_of(getattr(gpdata.open(lake, runs="odd", engine=engine).mine, name)) for name in FRAMES] == [set()] * 5


def test_mine_stays_at_its_version(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    before = gpdata.open(lake)
    with gpdata.Recorder(lake, system="mine", owner="ada", run_uuid="later") as run:
        run.generation([{"errors": [0.0]}])
    assert runs_of(before.mine.runs) == {"odd", "sextic"}
    assert runs_of(gpdata.open(lake).mine.runs) == {"odd", "sextic", "later"}


def test_a_name_that_is_set_goes_before_the_hubs(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    monkeypatch.setenv("GPDATA_OWNER", "bob")
    assert runs_of(gpdata.open(lake).mine.runs) == {"even"}


def test_without_a_name_mine_says_how_to_give_one(lake: Path) -> None:
    with pytest.raises(InvalidInput, match="GPDATA_OWNER"):
        _ = gpdata.open(lake).mine


def test_open_and_recorder_find_the_lake_that_is_named_once(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPDATA_LAKE", str(lake))
    assert gpdata.open().path == lake
    with gpdata.Recorder(system="mine", run_uuid="here") as run:
        run.generation([{"errors": [0.0]}])
    assert "here" in runs_of(gpdata.open().runs)


def test_recorder_prefers_the_server_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPDATA_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("GPDATA_SERVER", "http://127.0.0.1:9/services/gpdata")
    monkeypatch.setenv("GPDATA_TOKEN", "0123456789abcdef")
    run = gpdata.Recorder(system="mine", outbox=tmp_path / "box", close_timeout=0)
    assert run.lake == "http://127.0.0.1:9/services/gpdata"
    run.generation([{"errors": [0.0]}])
    with pytest.warns(UserWarning, match="--drain"):
        run.close()
    assert not (tmp_path / "lake").exists()
