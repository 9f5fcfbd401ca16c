from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from msgspec import Raw

from gpdata.wire import columns
from gpdata.wire.columns import BOOL, DOUBLE, DOUBLES, INT, JSON_TEXTS, PROGRAM, TEXT, TEXT_OR_TEXTS, TEXTS, Kind
from gpdata.wire.lexical import Verbatim
from gpdata.wire.members import without_space
from gpdata.wire.values import number

KINDS = [kind for kind in vars(columns).values() if isinstance(kind, Kind)]


def read(kind: Kind, *texts: str) -> tuple[list[Any], list[int]]:
    array, unfit = kind.read([Raw(without_space(text.encode(), 9)) for text in texts], 9)
    assert array.type == kind.arrow
    return array.to_pylist(), sorted(unfit)


def test_doubles_are_the_nearest_and_say_when_that_is_not_all() -> None:
    exact = ["1", "-2.5", "1.0E101", "9007199254740992", "9007199254740994", "1e-400", "0.1234567890123456789012345"]
    assert read(DOUBLE, *exact) == ([float(text) for text in exact], [])
    assert read(DOUBLE, "9007199254740993", "1e999", "1" * 400, "null") == (
        [9007199254740992.0, None, None, None],
        [0, 1, 2],
    )
    assert read(DOUBLE, "true", '"1"', "[]", "{}") == ([None] * 4, [0, 1, 2, 3])


@pytest.mark.parametrize("zero", ["0", "-0"])
def test_an_integer_zero_has_no_sign(zero: str) -> None:
    (at_once,), _ = read(DOUBLE, zero)
    lexically, _ = number(Verbatim(zero))
    assert lexically is not None
    assert math.copysign(1, at_once) == math.copysign(1, lexically) == 1


def test_names_of_no_numbers_are_doubles() -> None:
    values, unfit = read(DOUBLE, '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"inf"')
    assert math.isnan(values.pop(0))
    assert (values, unfit) == ([math.inf, -math.inf, None, None], [3, 4])


def test_a_list_keeps_the_numbers_beside_one_that_is_none() -> None:
    assert read(DOUBLES, "[1,2]", "[]", "null", '[1,"a",null]', "5") == (
        [[1, 2], [], None, [1, None, None], None],
        [3, 4],
    )


def test_ints() -> None:
    assert read(INT, "1", "2.0", "1e2", "-2147483648", "null") == ([1, 2, 100, -(2**31), None], [])
    assert read(INT, "1.5", "2147483648", '"1"', "true", '"NaN"', "1" * 5000) == ([None] * 6, [0, 1, 2, 3, 4, 5])


def test_bools() -> None:
    assert read(BOOL, "true", "false", "null", "1", '"true"') == ([True, False, None, None, None], [3, 4])


def test_texts_hold_anything_but_lone_surrogates() -> None:
    assert read(TEXT, '"a"', r'"\u0000"', "null", r'"x\ud800"', "5") == (["a", "\0", None, "x\ufffd", None], [3, 4])
    assert read(TEXTS, '["a","a"]', "[]", "null", '["a",1]', '"a"') == ([["a", "a"], [], None, None, None], [3, 4])
    assert read(TEXTS, r'["a","\ud800"]') == ([["a", "\ufffd"]], [0])


def test_operators_are_one_or_many() -> None:
    assert read(TEXT_OR_TEXTS, '"random"', '["a","b"]', "null", "5") == ([["random"], ["a", "b"], None, None], [3])


def test_a_program_is_text_or_json_text() -> None:
    assert read(PROGRAM, '"(a b)"', '["a", [1.0E5, true]]', "null", "7", r'"\ud800"') == (
        ["(a b)", '["a",[1.0E5,true]]', None, "7", "\ufffd"],
        [4],
    )


def test_behaviors_are_json_texts() -> None:
    assert read(JSON_TEXTS, r'["no-stack-item",1,1.0,true,null,"\u0000",-0,[1, 2]]', "null", "5") == (
        [['"no-stack-item"', "1", "1.0", "true", "null", '"\\u0000"', "-0", "[1,2]"], None, None],
        [2],
    )
    assert read(JSON_TEXTS, "[-0,-0.5,10]") == ([["-0", "-0.5", "10"]], [])
    assert read(JSON_TEXTS, "[1,1.0,true]", '["1","true"]') == ([["1", "1.0", "true"], ['"1"', '"true"']], [])


@pytest.mark.parametrize("kind", KINDS)
def test_no_values_are_an_empty_column(kind: Kind) -> None:
    assert kind.read([], 9)[0] == pa.array([], kind.arrow)
