from __future__ import annotations

import json
from typing import Any

import pytest

from gpdata.wire import Decoded, Origin, decode

PERSON = {
    "uuid": "a",
    "total-error": 2,
    "errors": [1, 1],
    "age": 3,
    "parent-uuids": ["p"],
    "genome": [{"instruction": "x", "close": 1}],
    "luck": 7,
    "history": [[1]],
}


def read(best: Any, *population: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the row of a generation, and what its `extra` says of best."""
    line = {"config-uuid": "r", "index": 0, "outcome": "continue", "population": population or (PERSON,), "best": best}
    decoded = decode(json.dumps(line).encode(), Origin("upload"))
    assert isinstance(decoded, Decoded)
    assert decoded.individuals.num_rows == len(line["population"])
    (row,) = decoded.generation_row.to_pylist()
    return row, json.loads(row["extra"] or "{}").get("best")


def test_the_columns_of_best() -> None:
    simplified = {"program": ["x", ["y"]], "total-error": 1.5, "test-errors": [4]}
    best = {
        "individual": PERSON | {"test-errors": [3], "program": "(x)"},
        "individual-simplified": simplified,
        "mean-error": 1,
        "genome-size": 1,
        "program-size": 2,
        "percent-parens": 0.5,
    }
    row, left = read(best)
    assert left is None
    assert {name: value for name, value in row.items() if name.startswith("best_")} == {
        "best_uuid": "a",
        "best_location": 0,
        "best_total_error": 2.0,
        "best_errors": [1.0, 1.0],
        "best_test_errors": [3.0],
        "best_mean_error": 1.0,
        "best_genome_size": 1,
        "best_program_size": 2,
        "best_percent_parens": 0.5,
        "best_program": "(x)",
        "best_simplified_program": '["x",["y"]]',
        "best_simplified_total_error": 1.5,
        "best_simplified_test_errors": [4.0],
        "best_so_far": None,
    }


def test_what_the_population_repeats_is_not_kept_again() -> None:
    assert read({"individual": PERSON})[1] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age", 4),
        ("age", "old"),
        ("parent-uuids", []),
        ("genome", [{"instruction": "x", "close": 2}]),
        ("genome", [{"instruction": "x", "close": 1, "arguments": 1}]),
        ("genome", []),
        ("luck", 8),
        ("history", [[2]]),
        ("history", None),
        ("news", None),
        ("total-error", "none"),
    ],
)
def test_what_differs_from_the_population_is_kept(field: str, value: Any) -> None:
    assert read({"individual": PERSON | {field: value}})[1] == {"individual": {field: value}}


def test_equal_numbers_are_no_difference() -> None:
    assert read({"individual": PERSON | {"age": 3.0, "uuid": "a"}})[1] is None


def test_the_twin_is_the_first_of_that_uuid() -> None:
    row, left = read({"individual": PERSON}, PERSON | {"uuid": "b"}, PERSON, PERSON | {"age": 9})
    assert (row["best_location"], left) == (1, None)


def test_best_from_outside_the_population_is_kept_whole_but_for_its_columns() -> None:
    row, left = read({"individual": PERSON | {"uuid": "z", "age": None}})
    assert (row["best_uuid"], row["best_location"]) == ("z", None)
    assert left == {"individual": {key: PERSON[key] for key in ("parent-uuids", "genome", "luck", "history")}}


def test_best_without_uuid_has_no_location() -> None:
    row, left = read({"individual": {"age": 1}}, {"age": 1})
    assert (row["best_location"], left) == (None, {"individual": {"age": 1}})


def test_null_genome_and_empty_parents_of_the_simplified() -> None:
    simplified = {"uuid": "s", "genome": None, "parent-uuids": [], "age": 0, "history": []}
    assert read({"individual-simplified": simplified})[1] == {
        "individual-simplified": {"uuid": "s", "parent-uuids": [], "age": 0}
    }


@pytest.mark.parametrize("best", [5, [1], "a"])
def test_what_is_no_object_is_kept(best: Any) -> None:
    row, left = read(best)
    assert (left, row["flags"]) == (best, ["value_in_extra"])
