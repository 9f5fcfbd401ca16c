"""One run of Clojush, as its recorder sent it and as its four logs have it: equal wherever two say something."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from gpdata.importers import FORMATS, import_archives, lacks, said_lacks
from gpdata.lake import Lake
from tests.support import contents

LOGS = {"csv": "log.csv", "edn": "log.edn", "json": "log.json", "text": "log", "recorder": "jsonl"}
NAME = "demos.odd-legacy_logs-s51"
PER_FORMAT = {"run_uuid", "line_sha256", "config_id", "config", "report", "extra", "outcome"}
"""Compared apart, or made anew for each file."""

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def lakes(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    found = {}
    for name, ending in LOGS.items():
        path = tmp_path_factory.mktemp(name) / "lake"
        done = import_archives([captures / f"{NAME}.{ending}.zst"], Lake.create(path))
        assert (done.formats, done.account.quarantined, done.refused) == ({name: 1}, 0, []), name
        found[name] = {table: rows.to_pylist() for table, rows in contents(path).items()}
    return found


def rows_of(lakes: dict[str, Rows], name: str, table: str) -> list[dict[str, Any]]:
    rows = lakes[name][table]
    assert len(rows) == {"runs": 1, "generations": 7, "individuals": 420}[table]
    return rows


@pytest.mark.parametrize("name", [name for name in LOGS if name != "recorder"])
@pytest.mark.parametrize("table", ["runs", "generations", "individuals"])
def test_a_log_says_what_the_recorder_said_or_nothing(lakes: dict[str, Rows], name: str, table: str) -> None:
    shared = set()
    for log, sent in zip(rows_of(lakes, name, table), rows_of(lakes, "recorder", table), strict=True):
        for column, value in sent.items():
            if column in PER_FORMAT or value is None or log.get(column) is None:
                continue
            assert log[column] == value, f"{column}: the recorder said {value}, {name} says {log[column]}"
            shared.add(column)
    must = {
        "csv": {"uuid", "parent_uuids", "genetic_operators", "errors", "gene_uuid", "total_error_q1", "age_min"},
        "edn": {"uuid", "parent_uuids", "genetic_operators", "errors", "gene_close", "distinct_genomes"},
        "json": {"total_error", "errors", "total_error_median", "distinct_error_vectors"},
        "text": {"problem", "version", "git_hash", "best_errors", "best_percent_parens", "best_simplified_program"},
    }[name] & {*rows_of(lakes, name, table)[0]} - {"age_min"}
    assert must <= shared


@pytest.mark.parametrize("name", list(LOGS))
def test_what_a_format_lacks_is_null_and_the_rest_can_be_had(lakes: dict[str, Rows], name: str) -> None:
    for table, columns in lacks(name).items():
        for row in rows_of(lakes, name, table):
            said = {column for column in columns if row[column] not in (None, [])}
            assert said <= {"outcome"}, f"{name} lacks {said}, and yet they are there"
    for table, rows in lakes[name].items():
        filled = {column for row in rows for column, value in row.items() if value is not None}
        assert not (filled & set(lacks(name)[table])) - {"outcome", "config", "report"}


def test_no_log_invents_zeros_or_empty_lists(lakes: dict[str, Rows]) -> None:
    """In particular: parents of random individuals stay null, and what stands in for an unknown one says nothing."""
    for name in ("csv", "edn"):
        first = [row for row in rows_of(lakes, name, "individuals") if row["generation"] == 0]
        assert {row["parent_uuids"] is None for row in first} == {True}
    for row in rows_of(lakes, "text", "individuals"):
        assert {column for column, value in row.items() if value is not None} == {"run_uuid", "generation", "location"}
    for row in rows_of(lakes, "text", "generations"):
        assert row["population_size"] == 60
        assert row["total_error_min"] is None
        assert row["total_error_median"] is None


def test_the_configuration_is_that_of_the_recorder(lakes: dict[str, Rows]) -> None:
    (sent,) = rows_of(lakes, "recorder", "runs")
    sent_config = dict(sent["config"])
    for name, least in (("edn", 130), ("text", 110)):
        (row,) = rows_of(lakes, name, "runs")
        config = dict(row["config"])
        assert len(config) >= least
        assert {key: text for key, text in config.items() if text != sent_config.get(key)} == {}
        assert row["run_uuid"] == sent["run_uuid"]
    (text,) = rows_of(lakes, "text", "runs")
    assert dict(text["config"])["random-seed"] == sent_config["random-seed"]
    assert text["command"].startswith("clojush.problems.demos.odd-with-behaviors :random-seed")


def test_the_output_has_the_outcomes_and_the_reports_numbers(lakes: dict[str, Rows]) -> None:
    for log, sent in zip(rows_of(lakes, "text", "generations"), rows_of(lakes, "recorder", "generations"), strict=True):
        assert log["outcome"] == sent["outcome"]
        numbers, whole = dict(log["report"]), dict(sent["report"])
        assert len(numbers) == 22
        assert whole.keys() - numbers.keys() == {"mean-program-percent-params"}, "it is printed with three digits"
        assert numbers == {name: whole[name] for name in numbers}
    for name in ("csv", "edn", "json"):
        assert {row["outcome"] for row in rows_of(lakes, name, "generations")} == {"continue"}


def test_programs_are_equal_in_all_logs_that_have_them(lakes: dict[str, Rows]) -> None:
    programs = [[row["program"] for row in rows_of(lakes, name, "individuals")] for name in ("csv", "edn", "json")]
    assert programs[0] == programs[1] == programs[2]
    assert all(program.startswith("[") for program in programs[0])
    sizes = [[row["program_size"] for row in rows_of(lakes, name, "individuals")] for name in ("csv", "json")]
    assert sizes[0] == sizes[1]
    mean = math.fsum(size for size in sizes[0][:60]) / 60
    assert mean == pytest.approx(dict(rows_of(lakes, "recorder", "generations")[0]["report"])["mean-program-size"])


def test_each_format_says_in_words_what_it_lacks() -> None:
    assert "problem" in said_lacks("csv")
    assert "best_*" in said_lacks("csv")
    assert "individuals: uuid, parent_uuids" in said_lacks("json")
    assert said_lacks("recorder") == ""
    assert set(LOGS) | {"phylogeny"} == set(FORMATS)


def test_a_log_that_says_less_of_a_run_is_passed_by(captures: Path, tmp_path: Path) -> None:
    for ending in ("jsonl", "log.edn", "log"):
        (tmp_path / f"{NAME}.{ending}.zst").symlink_to(captures / f"{NAME}.{ending}.zst")
    done = import_archives([tmp_path], Lake.create(tmp_path / "lake"))
    assert (done.account.runs, done.account.quarantined, done.formats) == (1, 0, {"recorder": 1})
    assert {Path(passed.origin).name for passed in done.skipped} == {f"{NAME}.log.edn.zst", f"{NAME}.log.zst"}
    assert all("says more of the same run" in passed.reason for passed in done.skipped)
