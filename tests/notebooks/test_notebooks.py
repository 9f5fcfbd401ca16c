"""The example notebooks: run anew over the example lake, they show what is stored in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.store import FOLDER, METADATA, is_code, starts_spark

SANITIZE = FOLDER / "sanitize.cfg"
"""The one place that says which differences do not count, and why."""
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WITH_SPARK = [path for path in NOTEBOOKS if starts_spark(path)]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def nbval(paths: list[Path], lake: Path, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run notebooks and compare every output with the stored one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GPDATA_"))}
    # A person's own IPython and matplotlib settings would change outputs.
    environment |= {"GPDATA_LAKE": str(lake), "IPYTHONDIR": str(home / "ipython"), "MPLCONFIGDIR": str(home / "mpl")}
    environment |= variables
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "--nbval",
               "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}", "--nbval-cell-timeout=300",
               f"--rootdir={paths[0].parent}", "--config-file=/dev/null", *paths]  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def cells_with_output(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.get("outputs")]


def texts(cell: Any) -> list[str]:
    """Return what nbval compares of a cell's outputs."""
    found = [output.text for output in cell.get("outputs", []) if "text" in output]
    for output in cell.get("outputs", []):
        found += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return found


def pictures(cell: Any) -> list[Any]:
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def passed(result: subprocess.CompletedProcess[str], paths: list[Path]) -> None:
    cells = [cell for path in paths for cell in nbformat.read(path, as_version=4).cells if is_code(cell)]
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(cells)} passed" in result.stdout


def test_the_twelve_are_there_and_listed() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-first-look",
        "02-success-table-for-a-paper",
        "03-error-curves-with-uncertainty",
        "04-ancestry-of-a-winner",
        "05-age-against-error",
        "06-which-instructions-win",
        "07-comparing-two-configurations",
        "08-a-labs-whole-history",
        "09-from-duckdb-to-spark",
        "10-sql-and-mllib",
        "11-your-own-analysis",
        "12-exporting-to-other-tools",
    ]
    listed = re.findall(r"^\| \[([\w-]+)\]\(([\w.-]+)\) \| \S.* \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert listed == [(path.stem, path.name) for path in NOTEBOOKS]


@every_notebook
def test_a_notebook_names_only_notebooks_and_pages_that_are_there(path: Path) -> None:
    text = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if not is_code(cell))
    named = re.findall(r"`([\w-]+\.ipynb)`", text) + re.findall(r"\]\((?!https:)([^)]+)\)", text)
    for name in named:
        assert (FOLDER / name).exists(), name


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path not in WITH_SPARK], ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored_in_it(path: Path, example_lake: Path, tmp_path: Path) -> None:
    passed(nbval([path], example_lake, tmp_path), [path])


@pytest.mark.faults
@pytest.mark.xdist_group("spark")
def test_notebooks_with_spark_show_what_is_stored_in_them(
    connect_server: Callable[[], str], example_lake: Path, tmp_path: Path
) -> None:
    assert [path.stem[:2] for path in WITH_SPARK] == ["09", "10"]
    passed(nbval(WITH_SPARK, example_lake, tmp_path, SPARK_REMOTE=connect_server()), WITH_SPARK)


@pytest.mark.xdist_group("spark")
def test_a_notebook_shows_the_same_on_spark(
    connect_server: Callable[[], str], example_lake: Path, tmp_path: Path
) -> None:
    """All of them, in each place where Spark computes: tests/sessions/test_everywhere.py."""
    path = FOLDER / "02-success-table-for-a-paper.ipynb"
    environment = {"GPDATA_ENGINE": "spark", "SPARK_REMOTE": connect_server()}
    passed(nbval([path], example_lake, tmp_path, **environment), [path])


def test_one_changed_number_is_found(example_lake: Path, tmp_path: Path) -> None:
    """Without this, a check that compares nothing would pass too."""
    book = nbformat.read(FOLDER / "02-success-table-for-a-paper.ipynb", as_version=4)
    table = next(cell for cell in book.cells for text in texts(cell) if "rate_low" in text)
    data = table.outputs[0].data
    html, changed = re.subn(
        r"(\.\d+)(\d)\b", lambda match: match[1] + str(9 - int(match[2])), data["text/html"], count=1
    )
    assert changed == 1
    data["text/html"] = html
    copy = tmp_path / "copy.ipynb"
    nbformat.write(book, copy)
    result = nbval([copy], example_lake, tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 failed" in result.stdout
    assert "mismatch 'text/html'" in result.stdout


@every_notebook
def test_the_numbers_of_each_picture_stand_beside_it(path: Path) -> None:
    cells = cells_with_output(path)
    drawn = [position for position, cell in enumerate(cells) if pictures(cell)]
    assert drawn
    for position in drawn:
        assert len(pictures(cells[position])) == 1
        assert any("<table" in text for text in texts(cells[position + 1])), cells[position].source


@every_notebook
def test_a_notebook_is_stored_as_it_was_run_from_top_to_bottom(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if is_code(cell)]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result", "stream"}
    assert {output.name for output in outputs if "name" in output} <= {"stdout"}  # no warnings
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert kinds <= {"text/plain", "text/html", "image/png"}  # no widgets, such as bars of progress


@every_notebook
def test_a_notebook_says_nothing_of_the_machine_it_was_run_on(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    assert book.metadata == METADATA
    assert all(cell.metadata == {} for cell in book.cells)
    for text in [text for cell in book.cells for text in (cell.source, *texts(cell))]:
        assert not re.search(r"(?<![\w.<])/\w+/|\b[A-Z]:\\|site-packages|0x[0-9a-f]{6}|localhost", text), text


def test_every_pattern_is_explained_and_needed() -> None:
    lines = SANITIZE.read_text().splitlines()
    stored = [text for path in NOTEBOOKS for cell in cells_with_output(path) for text in texts(cell)]
    patterns = [position for position, line in enumerate(lines) if line.startswith("regex: ")]
    assert patterns
    for position in patterns:
        assert lines[position + 1].startswith("replace: ")
        name, explanation = lines[position - 1], lines[position - 2]
        assert re.fullmatch(r"\[[\w-]+\]", name)
        assert explanation, f"say above {name} why it is needed"
        pattern = lines[position].removeprefix("regex: ")
        assert any(re.search(pattern, text) for text in stored), f"{name} matches no output: remove it"
