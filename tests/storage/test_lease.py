"""A lock that is an object: one holder, taken over when the holder is silent, and known to be lost by who lost it."""

from __future__ import annotations

import os

import msgspec
import pytest

from gpdata.errors import LakeBusy
from gpdata.storage import ObjectPath
from gpdata.storage.lease import Lease, LeaseLost, Record, holder, read
from tests.support import until

pytestmark = pytest.mark.xdist_group("s3")
SHORT = 1.5


@pytest.fixture
def lock(place: ObjectPath) -> ObjectPath:
    return place / "lock"


def _busy(record: Record) -> str:
    return f"held by {record.process}"


def _held_elsewhere(lock: ObjectPath, *, seconds: float, epoch: int = 7) -> None:
    """Leave what a holder on another machine left that died."""
    record = Record(epoch, True, "nonce", seconds, "elsewhere", "another machine", 1)
    lock.client.put(lock.key, msgspec.json.encode(record))


def test_one_holds_it_and_the_next_has_a_greater_epoch(lock: ObjectPath) -> None:
    first, second = Lease(lock), Lease(lock)
    first.acquire(0, _busy)
    with pytest.raises(LakeBusy, match=f"held by {os.getpid()}"):
        second.acquire(0, _busy)
    found = holder(lock)
    assert found is not None
    assert found.process == os.getpid()
    first.release()
    assert holder(lock) is None
    second.acquire(0, _busy)
    assert second.epoch == first.epoch + 1
    assert not second.stolen
    second.release()


def test_it_is_renewed_while_it_is_held(lock: ObjectPath) -> None:
    lease = Lease(lock, seconds=SHORT)
    lease.acquire(0, _busy)
    before = read(lock)
    until(lambda: read(lock) != before, 30)
    lease.check()
    with pytest.raises(LakeBusy):
        Lease(lock).acquire(2 * SHORT, _busy)
    lease.release()


def test_a_silent_holder_is_replaced_and_only_then(lock: ObjectPath) -> None:
    _held_elsewhere(lock, seconds=3600)
    with pytest.raises(LakeBusy):
        Lease(lock).acquire(0.5, _busy)
    _held_elsewhere(lock, seconds=SHORT)
    lease = Lease(lock)
    lease.acquire(60, _busy)
    assert (lease.epoch, lease.stolen) == (8, True)
    lease.release()


def test_who_only_looks_in_learns_too_that_a_holder_is_gone(lock: ObjectPath) -> None:
    _held_elsewhere(lock, seconds=SHORT)
    seen: dict[ObjectPath, object] = {}
    taken = []

    def look() -> bool:
        lease = Lease(lock, seen=seen)  # type: ignore[arg-type]
        try:
            lease.acquire(0, _busy)
        except LakeBusy:
            return False
        taken.append(lease)
        return True

    assert not look()
    until(look, 60)
    taken[0].release()


def test_a_dead_process_of_this_machine_is_not_waited_for(lock: ObjectPath) -> None:
    lease = Lease(lock)
    lease.acquire(0, _busy)
    found = read(lock)
    assert found is not None
    lease.release()
    dead = msgspec.structs.replace(found[0], process=2**22 + 1, seconds=3600.0)
    lock.client.put(lock.key, msgspec.json.encode(dead))
    assert holder(lock) is None
    after = Lease(lock)
    after.acquire(0, _busy)
    assert after.stolen
    after.release()


def test_who_was_replaced_knows(lock: ObjectPath) -> None:
    lease = Lease(lock, seconds=SHORT)
    lease.acquire(0, _busy)
    _held_elsewhere(lock, seconds=3600, epoch=lease.epoch + 1)

    def lost() -> bool:
        try:
            lease.check()
        except LeaseLost:
            return True
        return False

    until(lost, 30)
    lease.release()
    found = read(lock)
    assert found is not None
    assert found[0].host == "elsewhere", "who lost the lock must not free it"
