"""The template of docs/new-analysis.md is an analysis: its example runs, and it lints."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "new-analysis.md"


@pytest.fixture
def code() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found


def test_the_template_runs(code: str) -> None:
    names: dict[str, object] = {"__name__": "template"}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)
    test = doctest.DocTestFinder().find(names["run_lengths"], "run_lengths", globs=names, module=False)[0]
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_template_lints(code: str, tmp_path: Path) -> None:
    (tmp_path / "template.py").write_text(code, encoding="utf-8")
    ruff = [Path(sys.executable).parent / "ruff"]
    options = ["--config", PAGE.parent.parent / "pyproject.toml", tmp_path / "template.py"]
    for command in (["check", "--ignore", "INP"], ["format", "--check"]):
        done = subprocess.run([*ruff, *command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
