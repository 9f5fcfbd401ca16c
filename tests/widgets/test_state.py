"""What the browser sends is checked, and what is chosen becomes code."""

from __future__ import annotations

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.widgets.code import call, choosing, literal, program
from gpdata.widgets.state import State, read_state


def test_what_is_left_out_has_its_default():
    assert read_state({}) == State()
    assert read_state({"where": {"label": ["pilot", None]}, "individual": [3, 0], "by": []}) == State(
        where={"label": ["pilot", None]}, individual=(3, 0), by=[]
    )


@pytest.mark.parametrize(
    "given",
    [
        {"page": "two"},
        {"where": ["a"]},
        {"where": {"a": [1]}},
        {"individual": [1]},
        {"stopped": "dropp"},
        {"by": "a"},
        7,
    ],
)
def test_what_is_no_state_is_refused(given):
    with pytest.raises(InvalidInput, match="the explorer's state cannot be used: "):
        read_state(given)


def test_a_filter_without_values_chooses_nothing():
    assert State(where={"label": []}).choice == State().choice
    assert choosing(State(where={"label": []})) == ["runs = lab.runs"]
    assert choosing(State(where={"label": ["pilot"], "a b": ["1", None]}, since="2026-01-01")) == [
        'runs = gp.select_runs(lab.runs, where={"label": "pilot", "a b": ["1", None]}, since="2026-01-01")'
    ]


@pytest.mark.parametrize("value", ['a "quote"', "back\\slash", "line\nbreak", "ß", "__import__('os')", "'", '"""'])
def test_a_text_is_written_so_that_python_reads_the_same(value):
    assert eval(literal(value)) == value
    assert eval(literal({value: [value, None, 1, True]})) == {value: [value, None, 1, True]}


def test_a_long_call_is_written_over_several_lines():
    long = call("f", "a", text="x" * 100)
    assert long.startswith("f(\n    a,\n    text=")
    assert long.endswith(",\n)")


def test_the_program_opens_the_lab_as_it_was(small_lake):
    run = gpdata.to_arrow(gpdata.open(small_lake).runs)["run_uuid"][0].as_py()
    lab = gpdata.open(small_lake, runs=run, version=1, engine="polars")
    names = {}
    exec(program(lab, "import narwhals as nw", "one = 1"), names)
    assert (names["lab"].version, names["lab"].engine, names["lab"].run_count) == (1, "polars", 1)
    assert "nw" in names
