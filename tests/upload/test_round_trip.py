"""Whatever a Recorder is given, the wire's decoder gives back: all canonical columns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpdata.schema import INDIVIDUALS

Begin = Callable[..., Any]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
whole = st.integers(-(2**31), 2**31 - 1)
reals = st.one_of(whole, st.floats())
error_lists = st.none() | st.lists(reals, max_size=5)
atoms = st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | texts
genes = st.one_of(
    texts,
    whole,
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.fixed_dictionaries(
        {"instruction": texts | whole | st.booleans()},
        optional={
            "close": st.integers(0, 9),
            "silent": st.booleans(),
            "uuid": texts,
            "parent_uuid": texts,
            "random_insertion": st.booleans(),
        },
    ),
)
individuals = st.fixed_dictionaries(
    {},
    optional={
        "uuid": texts.filter(bool),
        "parent_uuids": st.none() | st.lists(texts, max_size=3),
        "genetic_operators": st.none() | st.lists(texts, max_size=3),
        "total_error": st.none() | reals,
        "errors": error_lists,
        "test_errors": error_lists,
        "normalized_error": st.none() | reals,
        "weighted_error": st.none() | reals,
        "meta_errors": error_lists,
        "novelty": st.none() | reals,
        "behaviors": st.none() | st.lists(atoms, max_size=4),
        "age": st.none() | reals,
        "grain_size": st.none() | reals,
        "is_random_replacement": st.none() | st.booleans(),
        "program_size": st.none() | st.integers(0, 2**31 - 1),
        "program": texts,
        "genome": st.none() | st.lists(genes, max_size=4),
        "my own field": atoms,
    },
)


def same(found: object, expected: object) -> bool:
    """Compare values, NaN equal to itself."""
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isnan(found) if expected != expected else found == expected
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


def expected_total(individual: dict) -> object:
    errors = individual.get("errors")
    if individual.get("total_error") is not None or errors is None:
        return individual.get("total_error")
    return sum(errors) if all(type(error) is int for error in errors) else plain_sum(errors)


def plain_sum(errors: list[float]) -> float:
    try:
        return math.fsum(errors)
    except (OverflowError, ValueError):
        return sum(errors)


def expected_genes(genome: list) -> dict[str, list]:
    """Return the gene columns of a genome, computed apart."""
    as_dicts = [gene if isinstance(gene, dict) else {"instruction": gene} for gene in genome]
    columns = {
        "gene_type": [TYPES[type(gene["instruction"])] for gene in as_dicts],
    }
    for field in ("close", "silent", "uuid", "parent_uuid", "random_insertion"):
        values = [gene.get(field) for gene in as_dicts]
        columns[f"gene_{field}"] = values if any(value is not None for value in values) else None  # type: ignore[assignment]
    return columns


TYPES = {str: "string", int: "int", float: "float", bool: "bool"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(population=st.lists(individuals, min_size=1, max_size=4))
def test_every_column_comes_back(begin: Begin, population: list[dict]) -> None:
    run = begin()
    run.recorder.generation(population)
    (decoded,) = run.decoded
    rows = decoded.individuals.to_pylist()
    assert decoded.individuals.schema.names == list(INDIVIDUALS.names)
    assert len(rows) == len(population)
    for location, (row, individual) in enumerate(zip(rows, population, strict=True)):
        assert (row["run_uuid"], row["generation"], row["location"]) == (decoded.run_uuid, 0, location)
        assert row["uuid"] == individual.get("uuid", row["uuid"]) != ""
        plain_columns = set(INDIVIDUALS.names) & set(individual) - {"behaviors", "total_error", "program"}
        for name in plain_columns:
            assert same(row[name], individual[name]), (name, row[name], individual[name])
        assert row["program"] == individual.get("program")
        assert same(row["total_error"], expected_total(individual))
        behaviors = individual.get("behaviors")
        found = row["behaviors"]
        assert (found is None) == (behaviors is None)
        assert [json.loads(text) for text in found or []] == (behaviors or [])
        genome = individual.get("genome")
        assert row["genome_size"] == (None if genome is None else len(genome))
        assert (row["gene_instruction"] is None) == (genome is None)
        for name, values in expected_genes(genome or []).items():
            if genome:
                assert same(row[name], values), (name, row[name], values)
        extra = json.loads(row["extra"] or "{}")
        assert extra.get("my own field") == individual.get("my own field")
        assert set(extra) <= {"my own field"}


@settings(max_examples=50, deadline=None)
@given(population=st.lists(individuals, min_size=1, max_size=4))
def test_the_best_is_the_least_total_error(begin: Begin, population: list[dict]) -> None:
    run = begin()
    run.recorder.generation(population)
    (row,) = run.generations
    (rows,) = run.populations
    totals = [expected_total(individual) for individual in population]
    numbers = [(float(t), i) for i, t in enumerate(totals) if t is not None and t == t]  # type: ignore[arg-type]
    if numbers:
        assert same(row["best_total_error"], min(numbers)[0])
        assert row["best_uuid"] == rows[min(numbers)[1]]["uuid"]
    else:
        assert row["best_uuid"] is None


def test_the_run_comes_back(begin: Begin) -> None:
    began, later = datetime(2026, 5, 1, 12, 0, 0, 250000, UTC), datetime(2026, 5, 1, 12, 7, tzinfo=UTC)
    times = iter([began, later, later])
    config = {"parent-selection": "lexicase", "rates": {"mate": 0.5}, "none": None, "random-seed": 3}
    recording = begin(
        problem="odd",
        config=config,
        label="mine",
        run_uuid="run-1",
        version="1.2",
        git_hash="abc",
        command="python x.py",
        clock=lambda: next(times),
    )
    recording.recorder.generation([{"errors": [1]}], report={"mean-depth": 4.5})
    recording.recorder.generation([{"errors": [0]}], outcome="success", index=7)
    first, second = recording.decoded
    run = first.run.to_pylist()[0]
    assert dict(run["config"]) == {
        "parent-selection": '"lexicase"',
        "rates": '{"mate":0.5}',
        "none": "null",
        "random-seed": "3",
        "label": '"mine"',
    }
    expected = {
        "run_uuid": "run-1",
        "system": "s",
        "problem": "odd",
        "label": "mine",
        "source": "recorder",
        "started_at": began,
        "version": "1.2",
        "git_hash": "abc",
        "command": "python x.py",
        "extra": None,
    }
    assert {name: run[name] for name in expected} == expected
    assert first.config_sha256 == second.config_sha256
    rows = recording.generations
    assert [row["generation"] for row in rows] == [0, 7]
    assert [row["outcome"] for row in rows] == ["continue", "success"]
    assert [row["started_at"] for row in rows] == [began, later]
    assert dict(rows[0]["report"]) == {"mean-depth": 4.5}
    assert rows[0]["flags"] == rows[1]["flags"] == []


def test_the_best_comes_back_with_its_test_errors(begin: Begin) -> None:
    best = {
        "uuid": "b",
        "errors": [1, 2],
        "genome": ["x", "y", 3],
        "program": "(x y 3)",
        "program_size": 4,
        "percent_parens": 0.25,
        "simplified": {"program": ["x"], "total_error": 2.5, "test_errors": [0, 1]},
    }
    population = [{"uuid": "a", "errors": [0, 0]}, {"uuid": "b", "errors": [1, 2]}]
    run = begin()
    run.recorder.generation(population, best=best, test_errors=[0.5, math.inf])
    (row,) = run.generations
    expected = {
        "best_uuid": "b",
        "best_location": 1,
        "best_total_error": 3.0,
        "best_errors": [1.0, 2.0],
        "best_test_errors": [0.5, math.inf],
        "best_mean_error": 1.5,
        "best_genome_size": 3,
        "best_program_size": 4,
        "best_percent_parens": 0.25,
        "best_program": "(x y 3)",
        "best_simplified_program": '["x"]',
        "best_simplified_total_error": 2.5,
        "best_simplified_test_errors": [0.0, 1.0],
    }
    assert {name: row[name] for name in expected} == expected


def test_a_best_that_is_one_of_the_population_keeps_its_new_uuid(begin: Begin) -> None:
    population = [{"errors": [0]}, {"errors": [5]}]
    run = begin()
    run.recorder.generation(population, best=population[1])
    (row,) = run.generations
    assert (row["best_location"], row["best_total_error"]) == (1, 5.0)
