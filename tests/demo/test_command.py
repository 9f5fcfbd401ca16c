"""`gpdata demo`, from the command line to the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import gpdata
from gpdata.cli import main
from gpdata.demo.runs import run_demo


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["demo", *map(str, arguments)])


def test_the_demo_into_a_lake_that_has_a_part_of_it(tmp_path: Path) -> None:
    lake, report = tmp_path / "lake", tmp_path / "demo.html"
    steps: list[tuple[int, int]] = []
    account = run_demo(lake, seeds=[1], quick=True, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    assert (account.runs, account.quarantined) == (2, 0)

    result = run("--lake", lake, "--report", report, "--quick")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:3] == [f"lake:   {lake}", f"report: {report}", ""]
    assert lines[3].split()[:5] == ["problem", "parent-selection", "runs", "finished", "successes"]
    assert [line.split()[:4] for line in lines[4:]] == [
        ["grade", "lexicase", "2", "2"],
        ["grade", "tournament", "2", "2"],
    ]
    assert "evolve: 4 of 4 runs" in result.stderr
    assert "stored: 2 runs" in result.stderr
    assert f"{account.generations} generations were in the lake already and are not stored twice" in result.stderr
    assert report.read_text().count("lexicase") > 1
    assert gpdata.open(lake).sql("select count(*) from runs").fetchall() == [(4,)]


def test_the_demo_over_recorder_streams(tmp_path: Path, captures: Path) -> None:
    folder = tmp_path / "streams"
    folder.mkdir()
    for name in ("demos.odd-pop30-lexicase-s11", "demos.odd-pop30-tournament-s11"):
        (folder / f"{name}.jsonl.zst").symlink_to(captures / f"{name}.jsonl.zst")
    result = run("--lake", tmp_path / "lake", "--report", tmp_path / "demo.html", "--captures", folder)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[4:]]
    assert [row[:4] for row in rows] == [
        ["clojush.problems.demos.odd", "lexicase", "1", "1"],
        ["clojush.problems.demos.odd", "tournament", "1", "1"],
    ]
    assert "stored: 2 runs, 22 generations" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--report", "no/such/folder/demo.html"], "no folder. Make it, or name another"),
        (["--captures", "nowhere"], "nowhere does not exist"),
        (["--captures", ".", "--quick"], "leave one out"),
        (["--lake", "file"], "is a file; a lake is a directory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_without_deap_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gpdata.cli.options.find_spec", lambda name: None)
    result = run()
    assert result.exit_code == 2
    assert "pip install 'gpdata[deap]'" in result.stderr
