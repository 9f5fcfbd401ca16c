"""`gpdata command`: what would run it again, and what was not recorded."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import gpdata
from gpdata.cli.command import clojush_line, command
from gpdata.importers import import_paths
from gpdata.lake import Lake
from tests.support import RUN, line, write_stream


def asked(run: str, lake: Path) -> tuple[list[str], list[str]]:
    """Return the comments and the commands that are printed."""
    done = CliRunner().invoke(command, [run, "--lake", str(lake)])
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    return [text for text in said if text.startswith("#")], [text for text in said if not text.startswith("#")]


def test_a_recorded_command_is_printed_as_it_was(tmp_path: Path) -> None:
    given = {"version": "2.1", "git_hash": "abc123", "command": "python odd.py --seed 3 'a b'", "config": {"seed": 3}}
    with gpdata.Recorder(tmp_path / "lake", system="mine", problem="odd", **given) as run:
        run.generation([{"total_error": 1.0}], outcome="success")
    said, commands = asked(run.run_uuid, tmp_path / "lake")
    assert commands == ["python odd.py --seed 3 'a b'"]
    assert said[0].startswith(f"# run {run.run_uuid} of mine, problem odd")
    assert said[1:] == ["# version: 2.1", "# commit: abc123", "# seed: 3"]


def test_what_was_not_recorded_is_said(tmp_path: Path) -> None:
    with gpdata.Recorder(tmp_path / "lake", system="mine", config={"rate": 0.5, "name": "x\ny"}) as run:
        run.generation([{"total_error": 1.0}])
    said, commands = asked(run.run_uuid, tmp_path / "lake")
    assert commands == []
    assert said[0].startswith(f"# run {run.run_uuid} of mine, problem (not recorded)")
    assert said[1:] == ["# name = x y", "# rate = 0.5", "# not recorded: version, commit, seed, command line"]


def test_a_clojush_line_gives_back_every_argument(captures: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_paths([captures / "demos.odd-pop30-lexicase-s12.jsonl.zst"], lake)
    lab = gpdata.open(tmp_path / "lake")
    ((run, config),) = lab.runs.select("run_uuid, config").fetchall()
    said, (checkout, line_) = asked(run, tmp_path / "lake")
    assert checkout == "git checkout e2c9d8c830715f7d1e644f6205c192b9e5ceead2"
    words = shlex.split(line_)
    assert words[:3] == ["lein", "run", "clojush.problems.demos.odd"]
    arguments = dict(zip(words[3::2], words[4::2], strict=True))
    left = {name for text in said if text.startswith("# left out") for name in text.split(": ")[1].split(", ")}
    assert {key.removeprefix(":") for key in arguments} | left == set(config)
    assert "error-function" in left
    assert not left & {key.removeprefix(":") for key in arguments}
    assert arguments[":parent-selection"] == ":lexicase"
    assert arguments[":population-size"] == "30"
    assert arguments[":label"] == '"odd-pop30-lexicase"'
    assert arguments[":max-point-evaluations"] in ("1.0E101", "1e+101", "1E101")
    assert "[:alternation :uniform-mutation] 0.2" in arguments[":genetic-operator-probabilities"]
    seed = json.loads(config["random-seed"])
    numbers = arguments[":random-seed"].removeprefix("#=(byte-array [").removesuffix("])").split()
    assert bytes(int(number) % 256 for number in numbers) == base64.b64decode(seed)
    assert not any(text.startswith("# not recorded") for text in said)


def test_a_clojush_run_without_its_version(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_paths([write_stream(tmp_path / "a.jsonl", [line()])], lake)
    said, commands = asked(RUN, tmp_path / "lake")
    assert said[-1] == "# not recorded: version, commit"
    assert commands == [
        "lein run odd :label '\"test\"' :parent-selection :lexicase :population-size 4 :random-seed "
        + shlex.quote('"abc"')
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "nil"),
        (True, "true"),
        ("a b; rm -rf /", "'\"a b; rm -rf /\"'"),
        (["a", 1, [0.5, None]], "'[:a 1 [0.5 nil]]'"),
        ({"a": {"b": False}}, "'{:a {:b false}}'"),
        ("$(touch x)", "'\"$(touch x)\"'"),
        ("it's", "'\"it'\"'\"'s\"'"),
    ],
)
def test_values_are_quoted_for_the_shell_and_for_clojure(value: object, written: str) -> None:
    assert clojush_line("p", {"key": value})[0] == f"lein run p :key {written}"


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_paths([write_stream(tmp_path / "a.jsonl", [line()])], lake)
    done = CliRunner().invoke(command, [RUN[:-1] + "2", "--lake", str(lake.path)])
    assert done.exit_code == 1
    assert RUN in str(done.exception)
