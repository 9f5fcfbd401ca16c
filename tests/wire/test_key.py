"""The key of a line, told as it passes: whenever it is told at all, it is what reading the whole line says."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gpdata.importers.lines import Line, lines
from gpdata.schema.json_schema import RUN_UUID_CHARS
from gpdata.wire import KeyFinder, Rejection, identify
from tests.support import line

NAMES = st.sampled_from(["config-uuid", "index", "population", "outcome", "x"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**12),
    st.text(max_size=6),
    NAMES,
    st.integers(0, 9_000).map("x".__mul__),
    st.sampled_from(
        ['"index":7', '{"config-uuid":"other"}', '\\"index\\"', "[[{", "}]", "\\u0069ndex", "é\u0000\ud800"]
    ),
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def told(data: bytes, cuts: list[int]) -> tuple[str, int] | None:
    """Return what is told of a line that comes in pieces."""
    finder = KeyFinder()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        finder.feed(memoryview(data)[start:end])
    return finder.key()


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Draw a JSON object with the key's fields among others, in any order, repeated, nested, escaped or not there."""
    runs = st.sampled_from(["r", "a b", "é", "", " ", "x" * 300, 'q"q', "\\"])
    indices = st.sampled_from([0, 7, 10**9, 10**10, -1, 1.5, "3", None, True])
    usual = [
        ("config-uuid", draw(runs | st.text(max_size=5))),
        ("index", draw(indices | st.integers(0, 999_999_999))),
        ("outcome", "failure"),
        ("population", [draw(NESTED)]),
    ]
    others = st.lists(st.tuples(NAMES | st.text(max_size=4), NESTED), max_size=3)
    members: list[tuple[str, Any]] = draw(st.permutations([*usual, *draw(others)]))
    members = members[: draw(st.integers(2, 9))]
    ascii_only, space = draw(st.booleans()), draw(st.sampled_from(["", " ", "\t\r "]))

    def name(text: str) -> str:
        plain = json.dumps(text, ensure_ascii=ascii_only)
        if text and draw(st.integers(0, 9)) == 0:
            at = draw(st.integers(0, len(text) - 1))
            return json.dumps(text[:at])[:-1] + f"\\u{ord(text[at]) & 0xFFFF:04X}" + json.dumps(text[at + 1 :])[1:]
        return plain

    parts = [f"{name(k)}{space}:{space}{json.dumps(v, ensure_ascii=ascii_only)}" for k, v in members]
    return ("{" + f"{space},".join(parts) + space + "}").encode(errors="surrogatepass")


@given(texts(), st.lists(st.integers(0, 10**6), max_size=5))
@example(b'{"config\\u002duuid":"real","x":{"config-uuid":"fake"},"index":1,"outcome":"failure","population":[1]}', [])
@example(b'{"config-uuid":"r","\\u0069ndex":1,"x":[{"index":2}],"outcome":"failure","population":[1]}', [])
@example(b'{"config-uuid":"r","index":1,"index":2,"outcome":"failure","population":[1]}', [30])
def test_what_is_told_is_what_reading_the_line_says(data: bytes, cuts: list[int]) -> None:
    found, read = told(data, cuts), identify(data)
    if found is not None and not isinstance(read, Rejection):
        assert found == read


@given(texts(), st.lists(st.integers(0, 10**6), max_size=5))
def test_how_a_line_is_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    assert told(data, cuts) == told(data, []) == told(data, list(range(len(data))))


def usable(run: str) -> bool:
    return run.isprintable() and bool(run.strip()) and not set('"\\') & set(run)


@given(
    st.text(min_size=1, max_size=RUN_UUID_CHARS).filter(usable),
    st.integers(0, 999_999_999),
    st.lists(st.integers(0, 10**6), max_size=3),
)
def test_the_key_is_told_behind_any_population(run: str, index: int, cuts: list[int]) -> None:
    individual = {"genome": ['[[{"', "}]]", '\\"config-uuid\\"'], "behaviors": ["\u0000", "index"]}
    body = {"population": [individual] * 50, "config-uuid": run, "index": index, "outcome": "failure"}
    data = json.dumps(body, ensure_ascii=False).encode().replace(b'"index"]', b'"no"]')
    assert told(data, cuts) == (run, index) == identify(data)


def test_the_key_is_told_in_a_population_of_megabytes() -> None:
    filler = json.dumps({"population": [{"genome": ["exec_if", '"{[', 7]}] * 100_000, "outcome": "failure"}).encode()
    data = filler[:-1] + b',"config-uuid":"run","index":12}'
    assert len(data) > 3_000_000
    finder = KeyFinder()
    for start in range(0, len(data), 65_521):
        finder.feed(data[start : start + 65_521])
    assert finder.key() == ("run", 12)


def test_nothing_is_told_where_a_name_stands_twice_or_a_value_is_none() -> None:
    assert told(b'{"config-uuid":"r","index":1,"config":{"config-uuid":"r"}}', []) is None
    assert told(b'{"config-uuid":"r","index":"1"}', []) is None
    assert told(b'{"config-uuid":"r\\u0041","index":1}', []) is None
    assert told(b'{"config-uuid":"' + b"x" * (RUN_UUID_CHARS + 1) + b'","index":1}', []) is None
    assert told(b'{"config-uuid":"\xff","index":1}', []) is None
    assert told(b'{"config-uuid":"r","index":01}', []) is None
    assert told(b'{"config-uuid":"r","index":12', []) is None
    assert told(b'{"config-uuid":' + b" " * 100_000 + b'"r","index":1}', [50_000]) is None
    assert told(b"", []) is None


def test_the_key_of_every_line_that_recorders_send_is_told(captures: Any) -> None:
    seen = 0
    for path in sorted(captures.glob("demos.*-s[15]1.jsonl.zst")) + sorted(captures.glob("x-*.zst")):
        with path.open("rb") as stream:
            for read in lines(stream, limit=1 << 28):
                assert isinstance(read, Line)
                assert told(read.content, [1000, 5000]) == identify(read.content)
                seen += 1
    assert seen > 50
    assert told(line(), []) == identify(line())
