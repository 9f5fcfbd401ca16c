"""Bodies come out as they went in, in pieces of any size, or are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.ingest.body import MOST_WINDOW, BadBody, decoder, window
from gpdata.spool import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


def unpack(encoding: str, pieces: list[bytes], most: int = 1000) -> bytes:
    """Read a body as the service does."""
    body = decoder(encoding)
    assert body is not None
    out = []
    for piece in [*pieces, None]:
        if piece is None:
            body.finish()
        else:
            body.put(piece)
        while (part := body.read(most)) or body.lacks:
            assert len(part) <= most
            out.append(part)
            body.granted += body.lacks
    return b"".join(out)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at any places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("encoding", PACK)
@given(parts=st.lists(st.binary(max_size=3000), max_size=4), places=st.lists(st.integers(0, 10_000), max_size=6))
def test_whatever_goes_in_comes_out(encoding: str, parts: list[bytes], places: list[int]) -> None:
    packed = b"".join(map(PACK[encoding], parts))
    assert unpack(encoding, cut(packed, places), most=100) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(data=st.binary(min_size=1, max_size=300), end=st.integers(1, 10_000))
def test_whatever_breaks_off_is_refused(encoding: str, data: bytes, end: int) -> None:
    packed = PACK[encoding](data)
    with pytest.raises(BadBody):
        unpack(encoding, [packed + packed[: 1 + end % (len(packed) - 1)]])


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(data=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_read_or_refused(encoding: str, data: bytes) -> None:
    with suppress(BadBody):
        assert unpack(encoding, [data]) is not None


def test_a_frame_waits_for_the_window_that_it_needs() -> None:
    options = {zstd.CompressionParameter.window_log: 22}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(b"a line, long enough\n") + compressor.flush()
    assert window(packed) == 4 << 20
    body = decoder("zstd")
    assert body is not None
    body.put(packed)
    assert body.read(100) == b""
    assert body.lacks == (4 << 20) - body.granted
    body.granted += body.lacks
    assert body.read(100) == b"a line, long enough\n"
    assert body.lacks == 0


@pytest.mark.parametrize("log", range(10, 24))
def test_the_window_is_read_from_the_header(log: int) -> None:
    options = {zstd.CompressionParameter.window_log: log}
    compressor = zstd.ZstdCompressor(options=options)
    assert window(compressor.compress(b"x") + compressor.flush()) == 1 << log <= MOST_WINDOW
