"""A lake in a real HDFS, read by classic and by Connect sessions: the answers of DuckDB on the lake that was copied."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.errors import LakeDamaged, NotALake, StorageRefused, StorageUnreachable
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.spool import Meta
from tests.sessions import hdfs
from tests.sessions.test_standalone import RUNS, answers, assert_same
from tests.support import run_lines

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hdfs.Node]:
    try:
        with hdfs.single_node(tmp_path_factory.mktemp("hdfs")) as started:
            yield started
    except hdfs.NoHadoop as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in sealed files and in those of later batches; the older entries of the logs are only in a checkpoint."""
    made = Lake.create(tmp_path_factory.mktemp("lake") / "lake")
    for number, run in enumerate(RUNS[:6]):
        if number == 4:
            compact(made, keep=0)
            for table in made.tables.values():
                checkpointed = max(table.log.glob("*.checkpoint.parquet")).name.partition(".")[0]
                for entry in table.log.glob("*.json"):
                    if entry.stem <= checkpointed:
                        entry.unlink()
        _add(made.path, run, number)
    return made.path


@pytest.fixture(scope="module")
def address(node: hdfs.Node, lake: Path) -> str:
    node.put(lake, "/lab/lake")
    return f"{node.address}/lab/lake"


@pytest.fixture(params=["spark", "connect"])
def session(request: pytest.FixtureRequest, node: hdfs.Node, sessions: Callable[[str], Any]) -> Any:
    return sessions(request.param)


def _add(lake: Path, run: str, number: int) -> None:
    opened = Lake.open(lake)
    lines = run_lines(run, generations=4 + number % 3, seed=number, size=8)
    opened.spool().write(lines if number % 2 else lines[:-1], Meta("recorder"))
    Transformer(opened).run()


def test_the_standard_analyses_agree(session: Any, address: str, lake: Path) -> None:
    lab, expected = gpdata.open(address, engine=session), gpdata.open(lake)
    assert str(lab.path) == address
    assert_same(answers(lab), answers(expected))
    assert (lab.version, lab.run_count, lab.config_keys) == (expected.version, expected.run_count, expected.config_keys)
    assert lab.newest_version() == expected.version
    assert lab.files("individuals") == [file.replace(str(lake), address) for file in expected.files("individuals")], (
        "other tools are told where the files are, and of no copy"
    )
    assert address in str(gpdata.provenance(lab))


def test_earlier_versions_and_chosen_runs(session: Any, address: str, lake: Path) -> None:
    for choice in ({"version": 2}, {"runs": [RUNS[1], RUNS[5]]}):
        lab, expected = gpdata.open(address, engine=session, **choice), gpdata.open(lake, **choice)
        assert lab.run_count == expected.run_count == 2
        assert lab.individuals.count() == expected.individuals.count("*").fetchall()[0][0]
        assert lab.run(RUNS[1]).row == expected.run(RUNS[1]).row


def test_what_is_copied_later_is_a_newer_version(
    session: Any, node: hdfs.Node, lake: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(lake, tmp_path / "lake")
    target = f"/lab/growing-{request.node.callspec.params['session']}"
    node.put(tmp_path / "lake", target)
    lab = gpdata.open(node.address + target, engine=session)
    before = lab.individuals.count()
    _add(tmp_path / "lake", RUNS[7], 7)
    for table in ("individuals", "runs", "generations"):
        node.shell("-put", "-f", tmp_path / "lake" / table, target)
    assert lab.newest_version() == lab.version + 1
    assert lab.individuals.count() == before
    assert gpdata.open(node.address + target, engine=session).run_count == lab.run_count + 1


def test_what_cannot_be_opened_says_why(session: Any, node: hdfs.Node, address: str, tmp_path: Path) -> None:
    with pytest.raises(NotALake, match=r"it holds the lakes .*lake.*: name one of them"):
        gpdata.open(f"{node.address}/lab", engine=session)
    with pytest.raises(NotALake, match=r"no gpdata lake at hdfs://.*/nothing: it has no gpdata\.json\. Name"):
        gpdata.open(f"{node.address}/nothing", engine=session)
    with pytest.raises(StorageUnreachable, match="see that name node and data nodes run"):
        gpdata.open("hdfs://127.0.0.1:1/lab/lake", engine=session)


def test_a_copy_that_is_not_whole(session: Any, node: hdfs.Node, lake: Path, request: pytest.FixtureRequest) -> None:
    target = f"/lab/half-{request.node.callspec.params['session']}"
    node.put(lake, target)
    file = gpdata.open(lake).files("runs")[0]
    node.shell("-rm", "-skipTrash", f"{target}/runs/{Path(file).name}")
    with pytest.raises(LakeDamaged, match=r"names a file of the table 'runs' that is not there.*make it anew"):
        gpdata.open(node.address + target, engine=session)
    node.shell("-rm", "-r", "-skipTrash", f"{target}/individuals/_delta_log")
    with pytest.raises(LakeDamaged, match="not all of a lake"):
        gpdata.open(node.address + target, engine=session)


def test_a_lake_that_one_may_not_read(session: Any, node: hdfs.Node, address: str) -> None:
    node.shell("-chmod", "700", address)
    try:
        with pytest.raises(StorageRefused, match="HDFS does not let Spark's user read"):
            gpdata.open(address, engine=session)
    finally:
        node.shell("-chmod", "755", address)


def test_a_name_node_that_goes_and_comes_back(session: Any, node: hdfs.Node, address: str) -> None:
    lab = gpdata.open(address, engine=session)
    rows = lab.individuals.count()
    node.kill_name_node()
    try:
        with pytest.raises(StorageUnreachable, match="HDFS does not answer for hdfs://"):
            lab.newest_version()
        with pytest.raises(StorageUnreachable, match="HDFS does not answer for hdfs://"):
            gpdata.open(address, engine=session)
    finally:
        node.start()
    assert lab.newest_version() == lab.version
    assert lab.individuals.count() == rows


def test_nothing_is_left_on_this_machine(
    session: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lab = gpdata.open(address, engine=session)
    (copies,) = tmp_path.glob("gpdata-hdfs-*")
    assert {file.parent.name for file in copies.rglob("*.*")} == {"runs", "generations"}, "no logs, and no individuals"
    assert copies.stat().st_mode & 0o077 == 0
    del lab
    gc.collect()
    assert not copies.exists()
