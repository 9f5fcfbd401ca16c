"""Provenance: lake, version, freshness and definition, without asking the engine."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.importers import import_paths
from gpdata.lab import Lab
from gpdata.lake import Lake
from gpdata.origin import Provenance
from tests.support import run_lines, write_stream

WHEN = datetime(2026, 11, 20, 9, 30, 1, 250_000, tzinfo=UTC)
ORIGIN = Provenance("/lab", 7, 9, "duckdb", 3, True, WHEN, None, "0.1.0", "a <b>")


def record(path, generations=2, **config):
    with gpdata.Recorder(path, system="mine", problem="odd", config=config) as run:
        for error in range(generations):
            run.generation([{"total_error": float(error)}])
    return run


def test_it_says_what_was_asked_and_how_new_it_is(tmp_path):
    before = datetime.now(UTC) - timedelta(seconds=1)
    run = record(tmp_path / "lab")
    lab = gpdata.open(run.lake)
    found = gpdata.provenance(lab, "how many")
    times = lab.sql("SELECT max(received_at), max(started_at) FROM generations").fetchall()[0]
    assert (found.received_at, found.started_at) == times
    assert before < found.received_at < datetime.now(UTC) + timedelta(seconds=1)
    assert dataclasses.replace(found, received_at=None, started_at=None) == Provenance(
        str(run.lake), lab.version, lab.version, "duckdb", 1, False, None, None, gpdata.__version__, "how many"
    )
    assert "newest generation received 20" in str(found)
    assert str(found).endswith("\nhow many")


def test_an_earlier_version_and_chosen_runs_are_said(tmp_path):
    first = record(tmp_path / "lab")
    earlier = gpdata.open(first.lake).version
    second = record(tmp_path / "lab")
    old = gpdata.open(first.lake, version=earlier)
    assert gpdata.provenance(old).newest_version == gpdata.open(first.lake).version > earlier
    assert f"version {earlier} (the lake had {earlier + 1}), 1 run;" in str(gpdata.provenance(old))
    chosen = gpdata.provenance(gpdata.open(first.lake, runs=second.run_uuid))
    assert (chosen.runs, chosen.selection) == (1, True)
    assert "1 run (chosen)" in str(chosen)


def test_what_came_later_is_seen_without_opening_again(tmp_path):
    lab = gpdata.open(record(tmp_path / "lab").lake)
    before = gpdata.provenance(lab)
    record(tmp_path / "lab")
    after = gpdata.provenance(lab)
    assert after == dataclasses.replace(before, newest_version=before.version + 1)


def test_an_import_has_no_time_of_receipt(tmp_path):
    import_paths([write_stream(tmp_path / "run.jsonl", run_lines())], Lake.create(tmp_path / "lab"))
    found = gpdata.provenance(gpdata.open(tmp_path / "lab"))
    assert found.received_at is None
    assert found.started_at == datetime(2023, 11, 14, 22, 13, 24, tzinfo=UTC)
    assert "newest generation started 2023-11-14 22:13:24 UTC (when it was received is not known)" in str(found)


def test_an_empty_lake(tmp_path):
    Lake.create(tmp_path / "lab")
    found = gpdata.provenance(gpdata.open(tmp_path / "lab"))
    assert (found.version, found.runs, found.received_at, found.started_at) == (0, 0, None, None)
    assert "age of the newest generation not known" in str(found)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_the_engine_is_not_asked(engine, tmp_path, monkeypatch):
    lab = gpdata.open(record(tmp_path / "lab").lake, engine=engine)
    for table in ("runs", "generations", "individuals"):
        monkeypatch.delattr(lab, table)
    for path in (lab.path / "individuals").glob("*.parquet"):
        path.unlink()
    assert gpdata.provenance(lab).engine == engine


def test_it_goes_through_json():
    assert Provenance.from_dict(json.loads(json.dumps(ORIGIN.to_dict()))) == ORIGIN
    assert Provenance.from_dict(ORIGIN.to_dict() | {"later": 1}) == ORIGIN


@pytest.mark.parametrize(
    "changed", [{"version": "7"}, {"runs": None}, {"started_at": 3}, {"received_at": "yesterday"}, {"selection": 1}]
)
def test_another_dict_is_refused(changed):
    with pytest.raises(InvalidInput, match="cannot be"):
        Provenance.from_dict(ORIGIN.to_dict() | changed)
    for given in (None, [], {}, {name: value for name, value in ORIGIN.to_dict().items() if name not in changed}):
        with pytest.raises(InvalidInput, match="cannot be used"):
            Provenance.from_dict(given)


def test_a_provenance_takes_another_definition():
    assert gpdata.provenance(ORIGIN) is ORIGIN
    assert gpdata.provenance(ORIGIN, "x") == dataclasses.replace(ORIGIN, definition="x")


@pytest.mark.parametrize("given", [None, "lab", 3, Lab])
def test_another_source_is_refused(given):
    with pytest.raises(InvalidInput, match=r"valid are what gpdata\.open returned"):
        gpdata.provenance(given)


def test_the_name_stays_a_function():
    import gpdata.origin

    assert gpdata.provenance is gpdata.origin.provenance
