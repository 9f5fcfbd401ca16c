"""Every captured line of real Clojush runs, against `json` and against the sender's own statistics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, arrow_schema
from gpdata.wire import Decoded, Origin, Rejection, decode

ORIGIN = Origin("import", owner="ada", received_at=datetime(2024, 5, 1, tzinfo=UTC))


def test_summaries_equal_the_population_report_of_every_line(streams: dict[str, list[bytes]]) -> None:
    lines, rejected = 0, []
    for name, stream in streams.items():
        for line in stream:
            decoded = decode(line, ORIGIN)
            if isinstance(decoded, Rejection):
                rejected.append((name, decoded.code))
                continue
            row = decoded.generation_row.to_pylist()[0]
            report, size = dict(row["report"]), row["population_size"]
            expected = {
                "total_error_mean": report["mean-total-error"],
                "total_error_median": report["median-total-error"],
                "distinct_error_vectors": report["percent-errors-unique"] * size,
                "distinct_total_errors": report["percent-total-error-unique"] * size,
                "distinct_genomes": report["percent-genomes-unique"] * size,
                "genome_size_mean": report["mean-genome-size"],
                **{f"age_{stat}": report[f"{stat}-age"] for stat in ("min", "mean", "median", "max")},
            }
            assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-6), name
            assert row["flags"] == []
            lines += 1
    assert lines > 400
    assert rejected == [
        ("recon-sink_killed_mid_big_line.part1.raw", "torn"),
        ("recon-sink_killed_mid_line.part1.raw", "torn"),
    ]


def test_every_field_of_an_individual_is_kept(
    some_lines: list[bytes],
    rebuilt: Callable[[dict[str, Any]], dict[str, Any]],
    as_kept: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    for line in some_lines:
        decoded = decode(line, ORIGIN)
        assert isinstance(decoded, Decoded)
        sent = json.loads(line)["population"]
        assert [rebuilt(row) for row in decoded.individuals.to_pylist()] == [as_kept(person) for person in sent]


def test_the_generation_row_equals_what_json_reads(some_lines: list[bytes]) -> None:
    for line in some_lines:
        decoded, sent = decode(line, ORIGIN), json.loads(line)
        assert isinstance(decoded, Decoded)
        (row,) = decoded.generation_row.to_pylist()
        best = sent["best"]
        simplified = best.get("individual-simplified", {})
        uuids = [person["uuid"] for person in sent["population"]]
        assert row["run_uuid"] == decoded.run_uuid == sent["config-uuid"]
        assert row["generation"] == decoded.generation == sent["index"]
        assert row["outcome"] == sent["outcome"]
        assert row["started_at"] == datetime.fromtimestamp(sent["start-time"], UTC)
        assert row["received_at"] == ORIGIN.received_at
        assert row["population_size"] == len(uuids) == decoded.individuals.num_rows
        assert row["line_sha256"] == decoded.line_sha256 == hashlib.sha256(line).hexdigest()
        assert row["best_uuid"] == best["individual"]["uuid"]
        assert row["best_location"] == uuids.index(row["best_uuid"])
        assert row["best_total_error"] == best["individual"]["total-error"]
        assert row["best_errors"] == best["individual"]["errors"]
        assert row["best_test_errors"] == best["individual"].get("test-errors")
        assert row["best_mean_error"] == best["mean-error"]
        assert row["best_genome_size"] == best["genome-size"]
        assert row["best_program_size"] == best["program-size"]
        assert row["best_percent_parens"] == best["percent-parens"]
        program = row["best_simplified_program"]
        assert (json.loads(program) if program else None) == simplified.get("program")
        assert row["best_simplified_total_error"] == simplified.get("total-error")
        assert dict(row["report"]) == sent["population-report"]
        assert row["best_so_far"] is None


def test_what_best_says_beyond_its_row_is_in_extra(some_lines: list[bytes]) -> None:
    columns = {"uuid", "total-error", "errors", "test-errors", "program"}
    nothing = (None, [])
    for line in some_lines:
        decoded, sent = decode(line, ORIGIN), json.loads(line)
        assert isinstance(decoded, Decoded)
        extra = json.loads(decoded.generation_row["extra"][0].as_py() or "{}")
        best = sent["best"]
        twin = next(person for person in sent["population"] if person["uuid"] == best["individual"]["uuid"])
        new = {
            key: value
            for key, value in best["individual"].items()
            if key not in columns and value not in nothing and twin.get(key) != value
        }
        assert extra.get("best", {}).get("individual", {}) == new
        simplified = best.get("individual-simplified", {})
        kept = extra.get("best", {}).get("individual-simplified", {})
        held = {"program", "total-error", "test-errors"}
        assert {key: value for key, value in simplified.items() if key not in held and value not in nothing} == kept


def test_the_run_row_equals_what_json_reads(some_lines: list[bytes]) -> None:
    for line in some_lines:
        decoded, config = decode(line, ORIGIN), json.loads(line)["config"]
        assert isinstance(decoded, Decoded)
        (row,) = decoded.run.to_pylist()
        arguments = config.pop("argmap")
        assert {key: json.loads(text) for key, text in row["config"]} == arguments
        assert (row["system"], row["source"], row["owner"]) == ("clojush", "import", "ada")
        assert row["problem"] == config.pop("problem-file")
        assert row["version"] == config.pop("version-number", None)
        assert row["git_hash"] == config.pop("git-hash", None)
        assert row["started_at"] == datetime.fromtimestamp(config.pop("start-time"), UTC)
        assert row["label"] == arguments["label"]
        assert json.loads(row["extra"] or "{}") == config


def test_numbers_of_the_config_are_kept_as_they_were_written(streams: dict[str, list[bytes]]) -> None:
    decoded = decode(streams["demos.odd-pop30-lexicase-s11.jsonl"][0], ORIGIN)
    assert isinstance(decoded, Decoded)
    assert dict(decoded.run["config"][0].as_py())["max-point-evaluations"] == "1.0E101"


def test_replicates_share_a_config_id_and_other_configurations_do_not(streams: dict[str, list[bytes]]) -> None:
    def config_id(name: str) -> str:
        decoded = decode(streams[f"demos.{name}.jsonl"][0], ORIGIN)
        assert isinstance(decoded, Decoded)
        return str(decoded.run["config_id"][0].as_py())

    lexicase = {config_id(f"odd-pop30-lexicase-s{seed}") for seed in (11, 12, 13)}
    tournament = {config_id(f"odd-pop30-tournament-s{seed}") for seed in (11, 12, 13)}
    assert len(lexicase) == len(tournament) == len({*lexicase, *tournament}) - 1 == 1
    assert len(next(iter(lexicase))) == 16
    regression = {config_id(f"simple_regression-lexicase-s{seed}") for seed in (21, 22, 25)}
    assert len(regression) == 1
    assert config_id("odd-pop200-lexicase-s11") not in lexicase


def test_another_number_of_generations_is_another_configuration(streams: dict[str, list[bytes]]) -> None:
    line = streams["demos.odd-pop30-lexicase-s11.jsonl"][0]
    other = line.replace(b'"max-generations":10', b'"max-generations":11')
    assert other != line
    first, second = decode(line, ORIGIN), decode(other, ORIGIN)
    assert isinstance(first, Decoded)
    assert isinstance(second, Decoded)
    assert first.run["config_id"] != second.run["config_id"]
    assert first.config_sha256 != second.config_sha256


def test_a_run_repeats_its_config(streams: dict[str, list[bytes]]) -> None:
    for name in ("smoke-odd.jsonl", "demos.odd-pop30-lexicase-s11.jsonl"):
        decoded = [decode(line, ORIGIN) for line in streams[name]]
        assert len({line.config_sha256 for line in decoded if isinstance(line, Decoded)}) == 1


def test_both_readers_agree(
    some_lines: list[bytes],
    lexical_only: Callable[[], Any],
    rows: Callable[[Decoded], dict[str, Any]],
) -> None:
    for line in some_lines[::3]:
        fast = decode(line, ORIGIN)
        with lexical_only():
            slow = decode(line, ORIGIN)
        assert isinstance(fast, Decoded)
        assert isinstance(slow, Decoded)
        assert rows(fast) == rows(slow)


def test_batches_have_the_declared_schema(some_lines: list[bytes]) -> None:
    decoded = decode(some_lines[0], ORIGIN)
    assert isinstance(decoded, Decoded)
    batches = {RUNS: decoded.run, GENERATIONS: decoded.generation_row, INDIVIDUALS: decoded.individuals}
    for table, batch in batches.items():
        assert batch.schema == arrow_schema(table)
        batch.validate(full=True)
        never_null = [column.name for column in table.columns if not column.nullable]
        assert [name for name in never_null if batch[name].null_count] == []
