"""`gpdata import` as its user meets it: a real process, real files, its summary and its exit status."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpdata.importers import find_streams
from gpdata.lake import Lake
from gpdata.spool import zstd
from tests.support import RUN, contents, line, run_lines, write_stream

OTHER = "00000000-0000-4000-8000-000000000002"


def run(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    import os

    return subprocess.run(
        [Path(sys.executable).parent / "gpdata", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=os.environ | environment,
        check=False,
    )


def summary(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert b"Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in found.items() if isinstance(value, int)}


def test_the_summary_counts_what_is_new(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_stream(tmp_path / "a.jsonl", run_lines())
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(run_lines(OTHER)) + b'\n{"torn'))
    first = run("import", tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", "--lake", lake, "--json")
    assert first.returncode == 3
    assert summary(first) == {
        "lines": 11, "accepted": 10, "duplicates": 0, "quarantined": 1, "runs": 2, "generations": 10, "individuals": 40,
    }  # fmt: skip
    before = contents(lake)
    again = run("import", tmp_path, "--lake", lake, "--json")
    assert again.returncode == 3, "the torn line is reported again"
    assert summary(again) == {
        "lines": 11, "accepted": 0, "duplicates": 10, "quarantined": 1, "runs": 0, "generations": 0, "individuals": 0,
    }  # fmt: skip
    assert contents(lake) == before
    (entry,) = Lake.open(lake).quarantine.entries()
    assert (entry.code, entry.line, entry.origin) == ("torn", 6, str(tmp_path / "b.jsonl.gz"))
    assert Lake.open(lake).quarantine.raw(entry) == b'{"torn'


def test_standard_input_in_any_compression(tmp_path: Path) -> None:
    data = b"\n".join(run_lines())
    for number, packed in enumerate((data, zstd.compress(data), gzip.compress(data))):
        done = run("import", "-", "--lake", tmp_path / str(number), "--json", stdin=packed)
        assert (done.returncode, summary(done)["accepted"]) == (0, 5)


def test_nothing_but_arguments_gives_status_two(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stream = write_stream(tmp_path / "a.jsonl", run_lines())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    for arguments, said in (
        ([tmp_path / "nowhere.jsonl"], b"does not exist"),
        ([tmp_path / "empty"], b"holds no recorder stream, log or archive"),
        ([], b"Missing argument"),
        ([stream, "--lake", tmp_path / "other"], b"other files (thesis.tex"),
        ([stream, "--lake", stream], b"is a file"),
    ):
        done = run("import", *arguments, *([] if "--lake" in arguments else ["--lake", tmp_path / "lake"]))
        assert done.returncode == 2, arguments
        assert said in done.stderr
        assert b"Traceback" not in done.stderr
    assert not (tmp_path / "lake").exists()


def test_what_cannot_be_read_is_kept_and_the_rest_goes_in(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    long = line(RUN, 9, size=400)
    stream = write_stream(tmp_path / "a.jsonl", [b"not json", *run_lines(), long, b"\xff\xfe", run_lines(OTHER)[0]])
    done = run("import", stream, "--lake", lake, "--json", GPDATA_MAX_LINE_BYTES="20000")
    assert (done.returncode, summary(done)["accepted"], summary(done)["quarantined"]) == (3, 6, 3)
    quarantine = Lake.open(lake).quarantine
    assert {quarantine.raw(entry) for entry in quarantine.entries()} == {b"not json", long, b"\xff\xfe"}
    listed = run("quarantine", "list", "--lake", lake)
    assert b"too_long" in listed.stdout
    # The limit was too low: replayed without it, the line is stored and its entry goes.
    (entry,) = (entry for entry in quarantine.entries() if entry.code == "too_long")
    assert run("quarantine", "show", entry.id, "--raw", "--lake", lake).stdout == long
    assert b"1 of 1" in run("quarantine", "replay", entry.id, "--lake", lake).stdout
    assert run("quarantine", "replay", "--all", "--lake", lake).returncode == 3
    assert run("quarantine", "drop", "--all", "--yes", "--lake", lake).returncode == 0
    assert b"is empty" in run("quarantine", "list", "--lake", lake).stdout


def test_a_damaged_file_is_reported_and_what_it_gave_is_kept(tmp_path: Path) -> None:
    packed = zstd.compress(b"\n".join(run_lines(generations=40, size=100)))
    (tmp_path / "a.jsonl.zst").write_bytes(packed[: len(packed) * 2 // 3])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(run_lines()[0])[:20])
    done = run("import", tmp_path, "--lake", tmp_path / "lake", "--json")
    found = summary(done)
    assert done.returncode == 3
    assert found["accepted"] > 0
    assert (found["quarantined"], found["lines"]) == (1, found["accepted"] + 1)
    assert [entry.code for entry in Lake.open(tmp_path / "lake").quarantine.entries()] == ["source_damaged"]
    (refused,) = json.loads(done.stdout)["refused"]
    assert refused["file"].endswith("b.jsonl.gz")
    assert "damaged" in refused["reason"]


def test_a_lake_is_inspected_from_the_command_line(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    stream = write_stream(tmp_path / "a.jsonl", [run_lines()[0], run_lines()[3]])
    run("import", stream, "--lake", lake)
    shown = run("info", lake)
    assert b"lacks 2 generations" in shown.stdout
    assert json.loads(run("info", "--lake", lake, "--json").stdout)["tables"]["individuals"]["rows"] == 8
    assert run("verify", lake).returncode == 0
    assert b"1 files" in run("compact", lake).stdout
    next((lake / "individuals").glob("sealed-*")).write_bytes(b"")
    assert run("verify", lake).returncode == 1
    for command in ("info", "verify", "compact"):
        done = run(command, tmp_path)
        assert done.returncode == 2
        assert b"is not a gpdata lake" in done.stderr


def test_directories_are_searched_for_streams_only(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl.zst", "deep/c.raw.gz", "run.log.csv", "notes.md", "x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [str(Path(stream).relative_to(tmp_path)) for stream in find_streams([tmp_path])]
    assert found == ["a.jsonl.zst", "b.jsonl", "deep/c.raw.gz"]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGINT"])
def test_an_interrupted_import_goes_on(tmp_path: Path, signal: str) -> None:
    """One moment, for every run of the tests; `make test-faults` has a hundred random ones."""
    import os
    import signal as signals
    import time

    stream = write_stream(tmp_path / "a.jsonl", run_lines(generations=60, size=50))
    run("import", stream, "--lake", tmp_path / "calm")
    process = subprocess.Popen(
        [Path(sys.executable).parent / "gpdata", "import", stream, "--lake", tmp_path / "lake"],
        env=os.environ | {"GPDATA_BATCH_BYTES": "50000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while (
        not (tmp_path / "lake" / "generations").exists() or len(list((tmp_path / "lake" / "generations").iterdir())) < 4
    ):
        time.sleep(0.005)
        assert process.poll() is None, "the import ended before it could be interrupted"
    process.send_signal(getattr(signals, signal))
    assert process.wait() != 0
    assert run("import", stream, "--lake", tmp_path / "lake").returncode == 0
    assert contents(tmp_path / "lake") == contents(tmp_path / "calm")
