"""Rows survive as JSON: every type that frames have, null and NaN told apart."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpdata.errors import InvalidInput
from gpdata.plots.table_json import from_json, to_json

MICROSECONDS = st.integers(-(2**53), 2**53)
LEAVES = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text()),
    (pa.date32(), st.dates()),
    (pa.timestamp("ns"), MICROSECONDS),
    (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    (pa.duration("ms"), st.timedeltas(timedelta(-1000), timedelta(1000)).map(lambda d: d // timedelta(milliseconds=1))),
    (pa.decimal128(20, 3), st.decimals(-1000, 1000, places=3, allow_nan=False)),
]


@st.composite
def columns(draw):
    type_, values = draw(st.sampled_from(LEAVES))
    values = st.one_of(st.none(), values)
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["list", "struct", "map"]))
        if kind == "list":
            type_, values = pa.list_(type_), st.one_of(st.none(), st.lists(values, max_size=3))
        elif kind == "struct":
            type_ = pa.struct([("a", type_), ("b", pa.string())])
            values = st.one_of(st.none(), st.fixed_dictionaries({"a": values, "b": st.none() | st.text()}))
        else:
            type_ = pa.map_(pa.string(), type_)
            values = st.one_of(st.none(), st.lists(st.tuples(st.text(max_size=3), values), max_size=3))
    return pa.array(draw(st.lists(values, min_size=3, max_size=3)), type_)


def through(table):
    text = json.dumps(to_json(table), allow_nan=False)  # JSON that every reader takes
    return from_json(json.loads(text))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(columns(), min_size=1, max_size=3))
def test_a_table_comes_back(arrays):
    table = pa.table({f"column {index}": array for index, array in enumerate(arrays)})
    found = through(table)
    assert found.schema == table.schema
    assert str(found.to_pydict()) == str(table.to_pydict())  # NaN is like NaN
    assert found.to_pydict().keys() == table.to_pydict().keys()


def test_what_frames_make_becomes_plain():
    frame = pl.DataFrame(
        {
            "text": pl.Series(["a", None], dtype=pl.Categorical),
            "when": [datetime(2026, 1, 2, 3, 4, 5, 6), None],
            "day": [date(2026, 1, 2), None],
            "lists": [["a", None], None],
            "exact": [Decimal("1.50"), None],
            "nothing": [None, None],
        }
    )
    found = through(frame.to_arrow())
    assert found.to_pylist() == frame.rows(named=True)
    assert found.schema.field("text").type == pa.string()
    assert found.schema.field("lists").type == pa.list_(pa.string())


def test_no_rows_and_no_columns():
    assert through(pa.table({"a": pa.array([], pa.int32())})).schema == pa.schema([("a", pa.int32())])
    assert through(pa.table({})).num_columns == 0


def test_a_type_that_no_frame_has_is_refused():
    with pytest.raises(InvalidInput, match="column 'a' is of type binary"):
        to_json(pa.table({"a": [b"x"]}))


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"columns": 3},
        {"columns": [{"name": "a", "type": "int64", "values": ["x"]}]},
        {"columns": [{"name": "a", "type": "int64", "values": 3}]},
        {"columns": [{"name": "a", "type": "double", "values": ["x"]}]},
        {"columns": [{"name": "a", "type": ["list"], "values": []}]},
        {"columns": [{"name": "a", "type": ["decimal", 200, 3], "values": []}]},
        {"columns": [{"name": "a", "type": ["decimal", 5, 3], "values": ["x"]}]},
        {"columns": [{"name": "a", "type": ["struct", [["b", "int64"]]], "values": [[1, 2]]}]},
        {"columns": [{"name": 3, "type": "int64", "values": [1]}]},
        {"columns": [{"name": "a", "type": "int8", "values": [1000]}]},
        {
            "columns": [
                {"name": "a", "type": "int64", "values": [1]},
                {"name": "b", "type": "int64", "values": [1, 2]},
            ]
        },
    ],
)
def test_what_cannot_be_read_is_said(said):
    with pytest.raises(InvalidInput, match="the rows of a figure cannot be read"):
        from_json(said)
