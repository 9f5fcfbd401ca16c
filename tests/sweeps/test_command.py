"""A sweep of a command: what it is given, what it records, and what is said where it fails."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.sweeps.words import filled, words_of
from tests.sweeps.test_sweep import recorded

PROGRAM = [sys.executable, "-m", "tests.sweeps.command", "--seed", "{seed}", "--size", "{size}"]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run(tmp_path: Path, *words: str, **options: Any) -> Any:
    """Sweep over two sizes."""
    return gpdata.sweep([*PROGRAM, *words], {"size": [1, 2]}, lake=tmp_path / "lake", name="program", **options)


def test_a_command_records_its_cell(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.outcome.tolist() == ["done"] * 2
    there = recorded(tmp_path / "lake")
    assert [there[uuid]["config"] for uuid in found.run_uuid] == [
        {"size": size, "seed": seed} for size, seed in zip([1, 2], found.seed, strict=True)
    ]
    log = tmp_path / "lake.sweeps" / "program" / "logs" / f"{found.cell[0]}-1.log"
    assert f"started with --seed {found.seed[0]} --size 1" in log.read_text()
    outboxes = tmp_path / "state" / "gpdata" / "outbox"
    assert not outboxes.exists() or not list(outboxes.iterdir())
    assert run(tmp_path).equals(found)


def test_a_command_that_records_as_clojush_does_keeps_its_own_uuid(tmp_path: Path) -> None:
    found = run(tmp_path, "--own", "--plain", "{record_host}")
    there = recorded(tmp_path / "lake")
    assert set(found.run_uuid) == set(there)
    assert {row["generations"] for row in there.values()} == {3}
    again = run(tmp_path, "--own", "--plain", "{record_host}")
    assert again.equals(found)
    assert len(recorded(tmp_path / "lake")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fail", "3"], r"exit status 3, and printed last: started with .*; .*-1\.log has what it printed"),
        (["--silent"], r"ended well and recorded nothing; it is to record at GPDATA_SERVER"),
    ],
)
def test_a_command_that_fails_leaves_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.warns(UserWarning, match="2 of 2 cells have no whole run"):
        found = run(tmp_path, *words, retries=0)
    assert found.outcome.tolist() == ["failed"] * 2
    assert all(re.search(said, error) for error in found.error)
    assert recorded(tmp_path / "lake") == {}
    assert not list((tmp_path / "state").rglob("outbox/*"))


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="No such file or directory; check its name"):
        found = gpdata.sweep(["evolv-e", "{a}"], {"a": [1]}, lake=tmp_path / "lake", retries=0)
    assert found.outcome[0] == "failed"


def test_what_a_command_says_itself_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="problem was given, but a command says itself"):
        run(tmp_path, problem="odd")


def test_the_places_of_a_command_are_checked() -> None:
    assert words_of("evolve --rate={rate} '{{x}}' {seed}", ["rate"]) == ("evolve", "--rate={rate}", "{{x}}", "{seed}")
    assert filled(["{a}{{b}}{c-d}", '{"json": 1}'], {"a": [1, 2], "c-d": None}) == ["[1, 2]{b}null", '{"json": 1}']
    with pytest.raises(InvalidInput, match=r"the command has \{rat\}, .*did you mean 'rate'"):
        words_of("evolve {rat}", ["rate"])
    with pytest.raises(InvalidInput, match="the parameter 'repeat' has the name of a value that a sweep gives"):
        words_of("evolve {repeat}", ["repeat"])
    for bad in ("", [], ["a", 1], "a 'b"):
        with pytest.raises(InvalidInput, match="command"):
            words_of(bad, [])  # type: ignore[arg-type]
