from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.schema import GENERATIONS, INDIVIDUALS, arrow_schema
from gpdata.wire.summary import summarize

ERRORS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1e16, math.inf]), st.floats(-1e9, 1e9), st.none(), st.just(math.nan)
)
PERSON = st.fixed_dictionaries(
    {},
    optional={
        "total_error": ERRORS,
        "errors": st.none() | st.lists(ERRORS, max_size=3),
        "behaviors": st.none() | st.lists(st.sampled_from(['"a"', "1", "", None]), max_size=3),
        "program": st.sampled_from(["a", "b", None]),
        "age": st.sampled_from([0.0, 0.5, 3.0, None]),
        "genome_size": st.sampled_from([0, 2, 3, None]),
    },
)


def summary_of(*people: dict[str, Any]) -> dict[str, Any]:
    rows = [{"run_uuid": "r", "generation": 0, "location": place} | person for place, person in enumerate(people)]
    return summarize(pa.RecordBatch.from_pylist(rows, arrow_schema(INDIVIDUALS)))


def hashable(value: Any) -> Any:
    """Return a value by which NaN is one, and 0.0 and -0.0 are too."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@settings(max_examples=150, deadline=None)
@given(people=st.lists(PERSON, min_size=1, max_size=7))
def test_against_plain_python(people: list[dict[str, Any]]) -> None:
    summary = summary_of(*people)

    def sent(name: str) -> list[Any]:
        return [person[name] for person in people if person.get(name) is not None]

    def distinct(name: str) -> int | None:
        return len(set(map(hashable, sent(name)))) or None

    errors = sorted(error for error in sent("total_error") if not math.isnan(error))
    assert summary["distinct_error_vectors"] == distinct("errors")
    assert summary["distinct_behaviors"] == distinct("behaviors")
    assert summary["distinct_programs"] == distinct("program")
    assert summary["distinct_total_errors"] == (len(set(errors)) or None)
    for name in ("age", "genome_size"):
        values = sent(name)
        found = [summary[f"{name}_{stat}"] for stat in ("min", "median", "mean", "max")]
        expected = [min(values), median(values), sum(values) / len(values), max(values)] if values else [None] * 4
        assert found == (pytest.approx(expected) if values else expected)
    if not errors:
        assert {summary[name] for name in summary if name.startswith("total_error")} == {None}
        return
    quartiles = [summary[f"total_error_{name}"] for name in ("min", "q1", "median", "q3", "max")]
    assert quartiles == sorted(quartiles)
    if math.isfinite(errors[-1]):
        assert quartiles == pytest.approx(np.quantile(errors, [0, 0.25, 0.5, 0.75, 1]).tolist())
        assert summary["total_error_mean"] == pytest.approx(sum(errors) / len(errors))
    else:
        assert summary["total_error_mean"] == math.inf


def test_infinity_counts_and_nan_does_not() -> None:
    summary = summary_of(*({"total_error": error} for error in (1.0, math.inf, math.nan, 3.0)))
    assert [summary[f"total_error_{name}"] for name in ("min", "q1", "median", "q3", "max", "mean")] == [
        *(1.0, 2.0, 3.0, math.inf, math.inf, math.inf)
    ]
    assert summary["distinct_total_errors"] == 3


def test_quartiles_neither_overflow_nor_leave_their_order() -> None:
    summary = summary_of({"total_error": -1.7e308}, {"total_error": 1.7e308})
    assert summary["total_error_median"] == 0.0
    summary = summary_of({"total_error": -math.inf}, {"total_error": math.inf})
    assert (summary["total_error_q1"], summary["total_error_q3"]) == (-math.inf, -math.inf)


def genome(*genes: tuple[str, str, str | None]) -> dict[str, Any]:
    instructions, types, uuids = (list(values) for values in zip(*genes, strict=True)) if genes else ([], [], [])
    return {"gene_instruction": instructions, "gene_type": types, "gene_uuid": uuids if any(uuids) else None}


@pytest.mark.parametrize(
    ("one", "other", "distinct"),
    [
        (
            genome(("ab", "string", None), ("c", "string", None)),
            genome(("a", "string", None), ("bc", "string", None)),
            2,
        ),
        (genome(("1", "int", None)), genome(("1", "string", None)), 2),
        (genome(("a", "string", "u")), genome(("a", "string", "v")), 2),
        (genome(("a", "string", "u")), genome(("a", "string", None)), 2),
        (genome(("a", "string", "u")), genome(("a", "string", "u")), 1),
        (genome(), genome(), 1),
        (genome(), genome(("a", "string", None)), 2),
        (genome(), {}, 1),
    ],
)
def test_genomes_differ_in_any_column(one: dict[str, Any], other: dict[str, Any], distinct: int) -> None:
    assert summary_of(one, other, one)["distinct_genomes"] == distinct


def test_genomes_differ_in_what_no_column_holds() -> None:
    rows = [{"run_uuid": "r", "generation": 0, "location": place} | genome(("a", "string", None)) for place in range(3)]
    batch = pa.RecordBatch.from_pylist(rows, arrow_schema(INDIVIDUALS))
    assert summarize(batch)["distinct_genomes"] == 1
    assert summarize(batch, {1: '{"0":{"x":1}}'})["distinct_genomes"] == 2


def test_equal_numbers_make_equal_error_vectors() -> None:
    assert summary_of({"errors": [0.0, 1.0]}, {"errors": [-0.0, 1.0]})["distinct_error_vectors"] == 1
    assert summary_of({"errors": [math.nan]}, {"errors": [-math.nan]})["distinct_error_vectors"] == 1


def test_null_items_are_no_zeros() -> None:
    assert summary_of({"errors": [0.0]}, {"errors": [None]}, {"errors": []})["distinct_error_vectors"] == 3
    assert summary_of({"behaviors": [""]}, {"behaviors": [None]})["distinct_behaviors"] == 2


def test_a_slice_is_summarized_as_itself() -> None:
    rows = [
        {"run_uuid": "r", "generation": 0, "location": i, "errors": [float(i)]} | genome((str(i), "int", None))
        for i in range(6)
    ]
    batch = pa.RecordBatch.from_pylist(rows, arrow_schema(INDIVIDUALS))
    summary = summarize(batch.slice(2, 3))
    assert (summary["distinct_error_vectors"], summary["distinct_genomes"]) == (3, 3)


def test_every_computed_column_is_declared_and_made() -> None:
    declared = {
        column.name for column in GENERATIONS.columns if column.source == "computed from the population at ingest"
    }
    assert set(summary_of({})) == declared
