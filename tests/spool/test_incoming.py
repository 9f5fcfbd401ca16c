"""Bytes in pieces into spool lines: how they are cut changes nothing, and every line has its outcome."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.importers.lines import Line, lines
from gpdata.spool import Anything, Disk, Incoming, Ledger, Meta, Outcome, Spool
from gpdata.wire import Limits, Rejection
from tests.support import RUN, line

LIMIT = 60
OTHER = "00000000-0000-4000-8000-000000000002"

ROUGH = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b"\x0b",
            b"{",
            b'"',
            b"[]}",
            b'{"index":1,"config-uuid":"r"}',
            b'{"index":2,"config-uuid":"r"}\r\n',
            b'{"config-uuid":"other","index":0}\n',
            b'{"config-uuid":"known","index":3}\n',
            b"x" * (LIMIT - 1),
            b"x" * LIMIT + b"\n",
            b"x" * LIMIT + b"\r\n",
            b"x" * (LIMIT + 1) + b"\n",
            b"x" * (3 * LIMIT),
        ]
    )
    | st.binary(max_size=12),
    max_size=12,
).map(b"".join)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Small:
    """A ledger that knows a run of somebody else, and a line."""

    def __init__(self, owner: str | None = None, **known: str) -> None:
        self.owner, self.known = owner, {tuple(key.split("__")): value for key, value in known.items()}

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        return Rejection("other_owner", "not yours", run_uuid, generation) if run_uuid == "other" else None

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        return self.known.get((run_uuid, str(generation)))


class Taken:
    """What came of bytes that were fed in pieces."""

    def __init__(self, path: Path, pieces: list[bytes], ledger: Ledger, limits: Limits, *, finish: bool = True) -> None:
        self.aside: list[tuple[str, bytes]] = []
        spool = Spool(path)
        for old in spool.pending():
            old.path.unlink()
        meta = Meta("upload", "ada")
        with spool.writer(meta) as writer:
            incoming = Incoming(writer, meta, ledger, limits, aside=self._keep)
            for piece in pieces:
                incoming.feed(piece)
            self.begun = b"" if finish else b"".join(incoming.begun())
            if finish:
                incoming.finish()
            else:
                self.torn = incoming.torn()
            assert not incoming.inside
            file = incoming.commit()
        self.outcomes, self.bytes = incoming.outcomes, incoming.bytes
        self.lines = list(spool.read(file)) if file else []
        self.keys = spool.keys(file) if file else ()
        self.known = incoming.keys()
        assert [pending.id for pending in spool.pending()] == ([file.id] if file else [])
        assert list((path / "tmp").iterdir()) == []

    def _keep(self, rejection: Rejection, pieces: Iterator[bytes]) -> None:
        self.aside.append((rejection.code, b"".join(pieces)))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@given(ROUGH, st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
def test_how_bytes_are_cut_changes_nothing(path: Path, data: bytes, cuts: list[int], finish: bool) -> None:
    ledger, limits = Small(known__3=sha256(b'{"config-uuid":"known","index":3}')), Limits(line_bytes=LIMIT)
    whole = Taken(path, [data], ledger, limits, finish=finish)
    for pieces in (cut(data, cuts), [data[i : i + 1] for i in range(len(data))]):
        other = Taken(path, pieces, ledger, limits, finish=finish)
        for name in ("outcomes", "lines", "keys", "known", "aside", "bytes", "begun"):
            assert getattr(other, name) == getattr(whole, name), name
    assert whole.bytes == len(data)


@given(ROUGH, st.lists(st.integers(0, 10**6), max_size=8))
def test_the_lines_are_those_that_import_reads(path: Path, data: bytes, cuts: list[int]) -> None:
    taken = Taken(path, cut(data, cuts), Anything(), Limits())
    if data.startswith((b"\x28\xb5\x2f\xfd", b"\x1f\x8b")):
        return
    wanted = {found.number: found.content for found in lines(io.BytesIO(data), limit=1 << 20) if type(found) is Line}
    # What cannot have a key is refused; the others are stored as they came, in order.
    assert [outcome.line for outcome in taken.outcomes] == list(wanted)
    stored = [wanted[outcome.line] for outcome in taken.outcomes if outcome.result == "stored"]
    refused = [wanted[outcome.line] for outcome in taken.outcomes if outcome.result == "refused"]
    assert taken.lines == stored
    assert [raw for _, raw in taken.aside] == refused
    if taken.keys is not None:
        assert [key.sha256 for key in taken.keys] == [sha256(content) for content in stored]
    assert [(key.run_uuid, key.generation) for key in taken.known] == [
        (outcome.run_uuid, outcome.generation) for outcome in taken.outcomes if outcome.result == "stored"
    ]


def test_generations_are_stored_with_their_keys(path: Path) -> None:
    data = [line(RUN, 0), line(RUN, 1), line(OTHER, 0, config={"index": 5}, note='[{"]}\\')]
    taken = Taken(path, [b"\r\n".join(data)], Anything(), Limits())
    assert taken.lines == data
    assert taken.outcomes == [
        Outcome(1, "stored", RUN, 0),
        Outcome(2, "stored", RUN, 1),
        Outcome(3, "stored", OTHER, 0),
    ]
    assert [(key.run_uuid, key.generation, key.sha256) for key in taken.keys] == [
        (RUN, 0, sha256(data[0])),
        (RUN, 1, sha256(data[1])),
        (OTHER, 0, sha256(data[2])),
    ]


def test_the_ledger_says_what_is_there_and_whose_a_run_is(path: Path) -> None:
    first, changed = line("known", 3), line("known", 3, seed=1)
    ledger = Small(known__3=sha256(first))
    taken = Taken(path, [b"\n".join([first, changed, line("other", 0), line("new", 0)])], ledger, Limits())
    assert [(o.line, o.result, o.code) for o in taken.outcomes] == [
        (1, "duplicate", None),
        (2, "stored", "conflict"),
        (3, "refused", "other_owner"),
        (4, "stored", None),
    ]
    assert "the first one stays" in (taken.outcomes[1].detail or "")
    assert taken.lines == [changed, line("new", 0)]
    assert taken.aside == [("other_owner", line("other", 0))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_of_the_limit_is_taken_and_one_more_byte_is_too_long(path: Path, end: bytes) -> None:
    content = b'{"config-uuid":"r","index":7,"x":1}'
    assert Taken(path, [content + end], Anything(), Limits(line_bytes=len(content))).lines == [content]
    taken = Taken(path, [content + end], Anything(), Limits(line_bytes=len(content) - 1))
    assert [(o.result, o.code) for o in taken.outcomes] == [("refused", "too_long")]
    assert taken.lines == []
    assert taken.aside == [("too_long", content[:-1])]


def test_a_carriage_return_counts_where_no_newline_follows(path: Path) -> None:
    content = b'{"config-uuid":"r","index":7}\r'
    assert Taken(path, [content], Anything(), Limits()).lines == [content]
    taken = Taken(path, [content], Anything(), Limits(line_bytes=len(content) - 1))
    assert [(o.result, o.code) for o in taken.outcomes] == [("refused", "too_long")]
    assert taken.lines == []


def test_an_endless_line_costs_no_room_and_the_next_one_is_taken(path: Path) -> None:
    pieces = [b'{"a":"'] + [b"x" * 100_000] * 50 + [b'"}\n', line(RUN, 0)]
    taken = Taken(path, pieces, Anything(), Limits(line_bytes=2_000_000))
    assert [(o.line, o.result) for o in taken.outcomes] == [(1, "refused"), (2, "stored")]
    assert taken.lines == [line(RUN, 0)]
    assert [(code, len(raw)) for code, raw in taken.aside] == [("too_long", 2_000_000)]


def test_a_torn_line_is_given_back_whatever_its_size(path: Path) -> None:
    data = line(RUN, 1, size=20_000)
    assert len(data) > 3_000_000
    pieces = [line(RUN, 0) + b"\n", *cut(data[:-1] + b"\r", [1_000_000, 7])]
    taken = Taken(path, pieces, Anything(), Limits(), finish=False)
    assert taken.torn == taken.begun == data[:-1] + b"\r"
    assert taken.lines == [line(RUN, 0)]


def test_whether_a_line_is_whole_is_read_not_guessed(tmp_path: Path) -> None:
    meta = Meta("plain")
    for data, wanted in [(line(), True), (line()[:-1], False), (b'{"a":{}}', False), (b"", False)]:
        with Spool(tmp_path).writer(meta) as writer:
            incoming = Incoming(writer, meta, Anything(), Limits())
            incoming.feed(data)
            assert incoming.whole() is wanted


def test_refused_lines_leave_the_others_as_they_are(path: Path) -> None:
    good = line(RUN, 0)
    data = b"\n".join([b"not json", good, b"", b" \r", b'{"index":1}', good[:30], line(RUN, 1)])
    taken = Taken(path, [data], Anything(), Limits())
    assert [(o.line, o.result, o.code) for o in taken.outcomes] == [
        (1, "refused", "not_json"),
        (2, "stored", None),
        (5, "refused", "missing_field"),
        (6, "refused", "torn"),
        (7, "stored", None),
    ]
    assert taken.lines == [good, line(RUN, 1)]
    assert [raw for _, raw in taken.aside] == [b"not json", b'{"index":1}', good[:30]]
    assert [(key.run_uuid, key.generation) for key in taken.keys] == [(RUN, 0), (RUN, 1)]


class FullFile(io.FileIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class FullDisk(Disk):
    def create(self, path: Path) -> BinaryIO:
        return io.BufferedWriter(FullFile(path, "w"))


def test_a_full_disk_fails_the_line_and_leaves_no_file(tmp_path: Path) -> None:
    spool, meta = Spool(tmp_path, disk=FullDisk()), Meta("upload")

    def upload() -> None:
        with spool.writer(meta) as writer:
            incoming = Incoming(writer, meta, Anything(), Limits())
            for generation in range(100):
                incoming.feed(line(RUN, generation) + b"\n")
            incoming.commit()

    with pytest.raises(OSError, match="No space"):
        upload()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nothing_is_written_where_no_line_is_stored(path: Path) -> None:
    for data in (b"", b"\n \n\r\n", b"nonsense", b"x" * 200):
        assert Taken(path, [data], Anything(), Limits(line_bytes=100)).lines == []


def test_a_line_whose_key_cannot_be_told_makes_no_claim_of_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.spool.incoming._READ_WHOLE", 100)
    twice = line(RUN, 0, note={"config-uuid": RUN})
    taken = Taken(path, [twice + b"\n" + line(RUN, 1)], Anything(), Limits())
    assert taken.outcomes == [Outcome(1, "stored"), Outcome(2, "stored", RUN, 1)]
    assert taken.lines == [twice, line(RUN, 1)]
    assert taken.keys is None
    assert [(key.run_uuid, key.generation) for key in taken.known] == [(RUN, 1)]


def test_the_same_line_twice_in_one_body_is_stored_once(path: Path) -> None:
    other = line(RUN, 0, seed=1)
    taken = Taken(path, [b"\n".join([line(RUN, 0), line(RUN, 0), other])], Anything(), Limits())
    assert [(outcome.result, outcome.code) for outcome in taken.outcomes] == [
        ("stored", None),
        ("duplicate", None),
        ("stored", "conflict"),
    ]
    assert taken.lines == [line(RUN, 0), other]
    assert [key.sha256 for key in taken.keys] == [sha256(line(RUN, 0)), sha256(other)]
