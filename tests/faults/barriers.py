"""The barriers of spool, lake, upload and ingest, which `barriers.toml` lists, and those that the code has.

`tests.faults.mutation` switches them off, `tests.faults.test_barriers` holds the list to the code.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

GUARDS = frozenset({
    "sync", "sync_path", "sync_directory", "fsync", "fdatasync", "link", "flock", "lockf", "lock", "acquire",
    "compare_digest", "still_valid", "enough", "settle", "repair", "committed_batch",
})  # fmt: skip
"""Functions that are barriers wherever they are called: each call must be in the list."""


@dataclass(frozen=True, order=True)
class Barrier:
    """What keeps the promise at one place."""

    name: str
    file: str
    """Within gpdata."""
    function: str
    code: str
    """The expression, or the statement, as it stands there."""
    instead: str
    """What it becomes where the barrier is switched off."""
    caught_by: str = ""
    """The tests of which one fails then."""
    redundant: str = ""
    """Why none does."""
    number: int = 0
    """Which of several that are alike, from 1."""

    @property
    def where(self) -> str:
        """File, function and code."""
        number = f" ({self.number})" if self.number else ""
        return f"{self.file}:{self.function}: {self.code.splitlines()[0]}{number}"


@dataclass(frozen=True, order=True)
class Call:
    """A call of one of `GUARDS`."""

    file: str
    function: str
    code: str


def calls(package: Path, *folders: str) -> list[Call]:
    """Return every call of one of `GUARDS` in a package's folders, as often as it stands there."""
    found: list[Call] = []

    def look(node: ast.AST, file: str, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            inner = (*names, child.name) if named else names  # type: ignore[attr-defined]
            if isinstance(child, ast.Call) and getattr(child.func, "attr", getattr(child.func, "id", None)) in GUARDS:
                found.append(Call(file, ".".join(inner), ast.unparse(child)))
            look(child, file, inner)

    for folder in folders:
        for path in sorted((package / folder).glob("*.py")):
            look(ast.parse(path.read_text()), f"{folder}/{path.name}", ())
    return sorted(found)


def _read() -> tuple[tuple[Barrier, ...], dict[tuple[str, str, str], str]]:
    found = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    barriers = []
    for row in found["barrier"]:
        tests = [row["test"]] if isinstance(row.get("test"), str) else row.get("test", [])
        barriers.append(
            Barrier(
                row["name"],
                row["file"],
                row["in"],
                row["code"],
                row["off"],
                " ".join(f"tests/{test}" for test in tests),
                row.get("redundant", ""),
                row.get("number", 0),
            )
        )
    return tuple(barriers), {(row["file"], row["in"], row["code"]): row["why"] for row in found["other"]}


BARRIERS, NO_BARRIERS = _read()
"""The barriers, and calls that are named like one and are none, each with why."""
