from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from gpdata.wire.lexical import dump, parse
from gpdata.wire.members import Members, compact, grouped, members, objects, quote_bare, without_space
from gpdata.wire.rejection import Rejected

KEYS = ['"a"', '"b"', '"\\u0061"', '":"', '"a\\":"', '"é"', '" :"']
VALUES = ["1", '"x"', '":"', '" :"', '"a\\":1"', '{"a":1}', '{"a":1,"a":2}', "[]", '{"b" :2}']


def read(found: Members | None) -> tuple[dict[str, str], dict[str, list[str]]]:
    assert found is not None
    once = {key: compact(raw, 9) for key, raw in found.values.items()}
    return once, {key: [compact(raw, 9) for raw in raws] for key, raws in found.repeated.items()}


@settings(max_examples=300)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4),
    colon=st.sampled_from([":", ": ", " :", "\t :"]),
    comma=st.sampled_from([",", ", "]),
)
def test_members_are_those_of_the_lexical_reader(pairs: list[tuple[str, str]], colon: str, comma: str) -> None:
    text = "{" + comma.join(f"{key}{colon}{value}" for key, value in pairs) + "}"
    node = parse(text, 9)
    assert isinstance(node, tuple)
    last, repeated = grouped(node)
    line = without_space(text.encode(), 9)
    once, twice = read(members(line, 9))
    assert (list(once), list(twice)) == (list(last), list(repeated))
    assert once == {json.loads(key): dump(parse(value, 9)) for key, value in pairs}
    (found,) = objects(Raw(b"[" + line + b"]"), 9) or []
    assert read(found) == (once, twice)


def test_a_second_key_is_found_behind_every_disguise() -> None:
    for first, second, filler in product(
        ['"a":1', '"a" :1', '"\\u0061":1'], ['"a":2', '"a"\t:2'], ["", ',"b":":"', ',"b": 1']
    ):
        found = members(without_space(f"{{{first}{filler},{second}}}".encode(), 9), 9)
        assert read(found)[1] == {"a": ["1", "2"]}


def test_a_field_named_like_our_flag_is_kept_apart() -> None:
    assert read(members(b'{"duplicate_keys":5}', 9))[1] == {"duplicate_keys": ["5"]}


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null", "NaN"])
def test_what_is_no_object_has_no_members(text: str) -> None:
    assert members(text.encode(), 9) is None


def test_items_that_are_no_objects_have_their_place() -> None:
    assert objects(Raw(b'[{"a":1},5,{"a":1}]'), 9) == [
        members(b'{"a":1}', 9),
        None,
        members(b'{"a":1}', 9),
    ]
    assert objects(Raw(b'{"a":1}'), 9) is None


@pytest.mark.parametrize(
    ("data", "quoted"),
    [
        (b"[NaN,-Infinity , Infinity]", b'["NaN","-Infinity" , "Infinity"]'),
        (b'["NaN","a, NaN, b","\\"NaN",NaN]', b'["NaN","a, NaN, b","\\"NaN","NaN"]'),
        (b'{"NaN":1}', b'{"NaN":1}'),
        (b"[-1,-I]", b"[-1,-I]"),
        (b'["', b'["'),
    ],
)
def test_bare_names_are_quoted_outside_strings_only(data: bytes, quoted: bytes) -> None:
    assert quote_bare(data) == quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a b"]', '["a b"]'),
        (r'"\u0041\/"', '"A/"'),
        ("1.0E5", "1.0E5"),
        ('{"a":1,"a":2}', '{"a":1,"a":2}'),
    ],
)
def test_compact(text: str, expected: str) -> None:
    assert compact(Raw(text.encode()), 9) == expected


def test_compact_counts_depth_but_not_brackets() -> None:
    many = "[" + ",".join(["[]"] * 50) + "]"
    assert compact(Raw(many.encode()), 2) == many
    with pytest.raises(Rejected, match="too_deep"):
        compact(Raw(b"[[[]]]"), 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (' {"a b" : [ 1 ,\t2.0E5 ] } ', '{"a b":[1,2.0E5]}'),
        ('{"a":[NaN , "NaN"]}', '{"a":["NaN","NaN"]}'),
        (r'{"a" : "\ud800"}', r'{"a":"\ud800"}'),
        ('{"a" : 1, "a" : 2}', '{"a":1,"a":2}'),
    ],
)
def test_without_space(text: str, expected: str) -> None:
    assert without_space(text.encode(), 9).decode() == expected


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 300_000, b'"' * 300_001 + b"\\", b'{"a":"' + b"\\u00e9" * 300_000])
def test_a_string_that_never_ends_is_read_once(text: bytes) -> None:
    """Were each of its quotes tried as a beginning, this would take minutes."""
    assert quote_bare(text) == text
