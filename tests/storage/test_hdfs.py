"""Addresses in HDFS: what they name, and what is said where something else than Spark was to read or write there."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpdata
from gpdata.config import spark_environment
from gpdata.errors import InvalidInput, StorageUnreachable
from gpdata.lake import Lake
from gpdata.sessions import checks_lake
from gpdata.sessions.checks import Situation
from gpdata.sessions.cluster import Plan
from gpdata.sessions.hdfs import _told
from gpdata.storage import HdfsPath, as_place, in_hdfs

ADDRESS = "hdfs://node:8020/lab/lake"


@pytest.mark.parametrize("given", [ADDRESS, f"{ADDRESS}/", "hdfs://node:8020//lab/./lake", Path(ADDRESS)])
def test_one_place_however_it_is_written(given: str | Path) -> None:
    place = in_hdfs(given)
    assert place == HdfsPath("node:8020", "lab/lake")
    assert in_hdfs(place) == place
    assert str(place) == ADDRESS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hdfs:///lab/lake", "names no name node"),
        ("hdfs://node:8020/", "names no path"),
        ("hdfs://node:8020/lab/*", r"has a '\*'"),
        ("hdfs://node:8020/a,b", "has a ','"),
    ],
)
def test_what_cannot_be_meant(given: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{said}.*hdfs://HOST:PORT/PATH"):
        gpdata.open(given)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_an_engine_that_does_not_read_it(engine: str) -> None:
    with pytest.raises(InvalidInput, match=rf"opened with the engine '{engine}'.*engine=gpdata\.spark\(\)"):
        gpdata.open(ADDRESS, engine=engine)


def test_nothing_writes_there() -> None:
    writers = (
        lambda: gpdata.Recorder(ADDRESS, system="mine", problem="odd"),
        lambda: Lake.create(ADDRESS),
        lambda: Lake.open(Path(ADDRESS)),
        lambda: as_place(ADDRESS),
    )
    for writer in writers:
        with pytest.raises(InvalidInput, match=rf"{ADDRESS} lies in HDFS.*hdfs dfs -put LAKE {ADDRESS}"):
            writer()


def test_another_scheme_is_told_of_hdfs() -> None:
    with pytest.raises(InvalidInput, match="on Spark, hdfs://HOST:PORT/PATH"):
        gpdata.open("gs://lab/lake")


def test_the_doctor_says_that_it_did_not_look() -> None:
    situation = Situation(Plan("local", {}, {}), {}, spark_environment(), lake=ADDRESS, must_lake=True)
    (finding,) = checks_lake.lake(situation)
    assert finding.state == "warning"
    assert f"gpdata.open('{ADDRESS}', engine=gpdata.spark())" in finding.mend


@pytest.mark.parametrize(
    "said",
    [
        (
            "An error occurred while calling o1.load.\n: java.net.ConnectException: Call From vm to localhost:1 "
            "failed on connection exception: java.net.ConnectException: Connection refused; For more details see: x"
        ),
        # The name node was killed while the server kept a connection to it.
        (
            '(java.io.EOFException) End of File Exception between local host is: "vm/127.0.0.1"; destination host is: '
            '"localhost":1; : java.io.EOFException; For more details see: x'
        ),
    ],
)
def test_what_spark_says_of_a_name_node_that_is_away(said: str) -> None:
    told = _told([ADDRESS], said)
    assert isinstance(told, StorageUnreachable)
    assert "For more details" not in str(told)
