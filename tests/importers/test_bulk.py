"""Bulk import: many files and one big stream, under a limit of memory, killed and resumed, to the same lake.

GPDATA_IMPORT_SCALE=full has 2,000 files and a stream of 5 GB (an hour or two, 10 GB of disk); otherwise 200 files and
50 MB.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gpdata.lab import open as open_lab
from gpdata.lake import Lake
from gpdata.lake.verify import verify
from tests.importers import big

FULL = os.environ.get("GPDATA_IMPORT_SCALE") == "full"
FILES, STREAM_BYTES = (2000, 5_000_000_000) if FULL else (200, 50_000_000)
BATCH_BYTES = {"files": FILES * 150, "stream": 64 << 20 if FULL else 2 << 20}
"""So that there are enough batches to be killed between; 64 MiB is the default."""
KILLS = 10
LIMIT = 1 << 30
"""Bytes of memory of all processes of an import together."""
SECONDS = 4 * 3600 if FULL else 1800

pytestmark = pytest.mark.faults


def started(source: Path, lake: Path, workers: int, batch_bytes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "import", source, "--lake", lake]
    return subprocess.Popen(
        [*map(str, command), "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GPDATA_BATCH_BYTES": str(batch_bytes)},
    )


def memory(process: subprocess.Popen[bytes]) -> int:
    """Return the memory that a process and those that it started take now; what they share counts for each."""
    try:
        parent = psutil.Process(process.pid)
        return sum(one.memory_info().rss for one in (parent, *parent.children(recursive=True)))
    except psutil.Error:
        return 0


def batches(lake: Path) -> int:
    log = lake / "generations" / "_delta_log"
    return len(list(log.glob("*.json"))) if log.is_dir() else 0


def keys(lake: Path) -> pa.Table:
    """Return the generations that a lake has, without what says when and in which batch they came."""
    table = open_lab(lake).generations.select("run_uuid", "generation", "line_sha256", "population_size")
    found = table.to_arrow_table()
    return found.take(pc.sort_indices(found, [("run_uuid", "ascending"), ("generation", "ascending")])).combine_chunks()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("what", ["files", "stream"])
def test_killed_ten_times_it_ends_in_the_same_lake(captures: Path, tmp_path: Path, what: str, workers: int) -> None:
    if FULL and workers == 2 and what == "stream":
        pytest.skip("one file is read by one process")
    source = tmp_path / "source"
    source.mkdir()
    if what == "files":
        expected = big.write_files(captures, source, FILES)
    else:
        expected = big.write_stream(captures, source / "stream.zst", STREAM_BYTES)
    chance, most, deadline = random.Random(f"{what}{workers}"), 0, time.monotonic() + SECONDS
    lake = tmp_path / "lake"
    kills = 0
    while True:
        process = started(source, lake, workers, BATCH_BYTES[what])
        begun, patience = batches(lake), chance.randrange(1, 4)
        while process.poll() is None:
            most = max(most, memory(process))
            if kills < KILLS and batches(lake) >= begun + patience:
                break
            assert time.monotonic() < deadline, f"not done after {SECONDS} s"
            time.sleep(0.05 * chance.random())
        else:
            break
        for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            one.kill()
        process.wait()
        kills += 1
    assert process.stdout is not None
    said = process.stdout.read().decode()
    assert process.returncode == 0, said
    assert kills >= (KILLS if FULL else KILLS // 2)
    found = keys(lake)
    assert found.num_rows == expected, said
    assert pc.sum(found["population_size"]).as_py() == open_lab(lake).individuals.count("*").fetchall()[0][0]
    assert [finding for finding in verify(Lake.open(lake)) if finding.kind == "error"] == []
    assert most < LIMIT, f"{most >> 20} MiB were taken"
    print(f"{what}, {workers} workers: {expected} generations, {kills} kills, {most >> 20} MiB at the most")
    if not FULL:
        calm = tmp_path / "calm"
        assert started(source, calm, 1, 64 << 20).wait() == 0
        assert keys(calm) == found
