"""The mutation check: each barrier switched off by itself, and the test that then must fail.

    python -m tests.faults.mutation [PART OF A NAME ...]

Nothing in gpdata knows of this. A process of its own reads one module of gpdata with one expression or statement
replaced, and runs the named test of the suite. Each of those tests passes where nothing is switched off.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.machinery
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from tests.faults.barriers import BARRIERS, Barrier

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180
"""After which a test that neither passes nor fails is given up: that proves nothing."""
_LOOK = 0.02
_HEAVY = ("pytest", "hypothesis", "numpy", "pyarrow.parquet", "pyarrow.compute", "deltalake", "msgspec", "httpx",
          "starlette.applications", "uvicorn", "prometheus_client", "duckdb", "psutil")  # fmt: skip
"""Read once, before the processes part; nothing of gpdata is among them."""


@dataclass(frozen=True)
class Outcome:
    """What a test said of a barrier."""

    status: int
    """As of pytest: 0 passed, 1 failed; anything else says nothing of the barrier."""
    seconds: float
    output: str

    @property
    def caught(self) -> bool:
        """Whether the test failed, and by itself."""
        return self.status == 1


def function(tree: ast.Module, name: str) -> ast.AST:
    """Return the function or class of a dotted name; the module for an empty one."""
    found: ast.AST = tree
    for part in name.split(".") if name else ():
        inside = [node for node in ast.walk(found) if getattr(node, "name", None) == part]
        if len(inside) != 1:
            raise LookupError(f"{name}: {len(inside)} times {part}")
        found = inside[0]
    return found


def switched_off(source: str, barrier: Barrier) -> ast.Module:
    """Return a module with one barrier taken out; LookupError where its code is not there exactly once."""
    tree = ast.parse(source)
    wanted = ast.unparse(ast.parse(barrier.code))
    new = ast.parse(barrier.instead).body[0]
    old_is_expression = isinstance(ast.parse(barrier.code).body[0], ast.Expr)
    by_expression = old_is_expression and isinstance(new, ast.Expr)
    replaced = 0

    class Replace(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            nonlocal replaced
            fits = isinstance(node, ast.expr) if by_expression else isinstance(node, ast.stmt)
            if fits and ast.unparse(node) == wanted:
                replaced += 1
                if barrier.number not in (0, replaced):
                    return node
                return ast.copy_location(new.value if by_expression else new, node)  # type: ignore[attr-defined]
            return super().generic_visit(node)

    where = function(tree, barrier.function)
    for field, value in ast.iter_fields(where):
        if isinstance(value, list):
            setattr(where, field, [Replace().visit(node) if isinstance(node, ast.AST) else node for node in value])
    if replaced != 1 and not 1 <= barrier.number <= replaced:
        raise LookupError(f"{barrier.where}: {replaced} times {wanted}")
    return ast.fix_missing_locations(tree)


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads a module without a barrier."""

    barrier: Barrier

    def get_code(self, fullname: str) -> CodeType:
        tree = switched_off(self.get_data(self.path).decode(), self.barrier)
        return compile(tree, self.path, "exec")  # type: ignore[no-any-return]


class _Finder:
    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self._name = "gpdata." + barrier.file.removesuffix(".py").replace("/", ".")

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == self._name else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
            spec.loader.barrier = self._barrier
        return spec


class _Child:
    """Tests that run in a process of their own, where a barrier is switched off, or none."""

    def __init__(self, test: str, barrier: Barrier | None, seconds: float = SECONDS) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (open until the outcome is known)
        self._begun, self._seconds = time.monotonic(), seconds
        self._pid = os.fork()
        if self._pid == 0:
            os.dup2(self._output.fileno(), 1)
            os.dup2(self._output.fileno(), 2)
            os.setsid()
            status = 3
            with contextlib.suppress(BaseException):
                status = _in_child(test, barrier)
            sys.stdout.flush()
            os._exit(status)

    def outcome(self) -> Outcome | None:
        """Return what came of it; None while it runs."""
        found, status = os.waitpid(self._pid, os.WNOHANG)
        taken = time.monotonic() - self._begun
        if not found and taken < self._seconds:
            return None
        if not found:
            os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        with self._output as output:
            output.seek(0)
            text = output.read().decode(errors="replace")
        return Outcome(os.waitstatus_to_exitcode(status) if found else -1, taken, text)


def run(test: str, barrier: Barrier | None, seconds: float = SECONDS) -> Outcome:
    """Run tests where a barrier is switched off, or none, to their end."""
    child = _Child(test, barrier, seconds)
    while (outcome := child.outcome()) is None:
        time.sleep(_LOOK)
    return outcome


def _in_child(test: str, barrier: Barrier | None) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take seconds to read
    import pytest

    if barrier is not None:
        sys.meta_path.insert(0, _Finder(barrier))  # type: ignore[arg-type]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=short", "-m", "faults or not faults"]
    with tempfile.TemporaryDirectory(prefix="gpdata-mutation-") as files:
        return int(pytest.main([*options, f"--basetemp={files}/t", *test.split()]))


def check(barriers: Sequence[Barrier], workers: int) -> Iterator[tuple[Barrier, Outcome]]:
    """Switch barriers off, one at a time in each of some processes; all are started by this one thread."""
    waiting, running = list(reversed(barriers)), list[tuple[Barrier, _Child]]()
    while waiting or running:
        while waiting and len(running) < workers:
            barrier = waiting.pop()
            running.append((barrier, _Child(os.environ.get("MUTATION_TEST", barrier.caught_by), barrier)))
        for one in list(running):
            if (outcome := one[1].outcome()) is not None:
                running.remove(one)
                yield one[0], outcome
        time.sleep(_LOOK)


def main(names: Sequence[str]) -> int:
    """Print the table; return how many barriers were not caught."""
    os.chdir(ROOT)
    for name in _HEAVY:
        importlib.import_module(name)
    assert "gpdata" not in sys.modules
    chosen = [barrier for barrier in BARRIERS if not names or any(name in f"{barrier}" for name in names)]
    tested = [barrier for barrier in chosen if not barrier.redundant]
    tests = sorted({test for barrier in tested for test in barrier.caught_by.split()})
    whole = run(" ".join(tests), None, 10 * SECONDS)
    print(f"{len(tests)} tests with every barrier in place: {'passed' if whole.status == 0 else 'FAILED'}")
    missed = 0
    if whole.status:
        missed += 1
        print(whole.output[-5000:])
    print("\n| barrier | where in the code | caught by |\n|---|---|---|", flush=True)
    for barrier, outcome in check(tested, int(os.environ.get("WORKERS", "2"))):
        said = f"`{barrier.caught_by.removeprefix('tests/')}`, {outcome.seconds:.1f} s"
        if not outcome.caught:
            missed += 1
            said = f"**NOT CAUGHT** (status {outcome.status}) by `{barrier.caught_by}`"
        print(f"| {barrier.name} | `{barrier.where}` | {said} |", flush=True)
        if outcome.status not in (0, 1):
            print(outcome.output[-2000:])
    for barrier in chosen:
        if barrier.redundant:
            print(f"| {barrier.name} | `{barrier.where}` | redundant: {barrier.redundant} |")
    print(f"\n{len(tested)} barriers switched off, {missed} not caught; {len(chosen) - len(tested)} are redundant")
    return missed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
