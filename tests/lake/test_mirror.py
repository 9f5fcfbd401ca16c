"""What is here of a lake in HDFS; a directory of this machine stands for HDFS (tests/sessions has the real one)."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpdata.errors import LakeDamaged, LakeTooNew, NotALake, UnknownVersion
from gpdata.lake import Lake, Transformer, take_snapshot
from gpdata.lake.compaction import compact
from gpdata.lake.mirror import Mirror
from gpdata.lake.runs import runs_table
from gpdata.spool import Meta
from gpdata.storage.hdfs import HdfsPath
from tests.support import line, run_lines

OTHER = "00000000-0000-4000-8000-000000000002"
PATH = HdfsPath("node:8020", "lab/lake")


class Directory:
    """Reads as a session does: files, those directly in a directory, and what fits a pattern."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []

    def __call__(self, addresses: Sequence[str]) -> list[tuple[str, bytes]]:
        self.asked += addresses
        found = []
        for address in addresses:
            places = sorted(self.root.glob(address.removeprefix("hdfs://node:8020/")))
            if not places:
                raise FileNotFoundError(f"Path does not exist: {address}")
            for place in places:
                files = sorted(place.iterdir()) if place.is_dir() else [place]
                visible = [file for file in files if not file.name.startswith(("_", "."))]
                found += [(f"hdfs://node:8020/{file.relative_to(self.root)}", file.read_bytes()) for file in visible]
        return found


@pytest.fixture
def hdfs(tmp_path: Path) -> Directory:
    lake = Lake.create(tmp_path / "lab" / "lake")
    for lines in (run_lines(), [line(OTHER, 0, 7)]):
        _add(lake, lines)
    compact(lake, keep=0)
    _add(lake, [line(OTHER, 1, 7)])
    return Directory(tmp_path)


def _add(lake: Lake, lines: list[bytes]) -> None:
    lake.spool().write(lines, Meta("import"))
    Transformer(lake).run()


def test_a_snapshot_is_that_of_the_lake_with_other_addresses(hdfs: Directory) -> None:
    mirror, lake = Mirror(PATH, hdfs), Lake.open(hdfs.root / "lab" / "lake")
    for version in (1, 2, 3, None):
        found, expected = take_snapshot(mirror, version=version), take_snapshot(lake, version=version)
        assert (found.version, found.files) == (expected.version, expected.files)
        assert found.paths("individuals") == [
            path.replace(str(hdfs.root), "hdfs://node:8020") for path in expected.paths("individuals")
        ]
        assert runs_table(found).equals(runs_table(expected))
    with pytest.raises(UnknownVersion, match=r"version 4 of the lake hdfs://node:8020/lab/lake .* 0 to 3"):
        take_snapshot(mirror, version=4)


def test_a_file_is_brought_once_and_individuals_never(hdfs: Directory) -> None:
    mirror = Mirror(PATH, hdfs)
    for _ in range(2):
        runs_table(take_snapshot(mirror))
    brought = [address for address in hdfs.asked if address.endswith(".parquet")]
    assert brought
    assert len(set(brought)) == len(brought)
    assert {address.split("/")[-2] for address in brought} == {"runs", "generations"}


def test_the_log_of_generations_is_brought_first(hdfs: Directory) -> None:
    take_snapshot(Mirror(PATH, hdfs))
    logs = [address.split("/")[-2] for address in hdfs.asked if address.endswith("_delta_log")]
    assert logs[0] == "generations"
    assert sorted(logs[1:]) == ["individuals", "runs"]


def test_what_came_since_is_a_newer_version(hdfs: Directory) -> None:
    mirror = Mirror(PATH, hdfs)
    before = take_snapshot(mirror)
    _add(Lake.open(hdfs.root / "lab" / "lake"), [line(OTHER, 2, 7)])
    assert take_snapshot(mirror).version == before.version + 1
    assert runs_table(before).num_rows == 2


def test_the_copies_go_with_it(hdfs: Directory) -> None:
    mirror = Mirror(PATH, hdfs)
    (file, *_) = take_snapshot(mirror).readable("runs")
    assert isinstance(file, Path)
    assert file.exists()
    del mirror
    gc.collect()
    assert not file.exists()


def test_where_there_is_no_lake(hdfs: Directory) -> None:
    with pytest.raises(
        NotALake, match=r"at hdfs://node:8020/lab: it has no gpdata\.json; it holds the lakes lake: name"
    ):
        take_snapshot(Mirror(HdfsPath("node:8020", "lab"), hdfs))
    with pytest.raises(NotALake, match=r"'hdfs dfs -ls hdfs://node:8020/x' shows"):
        take_snapshot(Mirror(HdfsPath("node:8020", "x"), hdfs))


def test_a_lake_of_a_later_gpdata(hdfs: Directory) -> None:
    (hdfs.root / "lab" / "lake" / "gpdata.json").write_text('{"format": "gpdata lake", "schema_version": 999}')
    with pytest.raises(LakeTooNew, match="hdfs://node:8020/lab/lake has schema version 999"):
        take_snapshot(Mirror(PATH, hdfs))


def test_copies_that_are_not_whole(hdfs: Directory) -> None:
    lake = hdfs.root / "lab" / "lake"
    (file, *_) = sorted((lake / "generations").glob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(LakeDamaged, match=rf"{file.name} has {len(whole) - 10} bytes; its log says {len(whole)}"):
        runs_table(take_snapshot(Mirror(PATH, hdfs)))
    file.unlink()
    with pytest.raises(LakeDamaged, match="names a file of the table 'generations' that is not there"):
        runs_table(take_snapshot(Mirror(PATH, hdfs)))
    newest = max((lake / "individuals" / "_delta_log").glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:20])
    with pytest.raises(
        LakeDamaged, match=r"(?s)log of table .individuals. at hdfs://node:8020/lab/lake/individuals .*make it anew"
    ) as told:
        take_snapshot(Mirror(PATH, hdfs))
    assert "gpdata verify" not in str(told.value), "it reads nothing in HDFS"
    shutil.rmtree(lake / "individuals")
    with pytest.raises(LakeDamaged, match=r"has a gpdata\.json, but not all of a lake"):
        take_snapshot(Mirror(PATH, hdfs))
