"""`gpdata completion`: what a shell completes, by click's protocol and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpdata.cli import COMMANDS, main
from gpdata.cli.completion import SHELLS, VARIABLE, Bash

BIN = Path(sys.executable).parent


def completed(*words: str, env: dict[str, str] | None = None) -> list[str]:
    """Return what would stand in the place of the last word."""
    asked = Bash(main, {}, "gpdata", VARIABLE)
    with pytest.MonkeyPatch.context() as patch:
        # As bash hands them over: a = is a word of its own.
        split = [part for word in words for part in word.replace("=", "\0=\0").split("\0") if part or not word]
        patch.setenv("COMP_WORDS", " ".join(["gpdata", *split]))
        patch.setenv("COMP_CWORD", str(len(split)))
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        return [line.partition(",")[2] for line in asked.complete().splitlines()]


def test_commands_and_options_are_completed() -> None:
    assert completed("") == list(COMMANDS)
    assert completed("ex") == [name for name in COMMANDS if name.startswith("ex")]
    assert "--confidence" in completed("success", "--con")


def test_completing_a_command_imports_none() -> None:
    code = "import sys; from gpdata.cli import main\ntry: main(prog_name='gpdata')\n"
    code += "finally: print(sorted(n for n in sys.modules if n.startswith('gpdata.')), file=sys.stderr)"
    env = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": "gpdata r", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "plain,runs\nplain,report\nplain,restore\n"
    assert "gpdata.cli.runs" not in done.stderr


@pytest.mark.parametrize("place", [lambda lake: [lake], lambda lake: ["--lake", lake]])
def test_keys_values_and_runs_of_the_lake_are_completed(example_lake: Path, place) -> None:  # type: ignore[no-untyped-def]
    words = place(str(example_lake))
    assert completed("success", *words, "--by", "par") == ["parent-selection"]
    assert completed("success", *words, "--where", "parent-s") == ["parent-selection="]
    assert "lexicase" in completed("success", *words, "--where", "parent-selection=")
    assert completed("success", *words, "--where", "parent-selection=lexi") == ["lexicase"]
    assert completed("curves", *words, "--problem", "") == ["grade"]
    assert completed("runs", *words, "--sort", "best") == ["best_so_far"]
    assert completed("success", *words, "--by=par") == ["parent-selection"]
    runs = completed("ancestry", *words, "--run", "")
    assert len(runs) > 1
    assert completed("ancestry", *words, "--run", runs[0][:13]) == runs[:1]
    assert completed("runs", *words[-1:], runs[0][:13]) == runs[:1] or words[0] == "--lake"


def test_the_lake_of_the_environment_is_asked(example_lake: Path) -> None:
    assert completed("success", "--by", "par", env={"GPDATA_LAKE": str(example_lake)}) == ["parent-selection"]


def test_without_a_lake_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed("success", "--by", "") == []
    assert completed("success", str(tmp_path), "--by", "") == []


def test_formats_are_completed() -> None:
    assert completed("success", "--format", "p") == ["parquet", "png", "pdf"]
    assert completed("export", "ge") == ["generations", "genes"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_reads(shell: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0, done.stderr
    assert f"{VARIABLE}={shell}_complete" in done.stdout
    assert f"gpdata completion {shell}" in CliRunner().invoke(main, ["completion", "--help"]).stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.stdout)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_a_real_bash_completes(example_lake: Path) -> None:
    script = """
    eval "$(gpdata completion bash)"
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); compopt() { echo compopt "$@"; }
            _gpdata_completion gpdata; echo "${COMPREPLY[*]}"; }
    ask gpdata succ
    ask gpdata success "$LAKE" --by par
    ask gpdata success "$LAKE" --where par
    ask gpdata success "$LAKE" --where parent-selection = lexi
    ask gpdata success --lake ""
    """
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "LAKE": str(example_lake)}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "success", "parent-selection", "compopt -o nospace", "parent-selection=", "lexicase", "compopt -o dirnames", "",
    ]  # fmt: skip
