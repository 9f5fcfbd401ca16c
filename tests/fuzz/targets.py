"""What the fuzzer calls: each target takes any bytes and fails where the wire breaks one of its promises."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import msgspec

from gpdata.ingest.body import BadBody, decoder
from gpdata.spool import Anything, Disk, Incoming, Meta, Spool
from gpdata.wire import REJECTIONS, Decoded, KeyFinder, Limits, Origin, Rejection, columns, decode, identify
from gpdata.wire.decode import decode_lines
from tests.wire import generated

ORIGIN = Origin("upload")
LIMITS = Limits(depth=40)
_MOST_DECOMPRESSED = 1 << 20


@contextmanager
def lexical_only() -> Iterator[None]:
    """Let msgspec refuse everything, so that every value goes through the strict readers."""

    def refuse(*_: object, **__: object) -> Any:
        raise msgspec.DecodeError

    kinds = {type(kind) for kind in vars(columns).values() if isinstance(kind, columns.Kind)}
    with ExitStack() as patches:
        for splitter in ("_without_space", "_split_object", "_split_array", "_split_objects"):
            patches.enter_context(mock.patch(f"gpdata.wire.members.{splitter}", refuse))
        for reader in ("coded_genomes", "typed_genomes"):
            patches.enter_context(mock.patch(f"gpdata.wire.genome.{reader}", refuse))
        for kind in kinds:
            patches.enter_context(mock.patch.object(kind, "at_once", refuse))
        yield


def read_alike(data: bytes) -> None:
    """The fast and the strict reader agree, and so do the three ways to learn a line's key."""
    fast = decode(data, ORIGIN, LIMITS)
    with lexical_only():
        strict = decode(data, ORIGIN, LIMITS)
    key = identify(data, LIMITS)
    told = _told(data, [len(data) // 3])
    if isinstance(fast, Rejection):
        assert fast == strict, (fast, strict)
        assert fast.code in REJECTIONS
    else:
        assert isinstance(strict, Decoded), strict
        assert _rows(fast) == _rows(strict)
        assert key == (fast.run_uuid, fast.generation)
    if told is not None and not isinstance(key, Rejection):
        assert told == key


def made_alike(data: bytes) -> None:
    """Lines that are right or nearly so are read alike by both readers, alone and with others."""
    chance = _Bytes(data)
    lines = [generated.line(chance).encode() for _ in range(chance.randrange(1, 4))]
    for line in lines:
        read_alike(line)
    together = decode_lines([(line, ORIGIN) for line in lines], LIMITS)
    assert [_rows(read) for read in together] == [_rows(decode(line, ORIGIN, LIMITS)) for line in lines]


def key_told(data: bytes) -> None:
    """How a line is cut changes nothing of the key that is told as it passes."""
    cuts, line = _cuts(data)
    assert _told(line, cuts) == _told(line, []) == _told(line, list(range(len(line))))


def lines_split(data: bytes) -> None:
    """However bytes arrive, the same lines are stored, refused, or known already; and none is altered."""
    cuts, body = _cuts(data)
    whole, pieces = _taken(body, []), _taken(body, cuts)
    assert whole == pieces, (whole, pieces)
    outcomes, stored, aside = whole
    sent = [line.removesuffix(b"\r") if ended else line for line, ended in _lines(body)]
    for outcome in outcomes:
        assert outcome.result != "stored" or sent[outcome.line - 1] in stored
        assert outcome.result != "refused" or sent[outcome.line - 1][: LIMITS.line_bytes] in aside
    blank = sum(not line.strip() for line in sent)
    assert len(outcomes) == len(sent) - blank
    assert len(stored) == sum(outcome.result == "stored" for outcome in outcomes)


def body_decoded(data: bytes) -> None:
    """A body is decompressed alike however it arrives, or refused; never more than is asked for at once."""
    cuts, body = _cuts(data)
    for encoding in ("gzip", "zstd"):
        whole, pieces = _decompressed(encoding, body, []), _decompressed(encoding, body, cuts)
        assert (whole is None) == (pieces is None), (encoding, whole, pieces)
        assert whole is None or pieces is None or whole == pieces


TARGETS: dict[str, Callable[[bytes], None]] = {
    "read": read_alike,
    "made": made_alike,
    "key": key_told,
    "lines": lines_split,
    "body": body_decoded,
}


class _Bytes(random.Random):
    """Chance that is given: the fuzzer chooses what is made. Once it is used up, the first of all choices."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._left = iter(data)

    def getrandbits(self, k: int) -> int:
        found = 0
        for _ in range((k + 7) // 8):
            found = found << 8 | next(self._left, 0)
        return found & ((1 << k) - 1)

    def random(self) -> float:
        return self.getrandbits(8) / 256


class _NoSync(Disk):
    """A disk that does not wait for the device: what is looked at here is not durability."""

    def sync(self, file: BinaryIO) -> None:
        file.flush()

    def sync_directory(self, path: Path) -> None:
        return


def _rows(read: Decoded | Rejection) -> object:
    """Return what was read in a form in which NaN is equal to NaN, and -0.0 is not equal to 0.0."""
    if isinstance(read, Rejection):
        return read
    tables = (read.run, read.generation_row, read.individuals)
    for table in tables:
        table.validate(full=True)
    return read.config_sha256, *(repr(table.to_pylist()) for table in tables)


def _cuts(data: bytes) -> tuple[list[int], bytes]:
    """Take the first bytes as places at which the others are cut."""
    count = data[0] % 8 if data else 0
    body = data[1 + 2 * count :]
    places = [int.from_bytes(data[1 + 2 * n : 3 + 2 * n], "little") for n in range(count)]
    return sorted(place % (len(body) + 1) for place in places), body


def _told(data: bytes, cuts: list[int]) -> tuple[str, int] | None:
    finder = KeyFinder()
    for start, end in pairwise([0, *cuts, len(data)]):
        finder.feed(memoryview(data)[start:end])
    return finder.key()


def _lines(body: bytes) -> list[tuple[bytes, bool]]:
    *whole, last = body.split(b"\n")
    return [(line, True) for line in whole] + ([(last, False)] if last else [])


def _taken(body: bytes, cuts: list[int]) -> tuple[list[Any], list[bytes], list[bytes]]:
    limits, aside = Limits(depth=40, line_bytes=2000), list[bytes]()
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), disk=_NoSync())
        with spool.writer(Meta("upload")) as writer:
            incoming = Incoming(
                writer, Meta("upload"), Anything(), limits, aside=lambda _, pieces: aside.append(b"".join(pieces))
            )
            for start, end in pairwise([0, *cuts, len(body)]):
                incoming.feed(body[start:end])
            incoming.finish()
            file = incoming.commit()
            stored = list(spool.read(file)) if file is not None else []
        assert not any((spool.path / "tmp").iterdir())
    assert all(isinstance(line, bytes) for line in stored)
    return incoming.outcomes, [line for line in stored if isinstance(line, bytes)], aside


def _decompressed(encoding: str, body: bytes, cuts: list[int]) -> bytes | None:
    """Return what a body holds, as far as it is looked at; None where it is refused."""
    reader = decoder(encoding)
    assert reader is not None
    found = bytearray()
    try:
        for start, end in pairwise([0, *cuts, len(body)]):
            reader.put(body[start:end])
            if end == len(body):
                reader.finish()
            while len(found) < _MOST_DECOMPRESSED:
                piece = reader.read(4096)
                assert len(piece) <= 4096
                reader.granted += reader.lacks
                found += piece
                if not piece and not reader.lacks:
                    break
            else:
                return bytes(found[:_MOST_DECOMPRESSED])
    except BadBody:
        return None
    return bytes(found)
