from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.wire.lexical import Node, Verbatim, dump, parse, quote
from gpdata.wire.rejection import Rejected

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def plain(node: Node) -> Any:
    """Return a node as `json` would have read it."""
    if isinstance(node, tuple):
        return {key: plain(value) for key, value in node}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return json.loads(node) if isinstance(node, Verbatim) else node


@given(value=JSON, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_reads_what_json_writes(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert plain(parse(text, depth=99)) == value


@given(value=JSON)
def test_what_it_writes_is_compact_json(value: Any) -> None:
    text = dump(parse(json.dumps(value), depth=99))
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert dump(parse(text, depth=99)) == text


@settings(max_examples=300)
@given(
    text=st.lists(
        st.sampled_from(
            [*'{}[],:"\\ \n\t01-+.eEtfnu', "true", "null", '"a"', '"a":', "NaN", "-Infinity", "\x01", "\\u00e9", "é"]
        ),
        max_size=9,
    ).map("".join)
)
def test_accepts_what_json_accepts(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except json.JSONDecodeError:
        valid = False
    if valid:
        parse(text, depth=99)
    else:
        with pytest.raises(Rejected, match=r"torn|not_json"):
            parse(text, depth=99)


@pytest.mark.parametrize(
    "number", ["0", "-0", "1.0E101", "1e5", "1E+05", "0.10", "-1.50e-7", "1" * 5000, "12345678901234567890", "1e999"]
)
def test_numbers_keep_their_digits(number: str) -> None:
    assert dump(parse(f" [ {number} ] ", depth=1)) == f"[{number}]"


def test_equal_keys_are_all_kept_in_order() -> None:
    assert dump(parse('{"b":1,"a":2,"b":3}', depth=1)) == '{"b":1,"a":2,"b":3}'
    assert dump(parse('{"b":1,"a":2,"b":3}', depth=1), sort_keys=True) == '{"a":2,"b":1,"b":3}'


def test_the_names_of_python_become_the_strings_of_clojush() -> None:
    assert dump(parse("[NaN,Infinity,-Infinity]", depth=1)) == '["NaN","Infinity","-Infinity"]'


def test_lone_surrogates_stay_escaped_and_pairs_become_characters() -> None:
    assert dump(parse(r'["\ud800x","\ud83d\ude00"]', depth=1)) == r'["\ud800x","😀"]'
    quote("\ud800").encode()


@pytest.mark.parametrize("depth", [1, 50, 5_000])
def test_depth_is_limited_and_needs_no_stack(depth: int) -> None:
    text = "[" * depth + "]" * depth
    assert dump(parse(text, depth)) == text
    with pytest.raises(Rejected, match="too_deep"):
        parse("[" * (depth + 1), depth)


def test_two_million_brackets_are_too_deep() -> None:
    with pytest.raises(Rejected, match="too_deep"):
        parse("[" * 2_000_000, depth=1_000)


@pytest.mark.parametrize("text", ["", " ", "[", "[1,", '{"a', '{"a" ', '{"a":1.', '["\\u00e', "[-Inf", "[[1]"])
def test_json_that_ends_early_is_torn(text: str) -> None:
    with pytest.raises(Rejected, match="torn"):
        parse(text, depth=9)


@pytest.mark.parametrize("text", ["]", "[1 2]", "[1,]", "{1:2}", "[01]", "[1}", "[1]]", "[1]x", "nullx", "[\ufeff1]"])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Rejected, match=r"not_json: .* at character .*; valid is "):
        parse(text, depth=9)
