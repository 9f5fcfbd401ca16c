"""Batches: exactly once, whatever stops when."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from gpdata.errors import LakeBusy, LakeDamaged
from gpdata.lake import Account, Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.lake.verify import verify
from gpdata.spool import Disk, Meta
from tests.support import contents, line, run_lines

OTHER = "00000000-0000-4000-8000-000000000002"


def record(lake: Lake, lines: Iterable[bytes], **meta: Any) -> Account:
    lake.spool().write(lines, Meta(source="recorder", **meta))
    return Transformer(lake).run()


def errors(lake: Lake) -> list[str]:
    return [f"{f.where}: {f.what}" for f in verify(lake) if f.kind == "error"]


def test_a_duplicate_is_counted_and_ignored(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    assert record(lake, run_lines()) == Account(5, 5, 0, 0, 1, 5, 20)
    before = contents(lake.path)
    again = record(lake, [*run_lines()[2:], *run_lines()[2:]])
    assert again == Account(lines=6, duplicates=6)
    assert contents(lake.path) == before
    assert lake.spool().pending() == []


def test_a_conflicting_duplicate_stays_out_byte_for_byte(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    record(lake, run_lines())
    before = contents(lake.path)
    other = line(generation=2, seed=9)
    assert record(lake, [other]) == Account(lines=1, quarantined=1)
    (entry,) = lake.quarantine.entries()
    assert (entry.code, entry.generation) == ("conflict", 2)
    assert lake.quarantine.raw(entry) == other
    assert contents(lake.path) == before


def test_a_run_belongs_to_its_first_uploader(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    record(lake, run_lines()[:2], owner="ada")
    assert record(lake, run_lines()[2:3], owner="eve").quarantined == 1
    assert [entry.code for entry in lake.quarantine.entries()] == ["other_owner"]
    assert record(lake, run_lines()[2:3], owner="ada").accepted == 1
    assert contents(lake.path)["runs"].column("owner").to_pylist() == ["ada"]


def test_a_config_that_changes_is_flagged_and_the_first_stays(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    record(lake, [line(generation=0)])
    record(lake, [line(generation=1, config={"problem-file": "even", "argmap": {}}), line(generation=2)])
    found = contents(lake.path)
    assert found["runs"].column("problem").to_pylist() == ["odd"]
    assert found["runs"].column("flags").to_pylist() == [["config_differs"]]
    assert found["generations"].column("flags").to_pylist() == [[], ["config_differs"], []]


def test_damage_in_the_spool_costs_its_line_only(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lines = run_lines()
    file = lake.spool().write(lines, Meta("recorder"))
    from gpdata.spool.frames import frame

    data = bytearray(file.path.read_bytes())
    data[len(frame(lines[0])) + 40] ^= 0xFF
    file.path.write_bytes(data)
    account = Transformer(lake).run()
    assert (account.accepted, account.quarantined) == (4, 1)
    assert [entry.code for entry in lake.quarantine.entries()] == ["spool_damaged"]
    assert errors(lake) == []


def test_versions_name_the_same_rows_for_ever(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    seen = [contents(lake.path)]
    for g, text in enumerate(run_lines()):
        record(lake, [text, line(OTHER, g)])
        seen.append(contents(lake.path))
    compact(lake, keep=0)
    for version, rows in enumerate(seen):
        assert contents(lake.path, version=version) == rows


def test_two_transformers_take_turns(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("recorder"))
    with lake.lock():
        with pytest.raises(LakeBusy, match="safe in the spool"):
            Transformer(Lake.open(lake.path)).run(wait=0)
        assert contents(lake.path)["generations"].num_rows == 0
    assert Transformer(lake).run().accepted == 5


def _record_many(path: Path, run: str) -> None:
    for text in run_lines(run, generations=8):
        record(Lake.open(path), [text])


def test_several_processes_record_into_one_lake(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    runs = [f"00000000-0000-4000-8000-00000000000{k}" for k in range(4)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_record_many, args=(lake.path, run)) for run in runs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert contents(lake.path)["generations"].num_rows == 32
    assert errors(lake) == []


class Stop(BaseException):
    """The machine stops here."""


class Stopping(Disk):
    """A disk before whose n-th change the machine stops."""

    def __init__(self, after: int) -> None:
        self.left = after

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stop

    def create(self, path: Path) -> BinaryIO:
        self._step()
        return super().create(path)

    def sync(self, file: BinaryIO) -> None:
        self._step()
        super().sync(file)

    def sync_path(self, path: Path) -> None:
        self._step()
        super().sync_path(path)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._step()
        super().link(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)


def _walk(work: Callable[[Disk], None], check: Callable[[], None], every: int = 1) -> int:
    """Do the work with a stop before each of its changes in turn, checking after each; return their number."""
    steps = 0
    while True:
        try:
            work(Stopping(steps))
        except Stop:
            check()
            steps += every
        else:
            return steps


def test_a_stop_anywhere_in_a_transform_leaves_nothing_undone(tmp_path: Path) -> None:
    """Stop before every change; a plain second try must end in the lake that was never disturbed."""
    streams = [run_lines(), [*run_lines(OTHER), b'{"torn'], [line(generation=1, seed=3)]]
    calm = Lake.create(tmp_path / "calm")
    for lines in streams:
        record(calm, lines)
    expected = contents(calm.path)
    number = 0

    def work(disk: Disk) -> None:
        nonlocal number
        number += 1
        path = tmp_path / str(number)
        for lines in streams:
            Lake.create(path).spool().write(lines, Meta("recorder"))
        # Two batches: what stops in the second must not disturb the first.
        Transformer(Lake.create(path, disk=disk), batch_bytes=1).run()

    def check() -> None:
        lake = Lake.open(tmp_path / str(number))
        generations = contents(lake.path)["generations"]
        assert generations.num_rows in (0, 5, 10), "a reader sees whole batches only"
        Transformer(lake).run()
        assert contents(lake.path) == expected
        assert sorted(e.code for e in lake.quarantine.entries()) == ["conflict", "torn"]
        assert lake.spool().pending() == []
        assert errors(lake) == []
        assert not list((lake.path / "manifests").iterdir())

    assert _walk(work, check, every=5) > 60


def test_a_stop_anywhere_in_a_batch_of_several_files_of_a_known_run_needs_no_person(tmp_path: Path) -> None:
    """A live run: many files a batch, and nothing for the table of runs."""
    calm = Lake.create(tmp_path / "calm")
    record(calm, run_lines(generations=4))
    expected = contents(calm.path)
    number = 0

    def work(disk: Disk) -> None:
        nonlocal number
        number += 1
        lake = Lake.create(tmp_path / str(number))
        first, *others = run_lines(generations=4)
        record(lake, [first])
        for text in others:
            lake.spool().write([text], Meta("recorder"))
        Transformer(Lake.open(lake.path, disk=disk)).run()

    def check() -> None:
        lake = Lake.open(tmp_path / str(number))
        assert contents(lake.path)["generations"].num_rows in (1, 4)
        Transformer(lake).run()
        assert contents(lake.path) == expected
        assert lake.spool().pending() == []
        assert errors(lake) == []

    assert _walk(work, check, every=3) > 25


def test_spool_files_that_vanish_from_a_half_committed_batch_are_told(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")

    class BeforeTheSecondCommit(Disk):
        commits = 0

        def link(self, source: Path, target: Path) -> None:
            self.commits += 1
            if self.commits == 2:
                raise Stop
            super().link(source, target)

    file = lake.spool().write(run_lines(), Meta("recorder"))
    with pytest.raises(Stop):
        Transformer(Lake.open(lake.path, disk=BeforeTheSecondCommit())).run()
    file.path.rename(tmp_path / "elsewhere")
    with pytest.raises(LakeDamaged, match="half committed"):
        Transformer(lake).run()
    (tmp_path / "elsewhere").rename(file.path)
    assert Transformer(lake).run().accepted == 5
    assert errors(lake) == []


def test_a_stop_anywhere_in_a_compaction_loses_no_row(tmp_path: Path) -> None:
    number = 0
    expected = None

    def work(disk: Disk) -> None:
        nonlocal number, expected
        number += 1
        lake = Lake.create(tmp_path / str(number))
        for text in run_lines(generations=2):
            record(lake, [text])
        expected = contents(lake.path)
        compact(Lake.open(lake.path, disk=disk), keep=0)

    def check() -> None:
        lake = Lake.open(tmp_path / str(number))
        assert contents(lake.path) == expected
        compact(lake, keep=0)
        assert contents(lake.path) == expected
        assert errors(lake) == []

    assert _walk(work, check, every=7) > 30
