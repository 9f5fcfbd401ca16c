"""Generated lines, right and odd: both readers agree, nothing is lost, nothing raises."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.wire import REJECTIONS, Decoded, Limits, Origin, Rejection, decode
from tests.wire import generated

ORIGIN = Origin("upload")

LINES = st.integers(0, 2**64).map(lambda seed: generated.line(random.Random(seed)))


@settings(max_examples=120, deadline=None)
@given(text=LINES)
def test_both_readers_agree_and_nothing_is_lost(
    text: str,
    lexical_only: Callable[[], Any],
    rows: Callable[[Decoded], dict[str, Any]],
    rebuilt: Callable[[dict[str, Any]], dict[str, Any]],
    as_kept: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    fast = decode(text.encode(), ORIGIN)
    with lexical_only():
        slow = decode(text.encode(), ORIGIN)
    if isinstance(fast, Rejection) or isinstance(slow, Rejection):
        assert fast == slow
        assert fast.code == "bad_field"  # config can be anything
        return
    assert rows(fast) == rows(slow)
    for batch in (fast.run, fast.generation_row, fast.individuals):
        batch.validate(full=True)
    sent = json.loads(text.replace("7" * 5000, "1e999"))["population"]
    kept = [rebuilt(row) for row in json.loads(json.dumps(fast.individuals.to_pylist()).replace("7" * 5000, "1e999"))]
    assert kept == [as_kept(individual) for individual in sent]


@settings(max_examples=150, deadline=None)
@given(text=LINES, seed=st.integers(0, 2**32))
def test_a_damaged_line_is_read_or_rejected(text: str, seed: int) -> None:
    chance = random.Random(seed)
    line = bytearray(text.encode())
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(line))
        match chance.randrange(4):
            case 0:
                line[place] = chance.randrange(256)
            case 1:
                del line[place : place + chance.randrange(1, 20)]
            case 2:
                line[place:place] = chance.choice(
                    [b"\x00", b"\xff", b'"', b"[", b"}", b"\\", b",", b"NaN", b"\xed\xa0\x80"]
                )
            case _:
                line[place:place] = line[chance.randrange(len(line)) :][:30]
        if not line:
            break
    decoded = decode(bytes(line), ORIGIN, Limits(depth=50))
    assert isinstance(decoded, Decoded) or decoded.code in REJECTIONS


@settings(max_examples=200, deadline=None)
@given(line=st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(line: bytes) -> None:
    decoded = decode(line, ORIGIN)
    assert isinstance(decoded, Rejection)
    assert decoded.code in REJECTIONS


@settings(max_examples=60, deadline=None)
@given(text=LINES, share=st.floats(0, 1, exclude_max=True))
def test_a_line_that_ends_early_is_torn(text: str, share: float) -> None:
    line = text.encode()
    cut = line[: 1 + int(share * (len(line) - 1))]
    decoded = decode(cut, ORIGIN)
    assert isinstance(decoded, Rejection)
    assert decoded.code == "torn"


def test_a_captured_line_that_is_damaged_is_read_or_rejected(streams: dict[str, list[bytes]]) -> None:
    chance = random.Random(1)
    line = streams["demos.odd-plushy-s31.jsonl"][0]
    for _ in range(60):
        damaged = bytearray(line)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        decoded = decode(bytes(damaged), ORIGIN)
        assert isinstance(decoded, Decoded) or decoded.code in REJECTIONS


@pytest.mark.parametrize("cut", [1, 100, 5_000, 30_000, 50_000])
def test_a_captured_line_that_ends_early_is_torn(streams: dict[str, list[bytes]], cut: int) -> None:
    decoded = decode(streams["demos.odd-plushy-s31.jsonl"][0][:cut], ORIGIN)
    assert isinstance(decoded, Rejection)
    assert decoded.code == "torn"
