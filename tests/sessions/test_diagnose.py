"""`gpdata.diagnose`: what it finds is what was made, on classic and Connect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyarrow as pa
import pytest

import gpdata
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.plots.partitions import partitions
from gpdata.sessions.diagnose import KEYS, PARTITIONS, diagnose, megabytes
from gpdata.sessions.diagnose_advice import SMALL_FILE, Facts, advise
from gpdata.sessions.diagnose_plan import Plan, read_plan
from gpdata.sessions.diagnose_width import row_bytes
from tests.support import run_lines, write_stream

mpl.use("Agg")
both = pytest.mark.parametrize("kind", ["spark", "connect"])
slow = pytest.mark.parametrize("kind", ["spark", pytest.param("connect", marks=pytest.mark.faults)])
spark = pytest.mark.xdist_group("spark")
Sessions = Callable[[str], Any]

# As Spark 4.3 prints it.
HASHED_TWICE = """== Physical Plan ==
AdaptiveSparkPlan isFinalPlan=false
+- Window [row_number() windowspecdefinition(run_uuid#74, generation#75 ASC NULLS FIRST) AS r#144], [run_uuid#74]
   +- Sort [run_uuid#74 ASC NULLS FIRST, generation#75 ASC NULLS FIRST], false, 0
      +- Exchange hashpartitioning(run_uuid#74, 4), ENSURE_REQUIREMENTS, [plan_id=33]
         +- Project [run_uuid#74, generation#75]
            +- Exchange hashpartitioning(h#143, 16), REPARTITION_BY_NUM, [plan_id=28]
               +- Project [run_uuid#74, generation#75, concat(a#1, b#2) AS c#9, (hash(run_uuid#74, 42) % 16) AS h#143]
                  +- FileScan parquet [run_uuid#74,generation#75] Batched: true
"""


def test_a_hash_of_a_hash_is_read_from_the_plan() -> None:
    last, first = read_plan(HASHED_TWICE).shuffles
    assert (last.columns, last.partitions, last.hashed, last.asked, last.again) == (
        ("run_uuid",),
        4,
        False,
        False,
        False,
    )
    assert (first.columns, first.partitions, first.hashed) == (("run_uuid",), 16, True)
    assert first.asked
    assert first.again
    through = (
        HASHED_TWICE.replace("hashpartitioning(h#143", "hashpartitioning(k#9") + "  Project [pmod(h#143, 7) AS k#9]"
    )
    assert [(s.columns, s.hashed) for s in read_plan(through).shuffles][1] == (("run_uuid",), True)
    plain = HASHED_TWICE.replace("(hash(run_uuid#74, 42) % 16) AS h#143", "problem#7 AS h#143")
    assert [shuffle.hashed for shuffle in read_plan(plain).shuffles] == [False, False]


def test_products_and_python_are_read_from_the_plan() -> None:
    assert read_plan("+- CartesianProduct (a#1 < b#2)\n   :- ArrowEvalPython [f(a#1)], 200") == Plan((), True, True)
    assert read_plan("+- SortMergeJoin [a#1], [b#2], Inner") == Plan((), False, False)


def facts(**given: Any) -> Facts:
    found = {"rows": [10], "keys": [], "spilled": 0, "files": (), "plan": Plan((), False, False), "bytes": None} | given
    rows = found["rows"]
    sizes = found["bytes"] or rows
    table = pa.table([range(len(rows)), rows, sizes], names=PARTITIONS.names).cast(PARTITIONS)
    return Facts(table, pa.Table.from_pylist(found["keys"], KEYS), found["spilled"], found["files"], found["plan"])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lakes")
    made = Lake.create(folder / "lake")
    for number in range(6):
        run = f"00000000-0000-4000-8000-{number:012d}"
        import_paths([write_stream(folder / f"{run}.jsonl", run_lines(run, generations=3))], made)
    return made.path


KEY = {"columns": "problem", "values": 9, "largest": "odd", "largest_rows": 900_000, "median_rows": 1_000}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keys": [KEY]}, "'odd' alone has 900,000"),
        ({"rows": [900_000, 10, 10]}, "Partition 0 has 900,000 rows, 90000 times the median"),
        ({"plan": read_plan(HASHED_TWICE)}, "a hash of run_uuid, which Spark hashes once more"),
        ({"plan": Plan((), False, True)}, "no equality"),
        ({"plan": Plan((), True, False)}, "Python functions on the executors"),
        ({"spilled": 5_000_000}, "5 MB did not fit into memory"),
        ({"files": [1000] * 40}, "40 of the 40 files"),
        ({"rows": [5] * 300}, "300 partitions are below 1 MB"),
        ({"rows": [5], "bytes": [2**31]}, "2.0 GiB"),
    ],
)
def test_each_cause_has_its_advice(given: dict[str, Any], said: str) -> None:
    (text,) = advise(facts(**given))
    assert said in text


def test_nothing_is_said_of_what_is_well() -> None:
    well = {"rows": [100_000, 120_000, 90_000], "bytes": [10**7] * 3, "files": [SMALL_FILE] * 50}
    assert advise(facts(**well, keys=[KEY | {"median_rows": 800_000}])) == ()
    assert advise(facts(rows=[50_000, 5])) == ()  # uneven, but of no account
    assert advise(facts(rows=[], spilled=None)) == ()


def skewed(session: Any) -> Any:
    rows = session.range(0, 140_000, 1, 2)
    return rows.selectExpr("IF(id < 112000, 'odd', concat('p', id % 7)) AS problem", "id").repartition(4, "problem")


@spark
@slow
def test_a_skewed_key_is_found(sessions: Sessions, kind: str) -> None:
    found = diagnose(skewed(sessions(kind)))
    assert found.rows == 140_000
    assert max(found.partitions["rows"].to_pylist()) >= 112_000
    assert found.skew > 4
    assert found.shuffle_bytes > 100_000
    assert found.spill_bytes == 0
    # problem: 3 letters for 112,000 and 2 for the others; id: 8.
    assert sum(found.partitions["bytes"].to_pylist()) == 112_000 * 3 + 28_000 * 2 + 140_000 * 8
    (key,) = found.keys.to_pylist()
    assert (key["columns"], key["values"], key["largest"], key["largest_rows"]) == ("problem", 8, "odd", 112_000)
    assert key["median_rows"] == 4_000
    assert "'odd' alone has 112,000" in found.advice[0]
    assert (found.files, found.file_bytes) == (0, 0)
    assert (found.hours is None) == (kind == "connect")
    assert "problem" in str(found)
    assert "odd" in found._repr_html_()


@spark
@slow
def test_a_hash_of_a_hash_is_found(sessions: Sessions, kind: str, lake: Path) -> None:
    rows = gpdata.open(lake, engine=sessions(kind)).generations.select("run_uuid", "generation")
    runs = rows.select("run_uuid").distinct().count()
    found = diagnose(rows.selectExpr("*", f"pmod(hash(run_uuid), {runs}) AS part").repartition(runs, "part"))
    assert [(shuffle.hashed, shuffle.columns) for shuffle in found.plan.shuffles] == [(True, ("run_uuid",))]
    assert "repartition(run_uuid)" in found.advice[0]
    # It is so: as many partitions as runs, and some have nothing to do.
    assert found.partitions.num_rows < runs
    assert diagnose(rows.repartition(runs, "run_uuid"), run=False).plan.shuffles[0].hashed is False


@spark
@both
def test_files_and_columns_of_a_lake(sessions: Sessions, kind: str, lake: Path) -> None:
    lab = gpdata.open(lake, engine=sessions(kind))
    found = diagnose(lab.individuals)
    assert found.rows == lab.individuals.count()
    files = [Path(file) for file in lab.files("individuals")]
    assert found.files == len(files) == found.small_files
    assert found.file_bytes == sum(file.stat().st_size for file in files)
    assert found.shuffle_bytes < 100_000  # only counts are moved
    assert diagnose(lab.runs).rows == lab.run_count
    without = diagnose(lab.individuals, run=False)
    assert (without.partitions.num_rows, without.shuffle_bytes, without.skew) == (0, None, None)
    assert without.files == found.files
    assert "not known" in str(without)


@spark
def test_bytes_are_those_of_the_values(sessions: Sessions) -> None:
    session = sessions("spark")
    sql = (
        "SELECT 'äb' AS a, array('x', null, 'yz') AS b, array(1, 2, 3) AS c, map('k', 1.0D) AS d, "
        "named_struct('p', 1, 'q', 'zz') AS e, CAST(null AS string) AS f, CAST(null AS array<int>) AS g, true AS h, "
        "array(array('u'), array('vv', 'w')) AS `a column`"
    )
    frame = session.sql(sql)
    size, check = row_bytes(frame.schema)
    row = frame.toDF(*(f"c{n}" for n in range(9))).selectExpr(f"{size} AS size", f"{check} AS checked").toArrow()
    # One by one: 3 in UTF-8, 1 + 2, 3 x 4, 1 + 8, 4 + 2, 0, 0, 1, 1 + 2 + 1.
    assert row["size"].to_pylist() == [3 + 3 + 12 + 9 + 6 + 0 + 0 + 1 + 4]


@spark
def test_no_frame_and_an_empty_one(sessions: Sessions) -> None:
    with pytest.raises(InvalidInput, match="a Table was given; valid is a Spark DataFrame"):
        diagnose(pa.table({"a": [1]}))
    empty = diagnose(sessions("spark").createDataFrame([], "a int"))
    assert (empty.rows, empty.skew, empty.advice) == (0, None, ())
    assert "nothing to mend" in str(empty)


def test_the_picture_shows_each_partition_from_the_largest() -> None:
    table = facts(rows=[5, 40, 10, 10], bytes=[500, 4000, 1000, 1000]).partitions
    ax = partitions(table)
    assert [bar.get_height() for bar in ax.patches] == [40, 10, 10, 5]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "3", "0"]
    assert ax.get_title(loc="left") == "4 partitions; the largest has 4.0 times the rows of the median one"
    assert "no rows" in [text.get_text() for text in partitions(table.slice(0, 0)).texts]
    with pytest.raises(UnknownColumn, match=r"no column 'bytes'.*gpdata.diagnose"):
        partitions(table.select(["partition", "rows"]))
    assert megabytes(1_500_000) == "1.5 MB"
