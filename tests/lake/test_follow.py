"""Following a spool: full disks, crashes, poison, and a real process."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from gpdata.errors import LakeBusy
from gpdata.lake import Lake, Transformer
from gpdata.lake.collect import Collector
from gpdata.lake.follow import Follower
from gpdata.lake.trial import heavy_lines
from gpdata.lake.verify import verify
from gpdata.spool import Meta, Spool
from gpdata.spool.room import Room
from tests.lake.disks import Full, small_disk
from tests.lake.test_transform import Stop, Stopping
from tests.support import RUN, contents, line, run_lines
from tests.support import until as _until

OTHER = "00000000-0000-4000-8000-000000000002"
DEADLINE = 20.0
until = partial(_until, seconds=DEADLINE)
GPDATA = [sys.executable, "-c", "from gpdata.cli import main; main()"]


class Following(threading.Thread):
    """A follower in a thread."""

    def __init__(self, lake: Lake, room: Room, **options: float) -> None:
        super().__init__()
        self.follower = Follower(Transformer(lake, **options), room, every=0.02, gather=0.02)  # type: ignore[arg-type]
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.follower.run()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Following:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.follower.stop.set()
        self.join()
        assert self.error is None


def test_what_comes_is_readable_soon_and_collected(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    spool = lake.spool()
    with Following(lake, Room(lake.path, 0), grace=0.2):
        for text in run_lines():
            spool.write([text], Meta("upload"))
        until(lambda: contents(lake.path)["generations"].num_rows == 5)
        until(lambda: not spool.pending() and not spool.retired())
        assert lake.holder("follow.lock") == os.getpid()
    assert lake.holder("follow.lock") is None


def test_one_follows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.lake.follow._LONGEST", 0.0)
    lake = Lake.create(tmp_path / "lake")
    with lake.lock(0, "follow.lock"), pytest.raises(LakeBusy, match="is being followed"):
        Follower(Transformer(lake), Room(lake.path, 0)).run()


@pytest.mark.parametrize("after", [0, 3, 8, 12, 15])
def test_a_full_disk_is_waited_out(tmp_path: Path, after: int, caplog: pytest.LogCaptureFixture) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("upload"))
    disk = Full(after)
    with caplog.at_level(logging.WARNING), Following(Lake.open(lake.path, disk=disk), Room(lake.path, 2**62)):
        until(lambda: disk.hit > 1)
        assert contents(lake.path)["generations"].num_rows in (0, 5)
        disk.free()
        until(lambda: not lake.spool().pending())
    assert "it goes on once there is room" in caplog.text
    assert contents(lake.path)["generations"].num_rows == 5
    assert list(lake.quarantine.entries()) == []
    assert [f for f in verify(lake) if f.kind == "error"] == []


def test_the_ballast_finishes_a_batch_on_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "disk", 24 << 20) as path:
        lake = Lake.create(path / "lake")
        room = Room(lake.path, 0)
        assert room.ballast(8 << 20)
        lake.spool().write(run_lines(size=50), Meta("upload"))
        with (path / "filler").open("wb", buffering=0) as filler:
            while left := room.free():
                filler.write(bytes(min(left, 1 << 16)))
        room.keep_free = 1 << 20  # so that the ballast is not made again at once
        with caplog.at_level(logging.WARNING), Following(lake, room):
            until(lambda: not lake.spool().pending())
        assert "the ballast is given up" in caplog.text
        assert contents(lake.path)["generations"].num_rows == 5
        (path / "filler").unlink()
        with Following(lake, room):
            until((lake.path / "ballast").exists)


def test_a_stop_anywhere_with_a_grace_period_loses_nothing(tmp_path: Path) -> None:
    """Batches, retirement and collection, stopped before every third change of the disk."""
    calm = Lake.create(tmp_path / "calm")
    calm.spool().write(run_lines(), Meta("recorder"))
    Transformer(calm).run()
    expected = contents(calm.path)

    def work(lake: Lake) -> None:
        Transformer(lake, batch_bytes=1, grace=1.0).run()
        with lake.lock():
            Collector(lake, lake.spool()).collect_expired()

    steps = 0
    while True:
        lake = Lake.create(tmp_path / str(steps))
        for text in run_lines():
            lake.spool().write([text], Meta("recorder"))
        try:
            work(Lake.open(lake.path, disk=Stopping(steps)))
        except Stop:
            spool = lake.spool()
            assert contents(lake.path)["generations"].num_rows + len(spool.pending()) >= 5
            work(lake)
            assert contents(lake.path) == expected
            assert spool.pending() == spool.retired() == []
            assert not list((lake.path / "manifests").iterdir())
            steps += 13
        else:
            break
    assert steps > 60


def test_a_batch_that_kills_goes_on_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed twice with every file, twice with the bad file alone; then its bad line is set aside, the rest stored."""
    lake = Lake.create(tmp_path / "lake")
    poison = line(OTHER, 7, 3)
    good = run_lines()
    lake.spool().write(good[:2], Meta("upload"))
    bad = lake.spool().write([good[2], poison, good[3]], Meta("upload"))
    lake.spool().write(good[4:], Meta("upload"))
    true, tries = Spool.read, []

    def read(self: Spool, file: object, start: int = 0) -> object:
        for part in true(self, file, start):  # type: ignore[arg-type]
            if part == poison and len(tries) < 4:
                tries.append(part)
                disk.left = 0  # as where the process is killed: nothing more reaches the disk
                raise Stop
            yield part

    trials = []
    monkeypatch.setattr(Spool, "read", read)
    monkeypatch.setattr(
        "gpdata.lake.transform.heavy_lines", lambda _, file, memory: trials.append(file.id) or frozenset({1})
    )
    killed = 0
    while True:
        disk = Stopping(10**6)
        try:
            Transformer(Lake.open(lake.path, disk=disk)).run()
            break
        except Stop:
            killed += 1
    assert killed == 4
    assert trials == [bad.id]
    (entry,) = lake.quarantine.entries()
    assert entry.code == "too_heavy"
    assert lake.quarantine.raw(entry) == poison
    assert contents(lake.path)["generations"].column("run_uuid").to_pylist() == [RUN] * 5
    assert lake.spool().pending() == []
    assert not list((lake.path / "manifests").iterdir())


def test_an_error_that_is_no_death_is_not_held_against_the_lines(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("upload"))
    failed = 0
    for after in range(2, 12):
        try:
            Transformer(Lake.open(lake.path, disk=Full(after))).run()
        except OSError:
            failed += 1
    assert failed > 3
    Transformer(lake).run()
    assert contents(lake.path)["generations"].num_rows == 5
    assert list(lake.quarantine.entries()) == []


def test_a_line_that_kills_its_process_by_its_size_is_found(tmp_path: Path) -> None:
    """A real child with a real limit: the large line dies in it, those before and after do not."""
    lake = Lake.create(tmp_path / "lake")
    individual = json.dumps(json.loads(line(size=1))["population"][0])
    large = '{"config-uuid":"%s","index":0,"outcome":"failure","population":[%s]}'
    heavy = large % (OTHER, ",".join([individual] * 250_000))
    lines = [line(generation=0), heavy.encode(), line(generation=1)]
    file = lake.spool().write(lines, Meta("upload"))
    assert heavy_lines(lake, file, memory=400 << 20) == {1}
    assert list(lake.scratch.iterdir()) == []


def test_lines_by_plain_tcp_say_that_nobody_vouches_for_them(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines()[:1], Meta("plain"))
    lake.spool().write(run_lines()[1:2], Meta("upload"))
    Transformer(lake).run()
    assert contents(lake.path)["generations"].column("flags").to_pylist() == [["auth=none"], []]


def test_the_command_follows_until_it_is_ended_and_survives_a_kill(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    command = [*GPDATA, "transform", "--follow", "--lake", str(lake.path), "--every", "0.05", "--with-parent"]
    texts = iter(run_lines(generations=2))
    for number, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            lake.spool().write([next(texts)], Meta("upload"))
            until(lambda rows=number + 1: contents(lake.path)["generations"].num_rows == rows)
            process.send_signal(end)
            status = process.wait(DEADLINE)
        assert status == (-signal.SIGKILL if end == signal.SIGKILL else 0)
    assert Transformer(lake).run().lines in (0, 1)  # what the killed one had not collected yet is a duplicate
    assert [f for f in verify(lake) if f.kind == "error"] == []
