"""Spark reads a lake in a store through S3A, with the parts of Amazon's SDK that S3A uses and no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.sessions.s3 import s3_settings
from gpdata.spool import Meta
from gpdata.storage import ObjectPath
from tests import s3
from tests.support import line, run_lines

_OTHER = "00000000-0000-4000-8000-000000000002"
_QUESTION = "SELECT count(*) AS n, sum(total_error) AS total, max(generation) AS last FROM individuals"
_SCRIPT = f"""
import json, sys
import gpdata
from gpdata.sessions.s3 import s3_settings

named = {{name.replace(".", "__"): value for name, value in s3_settings().items()}}
session = gpdata.spark(
    spark__driver__memory="1g",
    spark__master="local[2]",
    spark__sql__shuffle__partitions="2",
    spark__ui__enabled="false",
    spark__network__timeout="600s",
    **named,
)
found = []
for version in map(int, sys.argv[2:]):
    lab = gpdata.open(sys.argv[1], version=version, engine=session)
    found.append([lab.runs.count(), *map(float, lab.sql({_QUESTION!r}).first())])
print("ANSWERS", json.dumps(found))
# As a checkpoint of a stream does: written under another name and moved.
lab.generations.select("run_uuid", "generation").write.parquet(sys.argv[1].replace("s3://", "s3a://") + "-copy")
print("COPIED", session.read.parquet(sys.argv[1].replace("s3://", "s3a://") + "-copy").count())
gpdata.stop() if hasattr(gpdata, "stop") else session.stop()
"""


def test_no_credential_is_among_the_settings() -> None:
    environment = s3.environment("http://127.0.0.1:8333", "the-key", "the-secret")
    found = s3_settings(environment, hadoop="3.5.0")
    assert not [value for value in found.values() if "the-key" in value or "the-secret" in value]
    assert found["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert found["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "false"


def test_the_settings_fit_the_spark_that_is_installed() -> None:
    assert s3_settings({})["spark.jars.packages"].startswith("org.apache.hadoop:hadoop-aws:3.")
    assert "spark.hadoop.fs.s3a.endpoint" not in s3_settings({})
    with pytest.raises(InvalidInput, match=r"Hadoop 2\.7\.0"):
        s3_settings({}, hadoop="2.7.0")


@pytest.mark.faults
@pytest.mark.xdist_group("s3")
def test_spark_reads_what_duckdb_reads(place: ObjectPath, server: s3.Server) -> None:
    lake = Lake.create(place)
    for lines in (run_lines(), [line(_OTHER, 0, 7)]):
        lake.spool().write(lines, Meta("import"))
        Transformer(lake).run()
    compact(lake, keep=0)
    lake.spool().write([line(_OTHER, 1, 7)], Meta("import"))
    Transformer(lake).run()
    versions = (1, 2, 3)
    command = [sys.executable, "-c", _SCRIPT, str(place), *map(str, versions)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=s3.inherited(server.environment), timeout=900, check=False
    )
    if "unresolved dependency" in done.stderr or "UNRESOLVED DEPENDENCIES" in done.stderr:
        pytest.skip("Maven Central is out of reach, and the jars of S3A are not in the cache of Ivy")
    assert done.returncode == 0, done.stderr[-3000:]
    said = dict(text.split(" ", 1) for text in done.stdout.splitlines() if text.startswith(("ANSWERS", "COPIED")))
    expected = []
    for version in versions:
        lab = gpdata.open(place, version=version)
        expected.append([lab.run_count, *map(float, lab.sql(_QUESTION).fetchall()[0])])
    assert json.loads(said["ANSWERS"]) == expected
    assert int(said["COPIED"]) == 7
    assert server.environment["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
