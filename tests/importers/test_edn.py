from __future__ import annotations

import contextlib
import json
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.importers.edn import EdnError, read


def as_json(text: str) -> str:
    return msgspec.json.encode(read(text)).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nil", "null"),
        (":a/b", '"a/b"'),
        ("[1 -2 +3, 4N]", "[1,-2,3,4]"),
        ("[1.0E101 .5 1. 1.50M 1/2 4/17]", '[1.0E101,".5",1,1.50,0.5,0.2352941176470588]'),
        ("(in1 exec_do*times () (a))", '["in1","exec_do*times",[],["a"]]'),
        (r'"a\n\"b\" \u0041"', r'"a\n\"b\" A"'),
        (r"[\a \newline \u0041 \( \\]", r'["a","\n","A","(","\\"]'),
        ("#{1 2}", "[1,2]"),
        ('#uuid "70453eda-f74e-4e0f-b7ab-e9fbd7dd398a"', '"70453eda-f74e-4e0f-b7ab-e9fbd7dd398a"'),
        ("#object[a.b$fn__146 0x14d8 a.b$fn__146@14d8]", '"a.b$fn__146@14d8"'),
        ("#clojush.individual.Individual{:genome []}", '{"genome":[]}'),
        ("{[:a :b] 1 {:c 2} 3 4 5 nil 6}", '{"[:a :b]":1,"{:c 2}":3,"4":5,"nil":6}'),
        ("[1 #_ [2 3] 4] ; and so on", "[1,4]"),
        ("[NaN ##NaN ##-Inf -Infinity]", '["NaN","NaN","-Infinity","-Infinity"]'),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('[true false "true"]', '[true,false,"true"]'),
    ],
)
def test_what_clojure_prints_becomes_what_the_recorder_sends(text: str, expected: str) -> None:
    assert as_json(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 values"),
        ("1 2", "2 values"),
        ("[1 2", "ends inside"),
        ("(1]", "closes nothing"),
        ("]", "closes nothing"),
        ('{:a "b', "does not end"),
        ("{:a}", "has no value"),
        ("{:a 1 :a 2}", "twice"),
        ("#uuid", "ends inside"),
    ],
)
def test_what_is_no_value_says_where(text: str, said: str) -> None:
    with pytest.raises(EdnError, match=said):
        read(text)


def printed(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, uuid.UUID):
        return f'#uuid "{value}"'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{' '.join(map(printed, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f':{key} {printed(inside)}' for key, inside in value.items())}}}"
    return repr(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.uuids()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: st.lists(inside) | st.dictionaries(st.from_regex("[a-z][a-z-]*", fullmatch=True), inside),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_any_value_comes_back(value: object) -> None:
    assert json.loads(as_json(printed(value))) == json.loads(json.dumps(value, default=str))


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(EdnError):
        read(text)
