"""The outbox on the disk: whose turn it is to send, receipts, and what a fork must not inherit."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gpdata.spool import Meta, Outcome
from gpdata.upload.outbox import Outbox, State, default_outbox, written_at
from gpdata.upload.status import status_of, waiting_in
from tests.support import line

OUTCOMES = [Outcome(1, "stored", "r", 0), Outcome(2, "refused", code="bad_field", detail="why")]


def test_one_at_a_time_sends(tmp_path: Path) -> None:
    one, other = Outbox(tmp_path), Outbox(tmp_path)
    assert not one.busy()
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    assert one.busy()
    assert other.busy()
    one.release()
    assert other.acquire()


def test_a_killed_process_leaves_the_outbox_to_the_next(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from gpdata.upload.outbox import Outbox; from pathlib import Path\n"
        "assert Outbox(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    assert Outbox(tmp_path).acquire()


def test_a_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.acquire()
    blocked, go = os.pipe()
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.write(begun, b"!")
        os.read(blocked, 1)
        os._exit(outbox.acquire())  # 0: it is the parent's, or who came after
    os.close(blocked)
    os.read(ready, 1)
    outbox.release()
    other = Outbox(tmp_path)
    assert other.acquire()  # though the child lives
    os.close(go)
    assert os.waitpid(child, 0)[1] == 0
    assert not outbox.acquire()


def test_receipts_are_taken_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.take_receipt("a") is None
    outbox.leave_receipt("a", OUTCOMES)
    assert Outbox(tmp_path).take_receipt("a") == OUTCOMES
    assert outbox.take_receipt("a") is None


def test_old_receipts_and_unfinished_files_are_swept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for name in ("old", "new"):
        outbox.leave_receipt(name, OUTCOMES)
    os.utime(tmp_path / "receipts" / "old.json", (0, 0))
    (tmp_path / "state.json.1.tmp").write_bytes(b"{")
    outbox.sweep()
    assert outbox.take_receipt("old") is None
    assert outbox.take_receipt("new") == OUTCOMES
    assert list(tmp_path.glob("*.tmp")) == []


def test_state_is_read_by_others_and_a_torn_one_is_none(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.state() is None
    outbox.write_state(State("https://a", 7, datetime(2026, 1, 1, tzinfo=UTC), lines=3))
    assert Outbox(tmp_path).state() == State("https://a", 7, datetime(2026, 1, 1, tzinfo=UTC), lines=3)
    (tmp_path / "state.json").write_bytes(b'{"server')
    assert outbox.state() is None


def test_what_waits_is_told(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.empty()
    assert waiting_in(outbox).oldest is None
    first = outbox.spool.write([line(generation=0)], Meta("recorder"))
    outbox.spool.write([line(generation=1)], Meta("recorder"))
    outbox.quarantine.add(b"a", code="torn", detail="d")
    outbox.quarantine.add(b"b", code="torn", detail="d")
    status = status_of(outbox, "https://a", refusals=1)
    assert (status.waiting.files, status.waiting.lines) == (2, 2)
    assert status.waiting.bytes == sum(file.size for file in outbox.spool.pending())
    assert status.waiting.oldest == written_at(first)
    assert abs(status.waiting.oldest - datetime.now(UTC)).total_seconds() < 60
    assert status.refused == {"torn": 2}
    assert len(status.newest_refusals) == 1
    assert not status.sending
    assert not outbox.empty()


def test_an_outbox_for_each_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    addresses = [
        "https://a.org",
        "https://a.org/b",
        "https://a.org_b",
        "https://a.org:1",
        "http://[::1]:9",
        "https://ü",
    ]
    paths = [default_outbox(address) for address in addresses]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path / "gpdata" / "outbox"}
