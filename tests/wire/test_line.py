"""Lines that are rejected, lines that are tolerated, and what becomes of what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gpdata.errors import InvalidInput
from gpdata.wire import REJECTIONS, Decoded, Limits, Origin, Rejection, decode

CORPUS = Path(__file__).parent / "corpus"
INDEX = json.loads((CORPUS / "index.json").read_text())
ORIGIN = Origin("upload")
HEAD = b'{"config-uuid":"r","index":3,"outcome":"failure","population":'


def corpus(expectation: str) -> list[Any]:
    """Return the lines of the files for which the index has that expectation, each with what is expected."""
    return [
        pytest.param(line, expected[expectation], id=f"{name}:{place}")
        for name, expected in INDEX.items()
        if expectation in expected
        for place, line in enumerate((CORPUS / name).read_bytes().removesuffix(b"\n").split(b"\n"), start=1)
    ]


def read(population: str, **fields: str) -> Decoded:
    """Decode a line of that population and those other fields."""
    rest = "".join(f',"{name.replace("_", "-")}":{value}' for name, value in fields.items())
    decoded = decode(HEAD + f"{population}{rest}}}".encode(), ORIGIN)
    assert isinstance(decoded, Decoded), decoded
    return decoded


def extra(batch: Any) -> list[Any]:
    return [text and json.loads(text) for text in batch["extra"].to_pylist()]


def test_the_index_names_every_file() -> None:
    assert set(INDEX) == {path.name for path in CORPUS.glob("*.jsonl")}


@pytest.mark.parametrize(("line", "code"), corpus("code"))
def test_corpus_of_rejected_lines(line: bytes, code: str, lexical_only: Callable[[], Any]) -> None:
    decoded = decode(line, ORIGIN)
    assert isinstance(decoded, Rejection)
    assert decoded.code == code
    assert code in ("torn", "empty_line") or "valid is" in decoded.detail or "needs" in decoded.detail
    with lexical_only():
        assert decode(line, ORIGIN) == decoded


@pytest.mark.parametrize(("line", "flags"), corpus("flags"))
def test_corpus_of_tolerated_lines(
    line: bytes, flags: list[str], lexical_only: Callable[[], Any], rows: Callable[[Decoded], dict[str, Any]]
) -> None:
    decoded = decode(line, ORIGIN)
    assert isinstance(decoded, Decoded), decoded
    assert decoded.generation_row["flags"][0].as_py() == flags
    with lexical_only():
        slow = decode(line, ORIGIN)
    assert isinstance(slow, Decoded)
    assert rows(slow) == rows(decoded)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "empty_line"),
        (b" \t\r", "empty_line"),
        (b"\xef\xbb\xbf", "empty_line"),
        (b"\x00", "not_json"),
        (b"\x00" * 4096, "not_json"),
        (b'{"a":1}' + b"\x00" * 512, "not_json"),
        (b'{"a":"\x00"}', "not_json"),
        (b"\xff\xfe{\x00}\x00", "bad_utf8"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "bad_utf8"),
        (b'{"a":"\xc0\xaf"}', "bad_utf8"),
        (b'{"a":"\xf0\x9f', "torn"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "bad_utf8"),
        (b"[" * 2_000_000, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
        (HEAD + b'[{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}]}", "too_deep"),
    ],
)
def test_bytes_that_are_no_line(line: bytes, code: str) -> None:
    decoded = decode(line, ORIGIN)
    assert isinstance(decoded, Rejection)
    assert decoded.code == code


def test_every_code_is_reached() -> None:
    reached = {expected["code"] for expected in INDEX.values() if "code" in expected}
    assert reached | {"empty_line", "bad_utf8", "too_deep", "too_long"} == set(REJECTIONS)


def test_a_rejection_names_the_line_as_far_as_it_was_read() -> None:
    decoded = decode(HEAD + b"[1]}", ORIGIN)
    assert isinstance(decoded, Rejection)
    assert (decoded.run_uuid, decoded.generation) == ("r", 3)
    assert "population[0]" in decoded.detail


def test_limits() -> None:
    line = HEAD + b'[{"x":[[[1]]]}]}'
    assert isinstance(decode(line, ORIGIN, Limits(line_bytes=len(line))), Decoded)
    too_long = decode(line, ORIGIN, Limits(line_bytes=len(line) - 1))
    assert isinstance(too_long, Rejection)
    assert (too_long.code, too_long.run_uuid) == ("too_long", None)
    long_uuid = decode(line.replace(b'"r"', b'"rr"'), ORIGIN, Limits(uuid_chars=1))
    assert isinstance(long_uuid, Rejection)
    assert long_uuid.code == "bad_field"
    with pytest.raises(InvalidInput, match="valid is"):
        Limits(depth=2)
    with pytest.raises(InvalidInput, match="valid is"):
        Limits(line_bytes=1 << 40)
    with pytest.raises(InvalidInput, match="valid is"):
        Limits(uuid_chars=0)


@pytest.mark.parametrize(("deeper", "expected"), [(0, Decoded), (1, Rejection)])
def test_depth_counts_from_the_line_for_both_readers(
    deeper: int, expected: type, lexical_only: Callable[[], Any]
) -> None:
    most = 20
    for head, tail, above in [
        (b'"x":', b"}", 1),
        (b'"best":{"individual":{"x":', b"}}}", 3),
        (b'"config":{"x":', b"}}", 2),
    ]:
        depth = most - above + deeper
        value = head + b"[" * depth + b"]" * depth + tail
        line = HEAD + b"[{}]," + value
        assert isinstance(decode(line, ORIGIN, Limits(depth=most)), expected)
        with lexical_only():
            assert isinstance(decode(line, ORIGIN, Limits(depth=most)), expected)


def test_the_origin_is_in_the_rows() -> None:
    when = datetime(2024, 5, 1, 12, tzinfo=UTC)
    decoded = decode(HEAD + b"[{}]}", Origin("plain", "ada", when))
    assert isinstance(decoded, Decoded)
    assert decoded.run.select(["source", "owner"]).to_pylist() == [{"source": "plain", "owner": "ada"}]
    assert decoded.generation_row["received_at"][0].as_py() == when


def test_every_value_that_does_not_fit_is_kept_as_it_was_written() -> None:
    decoded = read('[{"total-error":1e999,"errors":[1,9007199254740993],"age":"old","luck":1.0E101}]')
    (row,) = decoded.individuals.to_pylist()
    assert (row["total_error"], row["errors"], row["age"]) == (None, [1.0, 9007199254740992.0], None)
    assert row["extra"] == '{"age":"old","errors":[1,9007199254740993],"luck":1.0E101,"total-error":1e999}'


def test_equal_keys_keep_all_their_values() -> None:
    decoded = read('[{"age":1,"age":2,"luck":3,"luck":1.0E5}]')
    assert decoded.individuals["age"].to_pylist() == [2.0]
    assert decoded.individuals["extra"].to_pylist() == [
        '{"duplicate_keys":{"age":[1,2],"luck":[3,1.0E5]},"luck":1.0E5}'
    ]


def test_lone_surrogates_are_kept_beside_a_replacement() -> None:
    decoded = read(r'[{"uuid":"\ud800","program":"a\u0000b","x\udfff":"\udfff"}]')
    (row,) = decoded.individuals.to_pylist()
    assert (row["uuid"], row["program"]) == ("\ufffd", "a\0b")
    assert row["extra"] == r'{"uuid":"\ud800","x\udfff":"\udfff"}'


def test_unknown_fields_of_every_level_are_kept() -> None:
    decoded = read(
        '[{"genome":[{"instruction":"a","arguments":[1]}],"luck":7}]',
        config='{"registered-instructions":["a"],"argmap":{"n":1}}',
        best='{"individual":{"luck":8},"individual-simplified":{"age":0},"luck":9}',
        population_report='{"mean-age":1,"luck":"ten"}',
        luck="11",
    )
    assert extra(decoded.individuals) == [{"genome": {"0": {"arguments": [1]}}, "luck": 7}]
    assert extra(decoded.run) == [{"registered-instructions": ["a"]}]
    assert extra(decoded.generation_row) == [
        {
            "best": {"individual": {"luck": 8}, "individual-simplified": {"age": 0}, "luck": 9},
            "luck": 11,
            "population-report": {"luck": "ten"},
        }
    ]
    assert decoded.generation_row["report"].to_pylist() == [[("mean-age", 1.0)]]


def test_times() -> None:
    decoded = read("[{}]", start_time="1700000000.25", config='{"start-time":1700000000}')
    assert decoded.generation_row["started_at"][0].as_py() == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=UTC)
    assert decoded.run["started_at"][0].as_py() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_the_hash_is_of_the_bytes_as_sent() -> None:
    line = HEAD + b"[{}]}"
    first, second = decode(line, ORIGIN), decode(line + b" ", ORIGIN)
    assert isinstance(first, Decoded)
    assert isinstance(second, Decoded)
    assert first.line_sha256 != second.line_sha256
    assert first.generation_row["line_sha256"][0].as_py() == first.line_sha256


def test_a_huge_string_is_kept() -> None:
    text = "x" * 3_000_000
    decoded = read(f'[{{"program":"{text}","luck":"{text}"}}]')
    assert decoded.individuals["program"][0].as_py() == text
    assert extra(decoded.individuals) == [{"luck": text}]


def test_bare_names_of_python_are_read_as_numbers_beside_any_strings() -> None:
    decoded = read('[{"total-error":NaN,"errors":[Infinity,-Infinity,1],"program":"NaN, [Infinity]","x":NaN}]')
    (row,) = decoded.individuals.to_pylist()
    assert row["total_error"] != row["total_error"]
    assert row["errors"] == [float("inf"), float("-inf"), 1.0]
    assert (row["program"], row["extra"]) == ("NaN, [Infinity]", '{"x":"NaN"}')
    assert decoded.generation_row["flags"].to_pylist() == [[]]
