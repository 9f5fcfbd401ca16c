"""Python values to the wire's JSON: what is taken, what is refused, and in which words."""

from __future__ import annotations

import enum
import json
import math
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest

from gpdata.errors import InvalidInput
from gpdata.schema import INDIVIDUALS
from gpdata.upload import line
from gpdata.upload.plain import Unfit, number, numbers, plain, total


class Kind(enum.StrEnum):
    GOOD = "good"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), "NaN"),
        (np.longdouble(0.5), 0.5),
        (-math.inf, "-Infinity"),
        (np.arange(3), [0, 1, 2]),
        (np.array([[1.5, math.inf]]), [[1.5, "Infinity"]]),
        (np.array(4), 4),
        ((1, "a", None), [1, "a", None]),
        ([1, 2.5, math.nan], [1, 2.5, "NaN"]),
        ([1e308, 1e308], [1e308, 1e308]),
        ([0.5, np.float64(1)], [0.5, 1.0]),
        ({"a": (math.nan,)}, {"a": ["NaN"]}),
        (Kind.GOOD, "good"),
        (Level.HIGH, 3),
        (Fraction(1, 4), 0.25),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (10**30, 10**30),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(line.encode({"x": found})) == {"x": expected}


def test_plain_lists_are_not_copied() -> None:
    errors = [0.5, 1.5]
    assert plain(errors) is errors


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (len, "built-in function len"),
        ({1, 2}, "{1, 2} (set)"),
        ({1: "a"}, "key 1 (int)"),
        ([1, [object()]], "object object"),
        (b"bytes", "b'bytes'"),
    ],
)
def test_what_json_cannot_hold(value: object, says: str) -> None:
    with pytest.raises(Unfit, match=r"valid (are|keys)") as caught:
        plain(value)
    assert says in str(caught.value)


def test_endless_nesting_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(Unfit, match="nests too deeply"):
        plain(loop)


@pytest.mark.parametrize("value", ["3", [1], {"a": 1}, np.array([1.0])])
def test_no_number(value: object) -> None:
    with pytest.raises(Unfit, match="valid is a number or None"):
        number(value)


@pytest.mark.parametrize("value", [3, "abc", ["a"], [[1]], np.zeros((2, 2)), {"a": 1}])
def test_no_numbers(value: object) -> None:
    with pytest.raises(Unfit, match="valid is a"):
        numbers(value)


def test_hits_become_errors_of_0_and_1() -> None:
    assert numbers(np.array([3, 4]) != np.array([3, 5])) == [0, 1]
    assert numbers([True, 2.5, None]) == [1, 2.5, None]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([], 0),
        ([2**60, 1], 2**60 + 1),
        ([0.1] * 10, 1.0),
        ([1, 0.5], 1.5),
        ([1e308, 1e308], "Infinity"),
        (["Infinity", "-Infinity"], "NaN"),
        (["NaN", 1], "NaN"),
        ([10**400, 0.5], "Infinity"),
        ([1.0, None], None),
    ],
)
def test_total(errors: list, expected: object) -> None:
    assert total(errors) == expected


def test_every_column_that_a_sender_fills_has_a_name_here() -> None:
    filled_by_gpdata = {"run_uuid", "generation", "location", "extra"} | {
        name for name in INDIVIDUALS.names if name.startswith("gene_")
    }
    for name in INDIVIDUALS.names:
        if name in filled_by_gpdata:
            with pytest.raises(InvalidInput, match="made by gpdata itself"):
                line.individual({name: None}, "individual 0")
        else:
            assert line.individual({name: None}, "individual 0") == {name.replace("_", "-"): None}


def test_dashes_and_underscores_mean_the_same() -> None:
    given = {"parent_uuids": ["a"], "total_error": 1, "is_random_replacement": False, "grain_size": 2}
    dashed = {key.replace("_", "-"): value for key, value in given.items()}
    assert line.individual(given, "x") == line.individual(dashed, "x") == dashed


def test_names_of_ones_own_are_sent_as_they_are() -> None:
    own = {"depth": 3, "parent1-genome": [{"instruction": "x"}], "my_Field": {"a_b": math.nan}, "fitness": [1.5]}
    assert line.individual(own, "x") == {**own, "my_Field": {"a_b": "NaN"}}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("parents_uuid", "parent_uuids"),
        ("parent-uuid", "parent_uuids"),
        ("error", "errors"),
        ("total_errors", "total_error"),
        ("behaviours", "behaviors"),
        ("genetic_operator", "genetic_operators"),
        ("genomes", "genome"),
    ],
)
def test_a_slip_of_the_pen_is_an_error(name: str, meant: str) -> None:
    with pytest.raises(InvalidInput, match=f"individual 4: '{name}' .* did you mean '{meant}'"):
        line.individual({name: None}, "individual 4")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1, 2], "individual 0 is a list; valid is a mapping"),
        ("uuid", "individual 0 is a str"),
        ({3: 1}, "individual 0 has the key 3"),
        ({"total_error": 1, "total-error": 1}, "'total-error' is given twice"),
        ({"total_error": "low"}, "'total_error' is 'low'"),
        ({"errors": 3}, "'errors' is 3 (int)"),
        ({"errors": np.zeros((2, 2))}, "valid is a number or None"),
        ({"uuid": 1.5}, "'uuid' is 1.5; valid is a text, a UUID or a whole number"),
        ({"parent_uuids": "a"}, "'parent_uuids' is 'a'; valid is a list of uuids"),
        ({"parent_uuids": ["a", None]}, "valid is a list of uuids"),
        ({"genome": "add x y"}, "'genome' is 'add x y'; valid is a list of genes"),
        ({"program": len}, "'program' holds <built-in function len>"),
    ],
)
def test_what_is_wrong_is_said(given: object, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        line.individuals([given], lambda: "new")  # type: ignore[list-item]
    assert str(caught.value).startswith("individual 0")
    assert says in str(caught.value)


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the population is empty"):
        line.individuals([], lambda: "new")


def test_whole_numbers_and_uuids_name_individuals() -> None:
    given = {"uuid": np.int64(7), "parent_uuids": (UUID(int=1), 6)}
    assert line.individual(given, "x") == {"uuid": "7", "parent-uuids": [str(UUID(int=1)), "6"]}


def test_genes_have_the_names_of_the_wire() -> None:
    gene = {"instruction": "x", "parent_uuid": "a", "random_insertion": True, "own_word": 1}
    genome = line.individual({"genome": [gene, "y", 1.5]}, "x")["genome"]
    assert genome == [
        {"instruction": "x", "parent-uuid": "a", "random-insertion": True, "own_word": 1},
        "y",
        1.5,
    ]


def test_a_lone_surrogate_is_sent_as_an_escape() -> None:
    assert line.encode({"program": "a\ud800\u0000é"}) == b'{"program":"a\\ud800\\u0000\\u00e9"}'


def test_a_number_too_long_to_write_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        line.encode({"x": 10**5000})


@pytest.mark.parametrize(
    ("totals", "best"),
    [
        ([3, 1.0, 1], 1),
        (["NaN", 2], 1),
        (["Infinity", "NaN"], 0),
        (["NaN", None], None),
        ([10**400, 5], 1),
        (["-Infinity", -5], 0),
    ],
)
def test_the_best_of_a_population(totals: list, best: int | None) -> None:
    population = [{"total-error": total} for total in totals]
    assert line.best_of(population) is (None if best is None else population[best])


def test_what_is_known_of_the_best_stands_beside_it() -> None:
    given = {
        "errors": np.array([1.0, 2.0]),
        "genome": ["a", "b"],
        "program_size": 5,
        "percent_parens": 0.2,
        "simplified": {"program": ["a"], "total_error": 3},
    }
    assert line.best_section(given) == {
        "individual": {"errors": [1.0, 2.0], "genome": ["a", "b"], "program-size": 5, "total-error": 3.0},
        "individual-simplified": {"program": ["a"], "total-error": 3},
        "mean-error": 1.5,
        "genome-size": 2,
        "program-size": 5,
        "percent-parens": 0.2,
    }
    assert line.best_section({"mean_error": 4, "errors": [1]})["mean-error"] == 4
    assert "mean-error" not in line.best_section({"errors": [1, math.nan]})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("abc", "best is a str"),
        ({"simplified": 3}, "best's 'simplified' is a int"),
        ({"mean_error": "low"}, "best: 'mean_error' is 'low'"),
        ({"parents_uuid": []}, "best: 'parents_uuid'"),
    ],
)
def test_a_best_that_cannot_be_taken(given: object, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        line.best_section(given)  # type: ignore[arg-type]
    assert says in str(caught.value)
