"""The sender against a real server that fails in every way: each line arrives once, or waits, or is set aside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from gpdata.spool import Disk, Key, Meta, Outcome
from gpdata.upload.http import Client
from gpdata.upload.outbox import Outbox, State
from gpdata.upload.sender import Sender
from tests.support import RUN, line, run_lines
from tests.support import until as _until
from tests.upload.server import TOKEN, Server

pytestmark = pytest.mark.usefixtures("quick")

META = Meta("recorder")
until = partial(_until, seconds=20.0)
OTHER = RUN[:-1] + "2"


class Sending:
    """A sender at work, and what it told."""

    def __init__(self, outbox: Outbox, server: Server, token: Callable[[], str] = lambda: TOKEN) -> None:
        self.outbox = outbox
        self.outcomes: list[Outcome] = []
        self.errors: list[str | None] = []
        self.sender = Sender(outbox, Client(server.address, token), settled=self.settled, changed=self.changed)

    def settled(self, id_: str, outcomes: list[Outcome]) -> bool:
        self.outcomes += outcomes
        return False

    def changed(self, state: State) -> None:
        self.errors.append(state.error)

    def __enter__(self) -> Sending:
        self.sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.stop()
        assert not self.sender.holding

    def drain(self) -> None:
        until(self.outbox.empty)


def stored(server: Server) -> list[bytes]:
    return [server.lines[key] for key in sorted(server.lines)]


def test_everything_that_waits_is_sent_and_removed(server: Server, tmp_path: Path) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=20)
    for each in lines[:10]:
        outbox.spool.write([each], META)
    outbox.spool.write(lines[10:15], META)
    with Sending(outbox, server) as sending:
        sending.drain()
        outbox.spool.write(lines[15:], Meta("plain", origin="127.0.0.1:7"))  # while it runs
        sending.drain()
    assert stored(server) == lines
    assert server.duplicates == 0
    assert sorted(o.generation or 0 for o in sending.outcomes) == list(range(20))
    assert sending.errors == [None]
    assert str(server.origins[-1]).endswith(" 127.0.0.1:7")
    assert server.posts == 2  # small files go together
    state = outbox.state()
    assert state is not None
    assert (state.lines, state.error) == (20, None)


@pytest.mark.parametrize(
    "faults",
    [
        [(503, {"Retry-After": "0"}, {"error": "disk_full", "detail": "later"})],
        ["drop"],
        [(500, {}, b"<html>")],
        [(401, {}, {"error": "bad_token", "detail": "who?"}), "drop"],
        [(302, {"Location": "http://127.0.0.1:1"}, b"")] * 3,
        [(200, {}, b"<html>sign in</html>")],
        [(200, {}, {"lines": []}), "drop"],
    ],
)
def test_what_fails_for_a_time_is_sent_again(server: Server, tmp_path: Path, faults: list) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=6)
    server.faults += faults
    for each in lines:
        outbox.spool.write([each], META)
    with Sending(outbox, server) as sending:
        sending.drain()
    assert stored(server) == lines
    assert not server.faults
    assert sum(o.result == "duplicate" for o in sending.outcomes) == server.duplicates
    assert sorted(o.generation or 0 for o in sending.outcomes) == list(range(6))
    assert sending.sender.state.error is None
    assert list(outbox.quarantine.entries()) == []


def test_a_server_that_comes_late_and_goes_for_a_while(server: Server, tmp_path: Path) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=4)
    server.stop()
    outbox.spool.write(lines[:2], META)
    with Sending(outbox, server) as sending:
        until(lambda: sending.errors)
        assert "does not answer" in str(sending.errors[0])
        server.start()
        sending.drain()
        server.stop()
        outbox.spool.write(lines[2:], META)
        until(lambda: len(sending.errors) > 2)
        server.start()
        sending.drain()
    assert stored(server) == lines


def test_retry_after_is_respected(server: Server, tmp_path: Path) -> None:
    server.faults.append((503, {"Retry-After": "1"}, {"error": "busy", "detail": "later"}))
    outbox = Outbox(tmp_path)
    outbox.spool.write([line()], META)
    before = time.monotonic()
    with Sending(outbox, server) as sending:
        sending.drain()
    assert time.monotonic() - before >= 1


def test_refused_lines_are_set_aside_with_their_reason(server: Server, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    server.refuse[OTHER] = "other_owner"
    good, bad = line(generation=0), line(OTHER, generation=3)
    outbox.spool.write([good, bad], META)
    outbox.spool.write([bad], META)  # the answer is 422 here
    with Sending(outbox, server) as sending:
        sending.drain()
    assert stored(server) == [good]
    (entry,) = outbox.quarantine.entries()  # the same bytes are kept once
    assert outbox.quarantine.raw(entry) == bad
    assert (entry.code, entry.detail) == ("other_owner", "it is told why")
    assert (entry.run_uuid, entry.generation, entry.source) == (OTHER, 3, "recorder")
    assert sending.sender.state.refused == 2


def test_a_body_that_is_never_taken_goes_line_by_line(server: Server, tmp_path: Path) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=3)
    server.faults += [
        (413, {}, {"error": "too_many_lines", "detail": "3 of at most 2"}),
        (400, {}, {"error": "bad_body", "detail": "for ever"}),
    ]
    outbox.spool.write(lines, META)
    with Sending(outbox, server) as sending:
        sending.drain()
    assert stored(server) == lines[1:]
    (entry,) = outbox.quarantine.entries()
    assert outbox.quarantine.raw(entry) == lines[0]
    assert (entry.code, entry.detail) == ("bad_body", "for ever")


def test_a_line_without_an_answer_stays(server: Server, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    keys = tuple(Key(RUN, g, "") for g in range(2))  # who wrote the file knows that there are two
    outbox.spool.write([line(generation=0), line(generation=1)], Meta("recorder", keys=keys))
    server.faults += [(200, {}, {"lines": [{"line": 2, "result": "stored"}]})] * 3
    with Sending(outbox, server) as sending:
        sending.drain()
    assert len(server.lines) == 2


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_damage_on_this_disk_costs_only_the_damaged_line(server: Server, tmp_path: Path, where: str) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=5, size=20)
    file = outbox.spool.write(lines, META)
    data = bytearray(file.path.read_bytes())
    at = {"first": 0.1, "middle": 0.5, "last": 0.9}[where]
    data[int(at * len(data))] ^= 0xFF
    file.path.write_bytes(data)
    with Sending(outbox, server) as sending:
        sending.drain()
    assert len(server.lines) == 4
    assert set(server.lines.values()) < set(lines)
    assert {entry.code for entry in outbox.quarantine.entries()} == {"spool_damaged"}


def test_a_line_that_kills_the_server_holds_up_no_other(server: Server, tmp_path: Path) -> None:
    outbox, lines = Outbox(tmp_path), run_lines(generations=10)
    server.broken.add(OTHER)
    bad = [outbox.spool.write([line(OTHER, g)], META) for g in range(3)]
    for each in lines:
        outbox.spool.write([each], META)
    with Sending(outbox, server):
        until(lambda: len(server.lines) == 10)
        until(lambda: len(outbox.spool.pending()) == 3)
        assert [file.id for file in outbox.spool.pending()] == [file.id for file in bad]
        server.broken.clear()
        until(outbox.empty)


def test_a_second_process_waits_and_takes_over(server: Server, tmp_path: Path) -> None:
    one, other = Outbox(tmp_path), Outbox(tmp_path)
    with Sending(other, server) as second:
        until(lambda: second.sender.holding)
        first = Sending(one, server)
        first.sender.start()
        file = one.spool.write([line()], Meta("recorder", receipt=True))
        first.drain()
        assert not first.sender.holding
        # It was the other one's to send: what became of the line is in a receipt.
        until(lambda: (one.path / "receipts" / f"{file.id}.json").exists())
        (outcome,) = one.take_receipt(file.id) or ()
        assert outcome.result == "stored"
    until(lambda: first.sender.holding)
    one.spool.write([line(generation=1)], META)
    first.drain()
    first.sender.stop()
    assert len(server.lines) == 2


def test_a_new_token_is_used_at_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.upload.sender.FIRST_WAIT", 600.0)
    monkeypatch.setattr("gpdata.upload.sender.MOST_WAIT", 600.0)
    outbox, tokens = Outbox(tmp_path), ["wrong"]
    outbox.spool.write([line()], META)
    with Sending(outbox, server, lambda: tokens[-1]) as sending:
        until(lambda: sending.errors)
        assert sending.sender.state.error_code == "bad_token"
        tokens.append(TOKEN)
        sending.drain()
    assert len(server.lines) == 1


def test_the_server_is_greeted_before_there_is_a_line(server: Server, tmp_path: Path) -> None:
    with Sending(Outbox(tmp_path), server, lambda: "wrong") as sending:
        until(lambda: sending.errors)
    assert "bad_token" in str(sending.errors[0])
    assert server.lines == {}


class Dying(Disk):
    """A disk that fails at a call and at all that follow, as if the process had been killed there."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.dead = threading.Event()

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.dead.set()
            raise OSError(5, "dead")

    def create(self, path: Path) -> BinaryIO:
        self._count()
        return super().create(path)

    def sync(self, file: BinaryIO) -> None:
        self._count()
        super().sync(file)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)


def test_killed_at_any_step_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    server.refuse[OTHER] = "bad_field"
    for calls in range(60):
        server.lines.clear()
        path = tmp_path / str(calls)
        calm = Outbox(path)
        lines = run_lines(generations=2)
        calm.spool.write(lines, Meta("recorder", receipt=True))
        calm.spool.write([line(OTHER)], META)
        disk = Dying(1_000_000)
        outbox = Outbox(path, disk=disk)
        disk.left = calls
        sending = Sending(outbox, server)
        sending.sender.start()
        until(lambda: disk.dead.is_set() or outbox.empty())  # noqa: B023
        sending.sender.stop()
        died = disk.dead.is_set()
        with Sending(calm, server) as after:
            after.drain()
        assert stored(server) == lines
        assert [calm.quarantine.raw(entry) for entry in calm.quarantine.entries()] == [line(OTHER)]
        assert list((path / "spool" / "trash").iterdir()) == []
        if not died:
            break
    assert calls > 20
    assert not died
