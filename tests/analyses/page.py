"""The page docs/analyses.md, made from the docstrings: `python -m tests.analyses.page > docs/analyses.md`."""

from __future__ import annotations

import inspect
import re

from gpdata import analyses, plots

HEAD = """# The analyses

Frames in, a frame of the same engine out: DuckDB relations, Spark DataFrames (classic and Connect), Polars, pandas or
Arrow. `help(gp.NAME)` tells the result's columns with units and nulls, the formula, its source, and an example that
the tests run. `gp.compare_success` and the rest of `gp.stats` work on small tables and return pandas frames.
[new-analysis.md](new-analysis.md) says how to write the next one.

| function | what it does | picture |
|---|---|---|
"""


def plot_of(name: str, doc: str) -> str:
    """Return the name of the plot that takes this result; nothing where there is none."""
    named = [found for found in re.findall(r"plots\.(\w+)", doc) if hasattr(plots, found)]
    return f"`gp.plots.{(named or [name])[0]}`" if named or hasattr(plots, name) else ""


def page() -> str:
    """Return the page."""
    rows = []
    for name in sorted(filter(str.islower, analyses.__all__)):
        doc = inspect.getdoc(getattr(analyses, name)) or ""
        rows.append(f"| `gp.{name}` | {doc.splitlines()[0]} | {plot_of(name, doc)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
