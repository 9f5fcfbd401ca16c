from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.importers.lines import BrokenSource, Line, LongLine, lines
from gpdata.spool import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "zstd": zstd.compress,
    "zstd in frames": lambda data: zstd.compress(data[:7]) + zstd.compress(data[7:]),
    "gzip": gzip.compress,
    "gzip in members": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
}


def read(data: bytes, limit: int = 1 << 20) -> list[tuple[int, bytes | str]]:
    found: list[tuple[int, bytes | str]] = []
    for item in lines(io.BytesIO(data), limit=limit):
        if isinstance(item, Line):
            found.append((item.number, item.content))
        elif isinstance(item, LongLine):
            found.append((item.number, f"long {sum(map(len, item.pieces))}"))
        else:
            found.append((item.number, f"broken {item.content!r}"))
    return found


@pytest.mark.parametrize("pack", PACK)
def test_every_compression_gives_the_same_lines(pack: str) -> None:
    data = b'{"a": 1}\n\n  \n{"b": 2}\r\n{"torn'
    assert read(PACK[pack](data)) == [(1, b'{"a": 1}'), (4, b'{"b": 2}'), (5, b'{"torn')]


@given(st.lists(st.binary(max_size=30).filter(lambda b: not {10, 13} & set(b)), max_size=10), st.booleans())
def test_lines_are_those_of_split(given_lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(given_lines) + (b"\n" if ended and given_lines else b"")
    if data[:2] == b"\x1f\x8b" or data[:4] == b"\x28\xb5\x2f\xfd":
        return
    expected = [(i, text) for i, text in enumerate(data.split(b"\n"), 1) if text.strip()]
    assert read(data) == expected


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.booleans())
def test_a_long_line_is_passed_in_pieces_and_the_next_is_read(sizes: list[int], ended: bool) -> None:
    data = b"\n".join(b"x" * size for size in sizes) + (b"\n" if ended else b"")
    expected = [(i, b"x" * n if n <= 20 else f"long {n}") for i, n in enumerate(sizes, 1) if n]
    assert read(data, limit=20) == expected


@pytest.mark.parametrize("pack", ["zstd", "gzip"])
def test_a_cut_off_archive_tells_where_it_breaks(pack: str) -> None:
    data = PACK[pack](b'{"a": 1}\n' + bytes(range(11, 256)) * 400)
    *_, last = read(data[:-20])
    assert str(last[1]).startswith("broken") or last[0] > 1
    items = list(lines(io.BytesIO(data[:-20]), limit=1 << 20))
    assert isinstance(items[-1], BrokenSource)


def test_a_bomb_is_read_in_bounded_pieces() -> None:
    data = zstd.compress(b"\0" * (300 << 20))
    (item,) = (
        (item.number, sum(map(len, item.pieces)))
        for item in lines(io.BytesIO(data), limit=1 << 20)
        if isinstance(item, LongLine)
    )
    assert item == (1, 300 << 20)
