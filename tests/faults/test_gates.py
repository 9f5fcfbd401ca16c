"""What lets nobody in, or only one: the gates that no other test tries by themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message

from gpdata.errors import InvalidInput, LakeBusy
from gpdata.ingest.accounts import WRITE, Identity
from gpdata.ingest.body import decoder
from gpdata.ingest.intake import Intake
from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.metrics import Metrics
from gpdata.ingest.options import Options
from gpdata.ingest.refused import Refused
from gpdata.ingest.service import Service
from gpdata.ingest.upload import Bounds, Upload, Work
from gpdata.lake import Lake
from gpdata.lake.follow import Follower
from gpdata.lake.transform import Transformer
from gpdata.spool import Meta, Outcome
from gpdata.spool.frames import frames
from gpdata.spool.room import Room
from gpdata.upload.forward import Forwarder
from gpdata.upload.http import Answer
from gpdata.upload.outbox import Outbox
from gpdata.upload.sender import Sender
from gpdata.wire import Limits
from tests.faults.served import until
from tests.support import line, run_lines

ADA = Identity("ada", frozenset({WRITE}), "0123456789ab")


class Accounts:
    """Lets everybody in, and says of their tokens what it is told to."""

    def __init__(self, *, good: bool = True) -> None:
        self.good = good

    async def identify(self, token: str | None) -> Identity:
        return ADA

    async def still_valid(self, identity: Identity) -> bool:
        return self.good


def take(
    lake: Lake,
    body: list[bytes],
    *,
    good: bool = True,
    room: list[bool] | None = None,
    stop: bool = False,
    ends: bool = True,
) -> Any:
    """Give a body to an intake, without a service around it; one that does not `end` is waited for."""
    spool, left, parts = lake.spool(), list(room or []), list(body)
    rooms = Room(spool.path, 0)
    rooms.enough = lambda: left.pop(0) if left else True  # type: ignore[method-assign]
    intake = Intake(spool, LakeLedger(lake, spool), Accounts(good=good), rooms, Metrics(), Limits())
    intake.stopping = stop
    encoding = decoder("")
    assert encoding is not None

    async def receive() -> Message:
        if not parts:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts) or not ends}

    async def taken() -> Any:
        watching = asyncio.create_task(intake.watch())
        try:
            return await asyncio.wait_for(intake.take(receive, encoding, ADA, None), 15)
        finally:
            watching.cancel()

    try:
        return asyncio.run(taken())
    finally:
        intake.close()


@pytest.mark.parametrize("refused", [{"good": False}, {"stop": True}, {"room": [False]}], ids=["token", "stop", "room"])
def test_what_is_not_allowed_is_asked_before_the_commit(refused: dict[str, Any], tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    body = [line() + b"\n"]
    with pytest.raises(Refused):
        take(lake, body, **refused)
    assert lake.spool().pending() == []
    assert [outcome.result for outcome in take(lake, body)] == ["stored"]


def test_an_upload_that_stands_still_ends_with_its_token(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(Refused, match="revoked"):
        take(lake, [line() + b"\n"], good=False, ends=False)


def test_a_body_ends_where_the_room_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.ingest.intake._ROOM_EVERY", 1)
    lake = Lake.create(tmp_path / "lake")
    body = [line(generation=generation, size=1000) + b"\n" for generation in range(8)]
    with pytest.raises(Refused, match="full"):
        take(lake, body, room=[True, False])
    assert lake.spool().pending() == []


def test_a_service_mends_a_torn_log(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("recorder"))
    Transformer(lake).run()
    max(lake.tables["generations"].log.glob("*.json")).write_bytes(b'{"add')
    with Service(Options(lake=lake.path, port=0, keep_free=0, transform=False)) as service:
        assert service.last_batch() == 0


def test_one_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.lake.follow._LONGEST", 0.0)
    lake = Lake.create(tmp_path / "lake")
    room, stop = Room(lake.path, 0), threading.Event()
    assert room.ballast(4096)
    stop.set()
    with lake.lock(name="follow.lock"), pytest.raises(LakeBusy):
        Follower(Transformer(Lake.open(lake.path)), room, stop=stop).run()


def test_a_forwarder_listens_to_this_machine_only(tmp_path: Path) -> None:
    client: Any = SimpleNamespace(address="http://127.0.0.1:1")
    forwarder = Forwarder(Outbox(tmp_path), client, say=lambda text: None)
    with pytest.raises(InvalidInput, match="other machines"):
        asyncio.run(asyncio.wait_for(forwarder.run("0.0.0.0", 0), 5))


@pytest.mark.parametrize(
    ("size", "waited", "since", "slow"),
    [(0, 0.0, 0.5, None), (2000, 0.0, 31.0, "no byte"), (2000, 40.0, 1.0, "less than"), (10**6, 40.0, 1.0, None)],
)
def test_an_upload_ends_where_it_stalls_and_where_it_drips(
    size: int, waited: float, since: float, slow: str | None
) -> None:
    upload = Upload(cast("Any", None), ADA, size=size, waited=waited, since=time.monotonic() - since)
    refused = upload.too_slow(Bounds(stall=30.0, least_rate=1024.0, rate_over=35.0))
    assert refused is None if slow is None else refused is not None and slow in refused.detail


class _Confused:
    """A server that answers twice for the first of two lines, and not for the second."""

    address = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.lines: list[int] = []

    def post(self, body: Any, **_: Any) -> Answer:
        raw = body if isinstance(body, bytes) else body.read()
        count = sum(isinstance(part, bytes) for part in frames(raw))
        self.lines.append(count)
        outcome = Outcome(1, "stored", "run", 0)
        return Answer(lines=[outcome] * count)

    def has_new_token(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_file_stays_until_each_of_its_lines_has_an_answer(tmp_path: Path) -> None:
    outbox, client = Outbox(tmp_path), _Confused()
    outbox.spool.write(run_lines(generations=2), Meta("recorder"))
    sender = Sender(outbox, cast("Any", client))
    sender.start()
    try:
        until(outbox.empty, seconds=30)
    finally:
        sender.stop()
    assert [count for count in client.lines if count] == [2, 1, 1]


@pytest.mark.parametrize(
    ("bounds", "code"), [(Bounds(lines=3), "too_many_lines"), (Bounds(raw_bytes=999), "too_large")]
)
def test_a_body_has_so_many_lines_and_bytes(bounds: Bounds, code: str, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    encoding = decoder("")
    assert encoding is not None
    work = Work(lake.spool(), LakeLedger(lake, lake.spool()), Limits(), bounds, encoding, "ada", None)
    work.begin(b"".join(sent + b"\n" for sent in run_lines(generations=4)), None, ended=True)
    with pytest.raises(Refused) as refused:
        work.last()
    work.close()
    assert refused.value.code == code
    assert lake.spool().pending() == []
