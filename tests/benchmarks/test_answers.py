from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.answers import difference


def answer(**columns: Any) -> pa.Table:
    given = {
        "g": pa.array(["lexicase", None, "tournament"]),
        "generation": pa.array([0, 1, 1], pa.int32()),
        "runs": pa.array([3, None, 0], pa.int64()),
        "rate": pa.array([0.25, None, 1 / 3]),
    }
    return pa.table(given | {name: pa.array(*values) for name, values in columns.items()})


def test_order_types_and_the_last_bits_do_not_matter() -> None:
    nearly = answer(
        g=(["lexicase", None, "tournament"], pa.dictionary(pa.int32(), pa.large_string())),
        generation=([0.0, 1.0, 1.0],),
        runs=([3, None, 0], pa.int16()),
        rate=([0.25, float("nan"), 1 / 3 + 1e-13],),
    )
    assert difference(answer(), nearly.take([2, 0, 1])) is None


@pytest.mark.parametrize(
    "other",
    [
        answer(rate=([0.25, None, 0.3334],)),
        answer(rate=([0.25, 0.0, 1 / 3],)),
        answer(runs=([3, 0, 0],)),
        answer(runs=([3, None, None],)),
        answer(runs=([3, None, 1],)),
        answer(g=(["lexicase", "tournament", None],)),
        answer(g=(["lexicase", "", "tournament"],)),
        answer(g=(["lexicase", None, "random"],)),
        answer(generation=([0, 1, 2],)),
        answer().slice(1),
        answer().take([0, 0, 1]),
        answer().drop_columns("rate"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_difference_is_found(other: pa.Table, turned: bool) -> None:
    backwards = other.take(list(range(other.num_rows))[::-1])
    one, two = (backwards, answer()) if turned else (answer(), backwards)
    assert difference(one, two) is not None


def test_the_difference_is_named() -> None:
    found = difference(answer(), answer(rate=([0.25, None, 0.3334],)))
    assert found is not None
    assert "1 rows in rate" in found
    assert "0.3334" in found


def test_empty_answers_are_equal() -> None:
    assert difference(answer().slice(3), answer().slice(3)) is None


def test_one_changed_value_among_many_is_found_in_any_order() -> None:
    numbers = np.arange(100_000)
    rows = pa.table({"key": numbers.astype(str), "value": numbers / 7})
    mixed = rows.take(np.random.default_rng(1).permutation(len(numbers)))
    assert difference(rows, mixed) is None
    changed = mixed["value"].to_numpy().copy()
    changed[77] += 1e-3
    assert difference(rows, mixed.set_column(1, "value", pa.array(changed))) is not None
