"""`gpdata import` of logs and archives, as its user meets it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.importers import logs
from tests.importers.test_archives import tar
from tests.importers.test_streams import run


def test_an_archive_of_logs_with_a_pattern(tmp_path: Path) -> None:
    files = {"odd-lexicase-s1.csv": logs.csv_log(1), "odd-tournament-s2.csv": logs.csv_log(2), "notes": b"# x"}
    (tmp_path / "a").write_bytes(tar(files | {"cut-lexicase-s3.csv": logs.csv_log(3)[:-20]}))
    command = [
        "import",
        tmp_path / "a",
        "--lake",
        tmp_path / "lake",
        "--pattern",
        "{problem}-{config.s}-s{config.seed}.csv",
    ]
    done = run(*command, "--set", "label=old")
    assert done.returncode == 3, done.stderr
    said = done.stdout.decode()
    assert "8 lines: 8 stored, 0 stored before" in said or "9 lines: 8 stored, 0 stored before, 1 in quarantine" in said
    assert "Clojush CSV log (3 files) does not say, so it is null: runs: problem" in said
    assert "its outcome is continue" in said
    assert "1 files: its content is of no known format" in said
    assert "cut-lexicase-s3.csv, line 10: " in said
    again = run(*command, "--set", "label=old", "--json")
    found = json.loads(again.stdout)
    assert (found["accepted"], found["duplicates"], found["quarantined"]) == (0, 8, 1)
    assert found["formats"] == {"csv": 3}
    assert [aside["line"] for aside in found["set_aside"]] == [10]


def test_arguments_that_cannot_be_used_make_no_lake(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(logs.csv_log())
    for arguments, said in (
        (["--set", "problem"], b"FIELD=VALUE"),
        (["--set", "problm=odd"], b"{problem}"),
        (["--pattern", "{problm}"], b"{problem}"),
        (["--format", "cvs"], b"'csv'"),
        (["--workers", "0"], b"x>=1"),
        (["--engine", "spark", "--workers", "2"], b"leave one of them out"),
    ):
        done = run("import", tmp_path / "a.csv", "--lake", tmp_path / "lake", *arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr
    assert not (tmp_path / "lake").exists()


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.log").write_bytes([logs.csv_log, logs.edn_log, logs.json_log][number % 3](number))
    done = run("import", tmp_path, "--lake", tmp_path / "lake", "--workers", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["accepted"], found["runs"], found["formats"]) == (18, 6, {"csv": 2, "edn": 2, "json": 2})
