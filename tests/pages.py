"""Runs a page of the documentation as its reader does: from top to bottom, in an empty folder.

- ``python`` blocks run in one namespace; one that begins with a comment such as ``# evolve.py`` is saved as that file.
- ``sh`` blocks run in one shell, which finds this environment's programs first.
- A ``text`` block is what the block before it printed; ``...`` stands for anything, and spaces are not counted.
- What another program would run (``# MLflow`` on the first line) is only read as Python; ``console`` and all other
  kinds are for people.
"""

from __future__ import annotations

import ast
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import NamedTuple

from deap import creator

from tests.support import free_port

NOT_HERE = ("# MLflow", "# W&B", "# Neo4j")
MARK = "\x1e"


class Block(NamedTuple):
    """A block of code of a page: its language, its text, and what it prints, where the page says that."""

    kind: str
    code: str
    prints: str | None

    @property
    def first(self) -> str:
        """Its first line."""
        return self.code.split("\n", 1)[0].rstrip(":")

    @property
    def runs(self) -> bool:
        """Whether it can run here."""
        return self.kind in ("python", "sh") and not self.first.startswith(NOT_HERE)


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    after = [*found, ("", "")][1:]
    return [
        Block(kind, code, text if following == "text" else None)
        for (kind, code), (following, text) in zip(found, after, strict=True)
    ]


@contextmanager
def shell(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a shell in a folder, and end it with all that it started."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GPDATA_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / ".state"),
        "COLUMNS": "120",
        "MPLBACKEND": "Agg",
    }
    with (folder / ".errors").open("w") as errors:
        started = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.communicate()


def type_into(bash: subprocess.Popen[str], code: str, folder: Path) -> str:
    """Let the shell run some code and return what it printed."""
    assert bash.stdin is not None
    assert bash.stdout is not None
    bash.stdin.write(f"{{ {code}\n}} < /dev/null\nprintf '%s\\n' '{MARK}'\n")
    bash.stdin.flush()
    printed = ""
    while not printed.endswith(f"{MARK}\n"):
        line = bash.stdout.readline()
        assert line, f"the shell ended at:\n{code}\nit printed:\n{printed}\n{(folder / '.errors').read_text()}"
        printed += line
    return printed.removesuffix(f"{MARK}\n")


def alike(said: str, printed: str) -> bool:
    """Say whether a page's text is what was printed."""
    parts = (re.escape(" ".join(part.split())) for part in said.split("..."))
    return re.fullmatch(r"\s*.*?\s*".join(parts), " ".join(printed.split())) is not None


@contextmanager
def own_classes() -> Iterator[None]:
    """Take back what a page adds to DEAP's creator, which is one for the whole process."""
    before = dict(vars(creator))
    try:
        yield
    finally:
        vars(creator).clear()
        vars(creator).update(before)


def run(page: Path, folder: Path) -> int:
    """Run a page in a folder, which is the current one; return how many blocks ran."""
    names: dict[str, object] = {"__name__": "__main__"}
    ports = {port: str(free_port()) for port in ("8470", "9000")}
    count = 0
    with shell(folder) as bash, own_classes():
        for block in blocks(page):
            code = block.code
            for port, free in ports.items():
                code = code.replace(port, free)
            if block.kind == "python":
                ast.parse(code)
            if not block.runs:
                continue
            count += 1
            if saved := re.fullmatch(r"# (\w+\.py)", block.first):
                (folder / saved[1]).write_text(code)
                continue
            if block.kind == "sh":
                printed = type_into(bash, code, folder)
            else:
                with redirect_stdout(io.StringIO()) as out:
                    exec(compile(code, str(page), "exec"), names)
                printed = out.getvalue()
            if block.prints is not None:
                assert alike(block.prints, printed), f"{page.name} says:\n{block.prints}\nand it is:\n{printed}"
    return count
