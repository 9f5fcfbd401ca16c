"""Backups: whole while the lake is written, small, private, and what they bring back."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpdata
from gpdata.cli import main as command_line
from gpdata.errors import InvalidInput, LakeBusy
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake, Transformer
from gpdata.lake.backup import _LOCK as LOCK
from gpdata.lake.backup import UNFINISHED, back_up, backups, check_copy, restore
from gpdata.lake.compaction import compact
from gpdata.lake.copying import Copier
from gpdata.spool import Disk, Meta, Spool
from tests.support import contents, line, run_lines, until


def store(lake: Lake, run: str, generations: int = 5, transform: bool = True) -> None:
    lake.spool().write(run_lines(run, generations), Meta("test", owner="ada"))
    if transform:
        Transformer(lake).run()


def main(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        command_line(arguments)
    return int(left.value.code or 0)


def keys(path: Path) -> set[tuple[str, int]]:
    return set(gpdata.open(path).sql("SELECT run_uuid, generation FROM generations").fetchall())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def test_what_was_acknowledged_before_comes_back_though_all_was_in_use(lake: Lake, tmp_path: Path) -> None:
    acknowledged: list[tuple[str, int]] = []
    stop = threading.Event()

    def upload() -> None:
        spool = lake.spool()
        for number in range(10**6):
            if stop.is_set():
                return
            spool.write([line(f"run-{number}", 0)], Meta("test"))
            acknowledged.append((f"run-{number}", 0))

    def transform() -> None:
        transformer = Transformer(lake)
        while not stop.wait(0.2):  # a follower rests, too; nobody queues for a lock
            transformer.run()

    threads = [threading.Thread(target=each) for each in (upload, transform)]
    for thread in threads:
        thread.start()
    try:
        promised = []
        for count in (3, 12, 24):
            until(lambda count=count: len(acknowledged) >= count, 60, "uploads")
            promised.append(set(acknowledged))
            path, note = back_up(lake, tmp_path / "backups", wait=60)
            assert note.faults == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    shutil.rmtree(lake.path)
    for (path, _), before in zip(backups(tmp_path / "backups"), promised, strict=True):
        restored = restore(path, tmp_path / path.name)
        Transformer(restored).run()
        assert keys(restored.path) >= before
        assert list(check_copy(restored)) == []
        assert not restored.spool().pending()


class Broken(Disk):
    """Stops before the n-th log entry."""

    def __init__(self, left: int) -> None:
        self.left = left

    def link(self, source: Path, target: Path) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().link(source, target)


@pytest.mark.parametrize("commits", [0, 1, 2])
def test_a_batch_that_was_broken_off_is_made_again_from_the_backup(lake: Lake, tmp_path: Path, commits: int) -> None:
    store(lake, "whole")
    outside = Spool(tmp_path / "spool")
    outside.write(run_lines("broken"), Meta("test"))
    with pytest.raises(KeyboardInterrupt):
        Transformer(Lake.open(lake.path, disk=Broken(commits)), outside).run()
    path, note = back_up(lake, tmp_path / "backups", spool=outside, check=False)
    assert note.faults is None
    shutil.rmtree(lake.path)
    shutil.rmtree(outside.path)
    restored = restore(path, lake.path)
    Transformer(restored).run()
    assert list(check_copy(restored)) == []
    assert keys(lake.path) == {(run, generation) for run in ("whole", "broken") for generation in range(5)}


def test_a_later_backup_has_only_what_is_new_and_stays_whole_without_the_earlier(lake: Lake, tmp_path: Path) -> None:
    for number in range(3):
        store(lake, f"run-{number}", 20)
    first, before = back_up(lake, tmp_path / "backups")
    store(lake, "later", 1)
    second, after = back_up(lake, tmp_path / "backups")
    assert after.copied < before.copied / 2
    old = next((first / "lake" / "individuals").glob("*.parquet"))
    assert (second / "lake" / "individuals" / old.name).stat().st_ino == old.stat().st_ino
    compact(lake, keep=0)
    third, _ = back_up(lake, tmp_path / "backups", keep=1)
    assert [path for path, _ in backups(tmp_path / "backups")] == [third]
    assert not first.exists()
    assert not (third / "lake" / "individuals" / old.name).exists()
    expected = contents(lake.path)
    shutil.rmtree(lake.path)
    assert contents(restore(third, lake.path).path) == expected


def test_a_backup_that_was_broken_off_counts_for_nothing_and_is_finished_by_the_next(
    lake: Lake, tmp_path: Path
) -> None:
    store(lake, "one")
    store(lake, "waits", transform=False)

    def fail(folder: Path) -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        back_up(lake, tmp_path / "backups", also=fail)
    assert backups(tmp_path / "backups") == []
    left = tmp_path / "backups" / "unfinished" / "lake"
    data = next((left / "individuals").glob("*.parquet")).stat().st_ino
    assert len(list((left / "spool" / "new").iterdir())) == 1
    Transformer(lake).run()
    path, note = back_up(lake, tmp_path / "backups")
    assert note.faults == []
    assert data in {file.stat().st_ino for file in (path / "lake" / "individuals").glob("*.parquet")}
    assert list((path / "lake" / "spool" / "new").iterdir()) == []
    assert not left.exists()


def test_tokens_are_in_it_and_private(lake: Lake, tmp_path: Path) -> None:
    Tokens(lake.path / "tokens").create("ada")
    store(lake, "one")
    before = os.umask(0o077)
    try:
        path, _ = back_up(lake, tmp_path / "deep" / "backups")
        restored = restore(path, tmp_path / "restored")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "backups").stat().st_mode) == 0o700
    # Whoever reads the lake reads the restored one.
    for table in ("runs", "individuals"):
        for each in (lake.path, *(lake.path / table).rglob("*")):
            name = each.relative_to(lake.path)
            assert (restored.path / name).stat().st_mode == each.stat().st_mode, name
    for top in (path / "lake", restored.path):
        assert [token.user for token in Tokens(top / "tokens").list()] == ["ada"]
        modes = {stat.S_IMODE(each.stat().st_mode) for each in [top / "tokens", *(top / "tokens").iterdir()]}
        assert not any(mode & 0o077 for mode in modes)


def test_faults_are_told_and_keep_the_older_backups(lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store(lake, "one")
    good, _ = back_up(lake, tmp_path / "backups")
    file = next((lake.path / "individuals").glob("*.parquet"))
    file.write_bytes(b"x" * file.stat().st_size)
    assert main(["backup", str(lake.path), str(tmp_path / "backups"), "--keep", "1"]) == 1
    assert f"error: individuals/{file.name}: cannot be read" in capsys.readouterr().out
    (kept, first), (_, second) = backups(tmp_path / "backups")
    assert (kept, first.faults) == (good, [])
    assert second.faults
    # The next one is not made of the files of the damaged one.
    shutil.copy2(good / "lake" / "individuals" / file.name, file)
    _, third = back_up(lake, tmp_path / "backups")
    assert third.faults == []


def test_a_backup_is_on_the_disk_before_it_has_its_name(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, "a")
    synced: set[Path] = set()
    at_the_name: set[Path] = set()
    fsync, rename = os.fsync, Path.rename

    def note(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def name(self: Path, target: Path) -> Path:
        at_the_name.update(synced)
        synced.clear()
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", name)
    path, _ = back_up(lake, tmp_path / "backups")
    unfinished = tmp_path / "backups" / UNFINISHED
    copied = [unfinished / file.relative_to(path) for file in (path / "lake").rglob("*")]
    folders = {unfinished, *(file for file in copied if (path / file.relative_to(unfinished)).is_dir())}
    assert len(copied) > len(folders) > 5
    assert {file if file in folders else file.with_name(f"{file.name}.part") for file in copied} <= at_the_name
    assert folders <= at_the_name
    assert tmp_path / "backups" in synced, "the name itself"


def test_what_the_copy_has_otherwise_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_size, (tmp_path / "b/x").exists())))
    Copier(tmp_path, tmp_path / "b").write(b"abc", "x")
    assert synced == [(3, False)]


def test_who_writes_compacts_or_makes_a_backup_is_waited_for(lake: Lake, tmp_path: Path) -> None:
    store(lake, "a")
    for name in ("lock", "compaction.lock"):
        with lake.lock(0, name), pytest.raises(LakeBusy):
            back_up(Lake.open(lake.path), tmp_path / "backups", wait=0)
    with (tmp_path / "backups" / LOCK).open("a+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InvalidInput, match="another backup is being made"):
            back_up(lake, tmp_path / "backups")


def test_a_torn_entry_of_a_killed_writer_is_not_in_it(lake: Lake, tmp_path: Path) -> None:
    store(lake, "a")
    newest = max((lake.path / "individuals" / "_delta_log").glob("[0-9]*.json"))
    newest.with_name(f"{int(newest.stem) + 1:020}.json").touch()
    path, note = back_up(lake, tmp_path / "backups")
    assert not note.faults
    assert keys(path / "lake") == keys(lake.path)
    assert all(entry.stat().st_size for entry in (path / "lake").glob("*/_delta_log/*.json"))


def test_places_that_are_unfit_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="inside the other"):
        back_up(lake, lake.path / "backups")
    with pytest.raises(InvalidInput, match="inside the other"):
        back_up(lake, tmp_path)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(InvalidInput, match="mode 0755"):
        back_up(lake, open_to_all)
    open_to_all.chmod(0o700)
    (open_to_all / "thesis.txt").touch()
    with pytest.raises(InvalidInput, match=r"other things than backups \(thesis.txt\)"):
        back_up(lake, open_to_all)
    path, _ = back_up(lake, tmp_path / "backups")
    with pytest.raises(InvalidInput, match="is there already"):
        restore(path, open_to_all)
    with pytest.raises(InvalidInput, match="is no backup"):
        restore(open_to_all, tmp_path / "new")


def test_the_command_line_backs_up_and_restores_the_newest(lake: Lake, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture) -> None:  # fmt: skip
    store(lake, "one")
    assert main(["backup", str(lake.path), str(tmp_path / "backups")]) == 0
    store(lake, "two")
    assert main(["backup", str(lake.path), str(tmp_path / "backups"), "--no-check"]) == 0
    assert main(["restore", str(tmp_path / "backups"), str(tmp_path / "restored")]) == 0
    assert "0 files wait in its spool" in capsys.readouterr().out
    assert {run for run, _ in keys(tmp_path / "restored")} == {"one", "two"}
    assert main(["restore", str(tmp_path / "backups"), str(tmp_path / "restored")]) == 2


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that all may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes other rights; run as root to check it")
def test_root_reads_and_locks_with_the_rights_of_the_lakes_owner(open_path: Path) -> None:
    tmp_path = open_path
    lake = Lake.create(tmp_path / "lake")
    store(lake, "one")
    secret = tmp_path / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    for path in (lake.path, *lake.path.rglob("*")):
        os.chown(path, 12345, 12345)
    (lake.path / "compaction.lock").unlink(missing_ok=True)
    path, note = back_up(lake, tmp_path / "backups")
    assert note.faults == []
    assert {each.lstat().st_uid for each in lake.path.rglob("*")} == {12345}
    assert {each.stat().st_uid for each in path.rglob("*")} == {0}
    (lake.path / "ages.json").unlink(missing_ok=True)
    os.link(secret, lake.path / "ages.json")
    with pytest.raises(PermissionError):
        back_up(lake, tmp_path / "backups")
    (lake.path / "ages.json").unlink()
    (lake.path / "ages.json").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        back_up(lake, tmp_path / "backups")
    assert os.geteuid() == 0
