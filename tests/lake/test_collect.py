"""Spool files after their grace period."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from gpdata.lake import Lake, Transformer
from gpdata.lake.collect import Collector
from gpdata.spool import Key, Meta, Spool
from tests.support import RUN, contents, line, run_lines

GRACE = 3600.0


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def upload(spool: Spool, lines: Iterable[bytes], *, keys: bool = True, hashes: bool = False) -> None:
    lines = list(lines)
    known = tuple(Key(RUN, n, hashlib.sha256(text).hexdigest() if hashes else None) for n, text in enumerate(lines))
    spool.write(lines, Meta("upload", keys=known if keys else None))


def transform(lake: Lake) -> None:
    Transformer(lake, grace=GRACE).run()


@pytest.mark.parametrize(("keys", "hashes"), [(True, True), (True, False), (False, False)])
def test_a_file_is_kept_for_the_grace_period_and_then_removed(lake: Lake, keys: bool, hashes: bool) -> None:
    clock = Clock()
    spool = lake.spool()
    collector = Collector(lake, spool, GRACE, clock=clock)
    upload(spool, run_lines(), keys=keys, hashes=hashes)
    transform(lake)
    assert (len(spool.pending()), len(spool.retired())) == (0, 1)
    assert collector.collect_expired() == 0
    clock.now += GRACE - 1
    assert collector.collect_expired() == 0
    clock.now += 2
    assert collector.collect_expired() == 1
    assert spool.retired() == []
    assert contents(lake.path)["generations"].num_rows == 5


def test_a_clock_that_is_set_ends_no_grace_period(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = lake.spool()
    collector = Collector(lake, spool, GRACE)
    upload(spool, run_lines())
    transform(lake)
    collector.collect_expired()
    true = time.time
    for years in (10, -10):
        shift = datetime.timedelta(days=365 * years).total_seconds()
        monkeypatch.setattr(time, "time", lambda shift=shift: true() + shift)
        assert collector.collect_expired() == 0
        assert len(spool.retired()) == 1


def test_a_restart_begins_the_grace_period_anew(lake: Lake) -> None:
    clock = Clock()
    upload(lake.spool(), run_lines())
    transform(lake)
    Collector(lake, lake.spool(), GRACE, clock=clock).collect_expired()
    clock.now += 2 * GRACE
    assert Collector(lake, lake.spool(), GRACE, clock=clock).collect_expired() == 0


def test_lines_in_quarantine_and_damaged_stretches_are_accounted_for(lake: Lake) -> None:
    spool = lake.spool()
    file = spool.write([*run_lines(), b'{"torn', line(generation=1, seed=3)], Meta("upload"))
    data = bytearray(file.path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    file.path.write_bytes(data)
    transform(lake)
    assert len(list(lake.quarantine.entries())) == 3
    assert Collector(lake, spool).collect_expired() == 1


def test_a_file_whose_lines_the_lake_lost_is_transformed_again(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    upload(lake.spool(), run_lines())
    transform(lake)
    expected = contents(lake.path)
    # The newest commits vanish, as on a disk that lied about its writes.
    for table in lake.tables.values():
        max(table.log.glob("0*.json")).unlink()
    assert contents(lake.path)["generations"].num_rows == 0
    assert Collector(lake, lake.spool()).collect_expired() == 0
    assert "lacks a line" in caplog.text
    assert (len(lake.spool().pending()), len(lake.spool().retired())) == (1, 0)
    transform(lake)
    assert contents(lake.path) == expected
    assert Collector(lake, lake.spool()).collect_expired() == 1


def test_a_data_file_that_is_gone_keeps_the_spool_file(lake: Lake) -> None:
    upload(lake.spool(), run_lines())
    transform(lake)
    next(lake.tables["individuals"].path.glob("*.parquet")).unlink()
    assert Collector(lake, lake.spool()).collect_expired() == 0
    assert len(lake.spool().pending()) == 1


def test_a_quarantine_entry_that_was_dropped_brings_its_line_back(lake: Lake) -> None:
    lake.spool().write([b'{"torn'], Meta("upload"))
    transform(lake)
    (entry,) = lake.quarantine.entries()
    lake.quarantine.drop(entry)
    assert Collector(lake, lake.spool()).collect_expired() == 0
    transform(lake)
    assert [e.id for e in lake.quarantine.entries()] == [entry.id]
