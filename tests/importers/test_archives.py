"""Directories and archives of logs: everything found by content, read as streams, exactly once, whoever reads."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpdata.errors import InvalidInput
from gpdata.importers import find_files, import_archives
from gpdata.importers.archives import Loader, load_here
from gpdata.importers.work import Ended, Order, Unit, Wrote
from gpdata.importers.workers import load_in_processes
from gpdata.lake import Lake
from gpdata.spool import zstd
from tests.importers import logs
from tests.support import contents, run_lines

RUN = "1b0f7919-aff3-434d-b60f-f9355cbe4581"
LOGS = {
    "a.csv": logs.csv_log(),
    "b": logs.edn_log(run=RUN),
    "deep/er/c.txt": logs.json_log(),
    "d.jsonl": b"\n".join(run_lines(size=2)),
    "e.log": logs.text_log(),
    "f.csv": logs.PHYLOGENY,
}
GENERATIONS = 3 * 4 + 5 + 3
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": zstd.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


def tree(folder: Path, files: dict[str, bytes] = LOGS) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tar(files: dict[str, bytes] = LOGS) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def zipped(files: dict[str, bytes] = LOGS) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def loaded(folder: Path, what: Path, **options: Any) -> Any:
    done = import_archives([what], Lake.create(folder), **options)
    assert done.refused == []
    return done


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tree")
    loaded(folder / "lake", tree(folder / "logs"))
    found = contents(folder / "lake")
    assert found["generations"].num_rows == GENERATIONS
    return found


@pytest.mark.parametrize("pack", PACK)
def test_a_tar_archive_is_as_its_files(tmp_path: Path, expected: dict[str, Any], pack: str) -> None:
    (tmp_path / "archive").write_bytes(PACK[pack](tar()))
    done = loaded(tmp_path / "lake", tmp_path / "archive")
    assert sum(done.formats.values()) == len(LOGS)
    assert contents(tmp_path / "lake") == expected


def test_a_zip_archive_and_files_that_are_packed_themselves(tmp_path: Path, expected: dict[str, Any]) -> None:
    inside = {name: list(PACK.values())[number % 5](data) for number, (name, data) in enumerate(LOGS.items())}
    (tmp_path / "zipped").write_bytes(zipped(inside))
    (tmp_path / "nested").write_bytes(gzip.compress(tar({"one.tar.xz": lzma.compress(tar(inside))})))
    for name in ("zipped", "nested"):
        loaded(tmp_path / f"{name}.lake", tmp_path / name)
        assert contents(tmp_path / f"{name}.lake") == expected


def test_processes_read_as_one_does_and_are_replaced(tmp_path: Path, expected: dict[str, Any]) -> None:
    folder = tree(tmp_path / "logs")

    def replaced(units: list[tuple[int, Unit]], order: Order) -> Any:
        return load_in_processes(units, order, 2, units_each=2)

    loaded(tmp_path / "lake", folder, loader=replaced)
    assert contents(tmp_path / "lake") == expected


def test_a_file_that_kills_its_process_is_named_and_the_rest_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kills it is a module that the process imports first, as a library that crashes would."""
    folder = tree(tmp_path / "logs")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def look(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('a.csv'):\n"
        "        os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(look)\n"
    )
    import os

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    done = import_archives([folder], Lake.create(tmp_path / "lake"), workers=2)
    (refused,) = done.refused
    assert refused.origin.endswith("a.csv")
    assert "ended its process 2 times, with status -9 (killed" in refused.reason
    assert contents(tmp_path / "lake")["generations"].num_rows == GENERATIONS - 3


def test_imported_twice_it_is_the_same(tmp_path: Path, expected: dict[str, Any]) -> None:
    folder = tree(tmp_path / "logs")
    loaded(tmp_path / "lake", folder)
    (tmp_path / "again").write_bytes(zipped())
    account = loaded(tmp_path / "lake", tmp_path / "again").account
    assert (account.accepted, account.duplicates, account.runs) == (0, GENERATIONS, 0)
    assert contents(tmp_path / "lake") == expected


class Stopped(Exception):
    pass


def stopping(lake: Lake, after: int) -> Loader:
    """Return a loader that is broken off after some spool files."""

    def some(units: list[tuple[int, Unit]], order: Order) -> Any:
        wrote = 0
        for number, told in load_here(lake)(units, order):
            yield number, told
            wrote += isinstance(told, Wrote)
            if wrote >= after:
                raise Stopped

    return some


@pytest.mark.parametrize("after", [1, 9])
def test_an_import_that_was_broken_off_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    stream = tmp_path / "stream.jsonl"
    lines = run_lines(generations=24, size=20)
    stream.write_bytes(b"\n".join([*lines[:9], b"x" * 30_000, *lines[9:]]))
    lake = Lake.create(tmp_path / "lake")
    options: Any = {"batch_bytes": 40_000, "max_line_bytes": 20_000}
    with pytest.raises(Stopped):
        import_archives([stream], lake, **options, loader=stopping(lake, after))
    told: list[Any] = []

    def watched(units: list[tuple[int, Unit]], order: Order) -> Any:
        told.extend(unit.done for _, unit in units)
        return load_here(lake)(units, order)

    done = import_archives([stream], lake, **options, loader=watched)
    stored = contents(tmp_path / "lake")["generations"].num_rows
    assert stored == 24
    assert done.account.lines == 25, "every line counts once, whenever it was stored"
    assert done.account.quarantined == 1
    assert (done.resumed, told[0] > 0) == ((True, True) if after > 1 else (False, False))
    assert done.account.accepted <= 24 - max(0, told[0] - 1)
    import_archives([stream], lake, **options, loader=watched)
    assert told[-1] == 0, "an import that ended leaves nothing behind"


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    stream, lines = tmp_path / "stream.jsonl", run_lines(generations=24, size=20)
    stream.write_bytes(b"\n".join(lines))
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(Stopped):
        import_archives([stream], lake, batch_bytes=40_000, loader=stopping(lake, 9))
    other = run_lines("00000000-0000-4000-8000-000000000009", generations=4)
    stream.write_bytes(b"\n".join(other + lines))
    import_archives([stream], lake)
    assert contents(tmp_path / "lake")["generations"].num_rows == 28


def test_what_is_no_log_is_passed_by_and_damage_is_told(tmp_path: Path) -> None:
    files = {
        "notes.md": b"# Notes\n",
        "empty": b"",
        ".hidden/x.csv": logs.csv_log(9),
        "x.tar.gz": gzip.compress(tar())[:-40],
        "y.zip": zipped()[:-30],
        "z.csv.gz": gzip.compress(logs.csv_log(7))[:-20],
        "in.tar": tar({"u.zip": zipped(), "v.csv": logs.csv_log(8)}),
    }
    Lake.create(tmp_path / "logs" / "other-lake")
    done = import_archives([tree(tmp_path / "logs", files)], Lake.create(tmp_path / "lake"))
    assert {Path(passed.origin).name for passed in done.skipped} == {"notes.md", "empty"}
    refused = {Path(passed.origin).name: passed.reason for passed in done.refused}
    assert refused.keys() >= {"y.zip", "u.zip"}
    assert "unpack it" in refused["u.zip"]
    assert "damaged" in refused["y.zip"]
    damaged = {Path(told.origin).name for told in done.set_aside if told.code == "source_damaged"}
    assert "z.csv.gz" in damaged
    assert any("x.tar.gz" in name for name in [*(told.origin for told in done.set_aside), *refused])
    assert contents(tmp_path / "lake")["runs"].num_rows >= 2, "what the damaged ones gave, and v.csv"
    named = import_archives([tmp_path / "logs" / "notes.md"], Lake.create(tmp_path / "lake"))
    assert [passed.refused for passed in named.refused] == [True], "somebody named it"


def test_arguments_that_cannot_be_used(tmp_path: Path) -> None:
    log, lake = tree(tmp_path / "logs") / "a.csv", Lake.create(tmp_path / "lake")
    for options, said in (
        ({"formats": ["cvs"]}, "did you mean 'csv'"),
        ({"given": {"problm": "odd"}}, "{problem}"),
        ({"workers": 0}, "1 or more"),
        ({"pattern": "{x}"}, "config.KEY"),
    ):
        with pytest.raises(InvalidInput) as raised:
            import_archives([log], lake, **options)  # type: ignore[arg-type]
        assert said in str(raised.value)
    with pytest.raises(InvalidInput, match="does not exist"):
        find_files([tmp_path / "nowhere"])
    with pytest.raises(InvalidInput, match="cannot share it"):
        import_archives(["-"], lake, workers=2)
    assert contents(tmp_path / "lake")["runs"].num_rows == 0


def test_a_unit_that_ends_tells_so_last(tmp_path: Path) -> None:
    log, lake = tree(tmp_path / "logs") / "a.csv", Lake.create(tmp_path / "lake")
    order = Order(str(lake.path), None, 1 << 20, 1 << 20, formats=("csv",))
    told = [told for _, told in load_here(lake)([(0, Unit(str(log)))], order)]
    assert isinstance(told[-1], Ended)
    assert told[-1].done == 3
