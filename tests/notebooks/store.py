"""Run the example notebooks and store their outputs: what a developer does after changing one, never a test.

    .venv/bin/python tests/notebooks/store.py [NOTEBOOK ...]

Look at the pictures then: no test compares them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "example-notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""All that a notebook says of the machine it was run on."""


def store(path: Path) -> None:
    """Run a notebook from top to bottom, in its folder, and write it back with its outputs."""
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(book, timeout=120, kernel_name="python3", record_timing=False, resources=place).execute()
    book.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(book.cells):
        cell.metadata = nbformat.from_dict({})
        cell.id = f"cell-{number:02d}"
    nbformat.write(book, path)


if __name__ == "__main__":
    if "GPDATA_LAKE" not in os.environ and not (FOLDER.parent / "example-lake").is_dir():
        sys.exit("there is no example lake; make it with: gpdata example-lake")
    for path in [Path(name).resolve() for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        store(path)
        print(path)
