"""What opening a lake and taking in a generation read, counted in files: neither grows with what was recorded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpdata as gp
from gpdata.lake import Lake, Transformer, index, runs
from gpdata.spool import Meta
from gpdata.storage.reading import parquet
from tests.guards.conftest import LARGE, SMALL, uuid_of
from tests.guards.reading import reading
from tests.support import line


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the files that gpdata itself reads from now on, each by its table."""
    found: list[str] = []

    def counted(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def look(place: Any) -> Any:
            found.append(place.parent.name)
            return read(place)

        return look

    for module in (runs, index):
        monkeypatch.setattr(module, "parquet", counted(parquet))
    return found


def test_opening_a_compacted_lake_reads_as_many_files_whatever_it_holds(
    lakes: dict[int, Path], files: list[str]
) -> None:
    read = []
    for path in lakes.values():
        files.clear()
        gp.open(path)
        read.append(sorted(files))
    assert read[0] == read[1] == ["generations", "runs"]


def test_opening_a_lake_reads_no_individuals_and_every_other_file_once(loose: Path, files: list[str]) -> None:
    gp.open(loose)
    assert sorted(files) == ["generations"] * SMALL + ["runs"] * SMALL


def test_one_run_is_read_from_its_own_files(loose: Path, files: list[str]) -> None:
    lab = gp.open(loose, runs=[uuid_of(3)])
    assert sorted(files) == ["generations", "runs"]
    assert [len(lab.files(table)) for table in ("runs", "generations", "individuals")] == [1, 1, 1]
    whole = gp.open(loose)
    files.clear()
    whole.run(uuid_of(3))
    assert files == ["generations"]


def test_of_many_files_a_question_of_one_run_reads_only_those_of_the_run(loose: Path) -> None:
    lab = gp.open(loose)
    with reading(lab) as found:
        gp.to_arrow(gp.winner(lab.individuals, lab.generations, run=uuid_of(3)))
    assert [sorted(groups.values()) for groups in found.row_groups.values()] == [[1], [1]]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_process_that_takes_in_generations_reads_the_lake_once(
    lakes: dict[int, Path], files: list[str], tmp_path: Path, size: int
) -> None:
    lake = Lake.open(shutil.copytree(lakes[size], tmp_path / "lake"))
    transformer = Transformer(lake)
    read = []
    for generation in range(3):
        lake.spool().write([line(generation=generation)], Meta("recorder"))
        assert transformer.run().generations == 1
        read.append(sorted(files))
        files.clear()
    assert read == [["generations", "runs"], [], []]
