"""In how many pieces a lake is read and moved, and whose sessions are fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.sessions import session as sessions_module
from gpdata.sessions.cluster import Plan
from gpdata.sessions.partitions import MOVED, SPLIT, Pieces, fit, pieces, session_cores
from tests.support import run_lines, write_stream

MIB = 2**20
Sessions = Callable[[str], Any]
both = pytest.mark.parametrize("kind", ["spark", "connect"])
spark = pytest.mark.xdist_group("spark")


def test_pieces_follow_size_and_cores() -> None:
    # Something for every core, also of a small lake; nothing too large to hold, also of a large one.
    assert pieces(0, 4) == Pieces(4 * MIB, 4)
    assert pieces(120 * MIB, 2).split_bytes == 20 * MIB
    assert pieces(10**6 * MIB, 2).split_bytes == 32 * MIB
    assert [pieces(size * MIB, 4).moved for size in (8, 80, 800, 8_000, 800_000)] == [4, 10, 100, 1000, 4096]
    for size in (10, 1_000, 100_000):
        assert pieces(size * MIB, 64).split_bytes <= pieces(size * MIB, 8).split_bytes


@pytest.fixture
def unfitted(sessions: Sessions, kind: str) -> Iterator[Any]:
    """A session as it is before a lake is opened, and after the test."""
    session = sessions(kind)
    session.conf.unset(MOVED)
    session.conf.unset(SPLIT)
    session.__dict__.pop("_gpdata_fitted", None)
    yield session
    session.conf.unset(MOVED)
    session.conf.unset(SPLIT)
    session.__dict__.pop("_gpdata_fitted", None)


def ours(monkeypatch: pytest.MonkeyPatch, *given: str) -> None:
    """Let the session be one that gpdata started, with these settings given by its user."""
    monkeypatch.setattr(sessions_module, "plan_of", lambda _: Plan("local", {}, {}, given=frozenset(given)))


@spark
@both
def test_a_borrowed_session_stays_as_it_is(unfitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "plan_of", lambda _: None)
    before = unfitted.conf.get(SPLIT)
    assert fit(unfitted, 800 * MIB) is None
    assert (unfitted.conf.get(SPLIT), unfitted.conf.get(MOVED, None)) == (before, None)


@spark
@both
def test_the_largest_lake_counts_and_what_a_user_sets_stays(unfitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours(monkeypatch)
    assert session_cores(unfitted) == 2
    fit(unfitted, 800 * MIB)
    assert (unfitted.conf.get(SPLIT), unfitted.conf.get(MOVED)) == (str(32 * MIB), "100")
    fit(unfitted, 8 * MIB)
    assert unfitted.conf.get(MOVED) == "100"
    unfitted.conf.set(MOVED, "7")
    fit(unfitted, 8_000 * MIB)
    assert unfitted.conf.get(MOVED) == "7"


@spark
@pytest.mark.parametrize("kind", ["spark"])
def test_what_was_given_when_it_started_stays(unfitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours(monkeypatch, MOVED)
    fit(unfitted, 800 * MIB)
    assert (unfitted.conf.get(SPLIT), unfitted.conf.get(MOVED, None)) == (str(32 * MIB), None)


@spark
@both
def test_opening_a_lake_fits_the_session_and_spark_keeps_to_it(
    unfitted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_paths([write_stream(tmp_path / "stream.jsonl", run_lines(generations=3))], lake)
    ours(monkeypatch)
    lab = gpdata.open(lake.path, engine=unfitted)
    assert unfitted.conf.get(SPLIT) == str(4 * MIB)
    assert unfitted.conf.get(MOVED) == "2"
    unfitted.conf.set(MOVED, "5")
    (shuffle,) = gpdata.diagnose(lab.individuals.groupBy("generation").count(), run=False).plan.shuffles
    assert shuffle.partitions == 5  # it is this setting that Spark takes
