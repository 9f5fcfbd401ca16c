"""Run the example notebooks and store their outputs: what a developer does after changing one, never a test.

    .venv/bin/python -m tests.notebooks.store [NOTEBOOK ...]

Look at the pictures then: no test compares them. Notebooks with Spark are run on a Connect server, as the tests do it:
a session in the kernel would also store what its JVM prints, and that depends on the machine.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests import sparks

FOLDER = Path(__file__).resolve().parents[2] / "example-notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""All that a notebook says of the machine it was run on."""


def starts_spark(path: Path) -> bool:
    """Say whether a notebook starts Spark itself."""
    return "gp.spark()" in "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if is_code(cell))


def is_code(cell: Any) -> bool:
    """Say whether a cell is code."""
    return bool(cell.cell_type == "code")


def store(path: Path) -> None:
    """Run a notebook from top to bottom, in its folder, and write it back with its outputs."""
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(book, timeout=600, kernel_name="python3", record_timing=False, resources=place).execute()
    book.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(book.cells):
        cell.metadata = nbformat.from_dict({})
        cell.id = f"cell-{number:02d}"
    nbformat.write(book, path)


if __name__ == "__main__":
    if "GPDATA_LAKE" not in os.environ and not (FOLDER.parent / "example-lake").is_dir():
        sys.exit("there is no example lake; make it with: gpdata example-lake")
    with ExitStack() as stack:
        for path in [Path(name).resolve() for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
            if starts_spark(path) and "SPARK_REMOTE" not in os.environ:
                log = Path(stack.enter_context(TemporaryDirectory())) / "server.log"
                os.environ["SPARK_REMOTE"] = stack.enter_context(sparks.server(log))
            store(path)
            print(path)
