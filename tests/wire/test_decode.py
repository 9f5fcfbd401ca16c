"""Many lines together give what each gives alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.wire import Decoded, Limits, Origin, Rejection, decode, decode_lines
from tests.wire import generated

ORIGINS = [Origin("upload"), Origin("import", owner="ada", received_at=datetime(2024, 5, 1, tzinfo=UTC))]
LIMITS = Limits(depth=20)


def same(one: Decoded | Rejection, other: Decoded | Rejection) -> bool:
    if isinstance(one, Rejection) or isinstance(other, Rejection):
        return one == other
    # repr, for NaN is not equal to itself
    return [repr(batch.to_pylist()) for batch in (one.run, one.generation_row, one.individuals)] == [
        repr(batch.to_pylist()) for batch in (other.run, other.generation_row, other.individuals)
    ] and (one.run_uuid, one.generation, one.line_sha256, one.config_sha256) == (
        other.run_uuid,
        other.generation,
        other.line_sha256,
        other.config_sha256,
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**64), size=st.integers(1, 6))
def test_generated_lines(seed: int, size: int) -> None:
    chance = random.Random(seed)
    lines = []
    for _ in range(size):
        line = generated.line(chance).encode()
        match chance.randrange(6):
            case 0:
                line = line[: chance.randrange(len(line))]
            case 1:
                deep = b"[" * 30 + b"]" * 30
                line = line.replace(b'"population":[', b'"population":[{"luck":' + deep + b"},", 1)
        lines.append((line, chance.choice(ORIGINS)))
    together = decode_lines(lines, LIMITS)
    alone = [decode(line, origin, LIMITS) for line, origin in lines]
    assert len(together) == len(lines)
    assert all(map(same, together, alone))


def test_captured_lines(some_lines: list[bytes]) -> None:
    lines = [line for line in some_lines if len(line) < 200_000]
    together = decode_lines([(line, ORIGINS[1]) for line in lines])
    assert all(same(found, decode(line, ORIGINS[1])) for found, line in zip(together, lines, strict=True))


def test_no_line() -> None:
    assert decode_lines([]) == []
